//! Copies of the whole store, made in steps by SQLite's backup: on a running server between its
//! turns, and offline. A copy has its name only when it is whole.

use super::check;
use super::error::{Fault, FaultKind, StoreError};
use super::place::{absolute, keep_copy, new_copy};
use super::thread::Thread;
use crate::log::Answer;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Pages of one step, which takes some tenths of a millisecond.
const STEP_PAGES: i32 = 64;
/// Steps from one report to the next.
const REPORT_STEPS: u32 = 64;

/// What a copy is for.
#[derive(Debug)]
pub(super) enum Copying {
    Backup { tag: u64, path: PathBuf },
    Check { tag: u64 },
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    pub done: u64,
    pub pages: u64,
}

/// Copies `db` to a new file at `path`, and returns how many pages it has. `between` is called after
/// each step but the last; if it returns false, the copy is given up.
pub(super) fn copy(
    db: &Connection,
    path: &Path,
    mut between: impl FnMut(Copied) -> bool,
) -> Result<u64, StoreError> {
    let path = absolute(path)?;
    let part = new_copy(&path)?;
    let result = copy_to_part(db, &part, &mut between)
        .and_then(|pages| keep_copy(&part, &path).map(|()| pages));
    if result.is_err() {
        // It may be gone already, or on a disk that has failed.
        let _ = fs::remove_file(&part);
    }
    result
}

fn copy_to_part(
    db: &Connection,
    part: &Path,
    between: &mut impl FnMut(Copied) -> bool,
) -> Result<u64, StoreError> {
    let wrong = |error| StoreError::from_fault(part, Fault::from(error));
    let mut to = Connection::open(part).map_err(wrong)?;
    let backup = Backup::new(db, &mut to).map_err(wrong)?;
    loop {
        let step = backup.step(STEP_PAGES).map_err(wrong)?;
        let progress = backup.progress();
        let pages = u64::try_from(progress.pagecount).unwrap_or(0);
        let left = u64::try_from(progress.remaining).unwrap_or(0);
        match step {
            StepResult::Done => return Ok(pages),
            StepResult::Busy | StepResult::Locked => std::thread::sleep(Duration::from_millis(5)),
            _ => {}
        }
        let copied = Copied {
            // All of them only when the copy has its name.
            done: pages.saturating_sub(left.max(1)),
            pages,
        };
        if !between(copied) {
            let why = String::from("the server stopped before the copy was whole");
            return Err(StoreError::from_fault(
                part,
                Fault {
                    kind: FaultKind::Other,
                    why,
                },
            ));
        }
    }
}

impl Thread<'_> {
    /// Copies, with a turn after each step.
    pub(super) fn copy(&mut self, copying: Copying) {
        self.is_copying = true;
        match copying {
            Copying::Backup { tag, path } => self.back_up(tag, &path),
            Copying::Check { tag } => self.check(tag),
        }
        self.is_copying = false;
        self.shared.answer(&mut self.answers);
    }

    fn back_up(&mut self, tag: u64, path: &Path) {
        let mut steps = 0;
        let result = copy(self.db, path, |copied| {
            if steps % REPORT_STEPS == 0 {
                self.answers.push(Answer::Copied {
                    tag,
                    done: copied.done,
                    pages: copied.pages,
                });
            }
            steps += 1;
            self.turn()
        });
        self.answers.push(match result {
            Ok(pages) => Answer::Copied {
                tag,
                done: pages,
                pages,
            },
            Err(error) => Answer::TaskFailed {
                tag,
                why: error.to_string(),
            },
        });
    }

    /// The copy is checked by a thread of its own.
    fn check(&mut self, tag: u64) {
        let path = self.checked.clone();
        // Left by a server that stopped meanwhile.
        let _ = fs::remove_file(&path);
        if let Err(error) = copy(self.db, &path, |_| self.turn()) {
            self.answers.push(Answer::TaskFailed {
                tag,
                why: error.to_string(),
            });
            return;
        }
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new()
            .name(String::from("store check"))
            .spawn(move || {
                let answer = match check::file(&path, &mut |_| {}) {
                    Ok(report) => Answer::Checked {
                        tag,
                        problems: report.problems,
                    },
                    Err(error) => Answer::TaskFailed {
                        tag,
                        why: error.to_string(),
                    },
                };
                // The next check removes it otherwise.
                let _ = fs::remove_file(&path);
                shared.answer(&mut vec![answer]);
            });
        if let Err(error) = spawned {
            self.answers.push(Answer::TaskFailed {
                tag,
                why: error.to_string(),
            });
        }
    }
}
