//! `parlor health`: asks the server that the same settings would start, and makes its answer an exit
//! code. For health checks in images without a shell and without curl.

use super::settings::{read_config, variable};
use super::{FAILED, misused, print};
use parlor::config::{self, Invocation};
use parlor::health::{self, Question};
use std::ffi::OsString;
use std::process::ExitCode;

pub(super) fn run_health(mut arguments: Vec<OsString>) -> ExitCode {
    let question = match arguments.first() {
        Some(first) if first == "alive" => {
            arguments.remove(0);
            Question::Alive
        }
        _ => Question::Ready,
    };
    let config = match Invocation::parse(arguments, variable, &read_config) {
        Ok(Invocation::Serve(running)) => running.config,
        Ok(Invocation::Help | Invocation::Version) => {
            return print(config::TABLE.help().as_bytes());
        }
        Err(bad) => {
            eprintln!("parlor health: {bad}");
            return misused();
        }
    };
    // One loop serves all listeners: the first answers for all.
    let Some(listener) = config.net.listen.first() else {
        eprintln!("parlor health: the server listens nowhere");
        return misused();
    };
    match health::ask(question, listener, config.http.proxy_protocol) {
        Ok(answer) => print(format!("{answer}\n").as_bytes()),
        Err(why) => {
            eprintln!("parlor health: {why}");
            FAILED
        }
    }
}
