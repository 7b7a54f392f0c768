//! The settings of a running server, and what becomes of them when they are read again: the options
//! stay as they were given at the start, environment and file are read anew. Pure, as the rest.

use super::{Config, Examined, Read, TABLE, examine};
use crate::options::{Asked, BadOption, Change, Given};
use std::ffi::OsString;

/// The settings that hold, and what was given for them.
pub struct Running {
    pub config: Config,
    arguments: Vec<OsString>,
    given: Given<Config>,
}

/// What another reading has found.
pub struct Reread {
    /// Of the settings that cannot be reloaded, what held before.
    pub running: Running,
    /// Those that cannot be reloaded as well: they take effect after a restart.
    pub changes: Vec<Change>,
}

impl Running {
    pub(super) const fn new(
        config: Config,
        arguments: Vec<OsString>,
        given: Given<Config>,
    ) -> Self {
        Self {
            config,
            arguments,
            given,
        }
    }

    /// Reads environment and file again.
    ///
    /// # Errors
    /// All that is wrong, and nothing is to be taken over.
    pub fn reread(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
        read: Read<'_>,
    ) -> Result<Reread, Vec<BadOption>> {
        let arguments = self.arguments.clone();
        let asked = TABLE.read(arguments.clone(), &variable);
        let newer = match asked.map_err(|bad| vec![bad])? {
            Asked::Run(given) => given,
            // The same arguments have started the server.
            Asked::Help | Asked::Version => Given::nothing(TABLE.program),
        };
        let Examined {
            given, problems, ..
        } = examine(newer, variable, read).map_err(|bad| vec![bad])?;
        if !problems.is_empty() {
            return Err(problems);
        }
        let changes = TABLE.changes(&self.given, &given);
        let given = self.given.reloaded(&given);
        let mut config = Config::default();
        let mut problems = given.apply_all(&mut config);
        if let Err(sentence) = config.check() {
            let sentence = format!("{sentence}; what takes a restart is as it was until then");
            problems.push(TABLE.bad(given.with_places(sentence)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Reread {
            running: Self::new(config, arguments, given),
            changes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Invocation;
    use super::*;
    use std::io;
    use std::path::Path;

    fn started(text: &str, options: &[&str]) -> Running {
        let arguments = options.iter().map(OsString::from);
        let variable = |name: &str| (name == "PARLOR_CONFIG").then(|| OsString::from("p.toml"));
        let read = |_: &Path| -> io::Result<String> { Ok(text.to_owned()) };
        match Invocation::parse(arguments, variable, &read) {
            Ok(Invocation::Serve(running)) => *running,
            Ok(_) => panic!("it does not serve"),
            Err(bad) => panic!("{bad}"),
        }
    }

    fn reread(running: &Running, text: &str) -> Result<Reread, Vec<String>> {
        let variable = |name: &str| (name == "PARLOR_CONFIG").then(|| OsString::from("p.toml"));
        let read = |_: &Path| -> io::Result<String> { Ok(text.to_owned()) };
        let reread = running.reread(variable, &read);
        reread.map_err(|bad| bad.iter().map(ToString::to_string).collect())
    }

    fn lines(changes: &[Change]) -> Vec<String> {
        let line = |change: &Change| {
            let Change { name, old, new, .. } = change;
            format!("{name}: {old} > {new}, {}", change.is_reloadable)
        };
        changes.iter().map(line).collect()
    }

    #[test]
    fn changes_are_taken_over_or_named_until_the_restart() {
        let running = started(
            "backlog = 7\nmessage-rate = 5\nping-after = \"60s\"\nsilent-timeout = \"3m\"\n",
            &[],
        );
        let text = "backlog = 8\nmessage-rate = 6\nping-after = \"1m\"\nsilent-timeout = \"3m\"\n";
        let first = reread(&running, text).unwrap();
        let expected = ["backlog: 7 > 8, false", "message-rate: 5 > 6, true"];
        assert_eq!(lines(&first.changes), expected);
        let config = &first.running.config;
        assert_eq!((config.net.backlog, config.chat.message_rate), (7, 6));
        let second = reread(&first.running, text).unwrap();
        assert_eq!(lines(&second.changes), expected[..1]);
        let back = reread(&second.running, "").unwrap();
        assert_eq!(
            lines(&back.changes),
            [
                "backlog: 7 > 4096, false",
                "ping-after: 1m > 25s, true",
                "silent-timeout: 3m > 60s, true",
                "message-rate: 6 > 10, true",
            ]
        );
    }

    #[test]
    fn options_win_over_what_is_read_again() {
        let running = started("message-rate = 5\n", &["--message-rate", "7"]);
        let again = reread(&running, "message-rate = 6\n").unwrap();
        assert_eq!(
            (
                lines(&again.changes).len(),
                again.running.config.chat.message_rate
            ),
            (0, 7)
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let running = started("operator-token = \"one\"\n", &[]);
        let again = reread(&running, "operator-token = \"two\"\n").unwrap();
        assert_eq!(
            lines(&again.changes),
            ["operator-token: (not shown) > (not shown), true"]
        );
    }

    #[test]
    fn wrong_file_is_refused_with_every_line() {
        let running = started("", &[]);
        let wrong = reread(
            &running,
            "message-rate = 6\nmessage-burst = 0\nbacklogs = 1\n",
        );
        let Err(wrong) = wrong else {
            panic!("it is taken over");
        };
        assert_eq!(wrong.len(), 2);
        assert!(
            wrong
                .iter()
                .any(|bad| bad.starts_with("p.toml:2: message-burst \"0\""))
        );
    }

    /// --tail-bytes takes a restart, --outbox-bytes none.
    #[test]
    fn what_does_not_go_together_before_the_restart_is_refused() {
        let running = started("", &[]);
        let text = "tail-bytes = 100000000\noutbox-bytes = 50000000\n";
        let Err(wrong) = reread(&running, text) else {
            panic!("it is taken over");
        };
        assert!(
            wrong[0].contains("--tail-bytes") && wrong[0].contains("until then"),
            "{wrong:?}"
        );
    }
}
