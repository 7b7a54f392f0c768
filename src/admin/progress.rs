//! How far a long task of the store has come.

use crate::carry::carried;
use serde_json::{Value, json};

/// What an operator sees of a backup or a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// There was none since the start of the server.
    #[default]
    None,
    /// So many of so many steps; 0 of 0: that is not known.
    Running { done: u64, total: u64 },
    /// It is done. Problems are what a check has found.
    Done { problems: Vec<String> },
    /// A sentence says why.
    Failed { why: String },
}

carried!(enum Progress {
    0 = None,
    1 = Running { done, total },
    2 = Done { problems },
    3 = Failed { why },
});

impl Progress {
    /// What has begun and has not come far.
    pub const BEGUN: Self = Self::Running { done: 0, total: 0 };

    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    pub fn to_json(&self) -> Value {
        match self {
            Self::None => json!({ "state": "none" }),
            Self::Running { done, total } => {
                json!({ "state": "running", "done": done, "total": total })
            }
            Self::Done { problems } => json!({ "state": "done", "problems": problems }),
            Self::Failed { why } => json!({ "state": "failed", "error": why }),
        }
    }

    /// As [`Self::to_json`] writes it; `None`: it is something else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        match value.get("state")?.as_str()? {
            "none" => Some(Self::None),
            "running" => Some(Self::Running {
                done: number("done")?,
                total: number("total")?,
            }),
            "done" => {
                let problems = value.get("problems")?.as_array()?.iter();
                let problems = problems.filter_map(Value::as_str).map(str::to_owned);
                Some(Self::Done {
                    problems: problems.collect(),
                })
            }
            "failed" => Some(Self::Failed {
                why: value.get("error")?.as_str()?.to_owned(),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_is_written() {
        for progress in [
            Progress::None,
            Progress::BEGUN,
            Progress::Done {
                problems: vec![String::from("a row is missing")],
            },
            Progress::Failed {
                why: String::from("the disk is full"),
            },
        ] {
            assert_eq!(Progress::from_json(&progress.to_json()), Some(progress));
        }
        assert_eq!(Progress::from_json(&json!({ "state": "odd" })), None);
    }
}
