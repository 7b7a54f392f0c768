//! The program: options, wiring, exit codes. The only place that prints or exits.

use log::LevelFilter;
use parlor::config::{self, Config, Invocation};
use parlor::load::{self, LoadError, Screen, Verdict};
use parlor::log::Keeping;
use parlor::net::mio::{MioNet, raise_descriptor_limit};
use parlor::options;
use parlor::server::{Server, Turn, connections_within};
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Something outside the program is wrong, such as an address in use, or a second signal came.
const FAILED: ExitCode = ExitCode::FAILURE;
/// An option or a variable is wrong.
fn misused() -> ExitCode {
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let rest = |arguments: &mut Vec<OsString>| arguments.split_off(1);
    match arguments.first().and_then(|first| first.to_str()) {
        Some("load") => run_load(rest(&mut arguments)),
        Some("completions") => completions(&rest(&mut arguments)),
        Some("man") => manual(&rest(&mut arguments)),
        Some(_) | None => start(arguments),
    }
}

fn start(arguments: Vec<OsString>) -> ExitCode {
    match Invocation::parse(arguments, variable) {
        Ok(Invocation::Serve(config)) => serve(*config),
        Ok(Invocation::Help) => print(config::TABLE.help().as_bytes()),
        Ok(Invocation::Version) => {
            print(concat!("parlor ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())
        }
        Err(bad) => {
            eprintln!("parlor: {bad}");
            misused()
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the environment is read"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn completions(arguments: &[OsString]) -> ExitCode {
    let [shell] = arguments else {
        eprintln!("parlor completions: which shell? It is bash, elvish, fish, powershell or zsh");
        return misused();
    };
    let program = config::TABLE
        .described("parlor")
        .subcommand(load::described("load"));
    let program = options::with_printers(program, &["load"]);
    match options::completions(program, &shell.to_string_lossy()) {
        Ok(script) => print(&script),
        Err(sentence) => {
            eprintln!("parlor completions: {sentence}");
            misused()
        }
    }
}

fn manual(arguments: &[OsString]) -> ExitCode {
    let page = match arguments {
        [] => config::TABLE.described("parlor"),
        [which] if which == "load" => load::described("parlor-load"),
        _ => {
            eprintln!("parlor man: expected nothing more, or load");
            return misused();
        }
    };
    match options::manual(page) {
        Ok(page) => print(&page),
        Err(error) => {
            eprintln!("parlor man: {error}");
            FAILED
        }
    }
}

fn print(text: &[u8]) -> ExitCode {
    // A reader that closed our standard output does not want the rest.
    let _ = io::stdout().write_all(text);
    ExitCode::SUCCESS
}

fn run_load(arguments: Vec<OsString>) -> ExitCode {
    let screen = Screen {
        output: &mut io::stdout(),
        errors: &mut io::stderr(),
        is_terminal: io::stderr().is_terminal(),
    };
    match load::run(arguments, screen) {
        Ok(Verdict::AsExpected) => ExitCode::SUCCESS,
        Ok(Verdict::NotAsExpected) => FAILED,
        Err(LoadError::Misused(bad)) => {
            eprintln!("parlor load: {bad}");
            misused()
        }
        Err(LoadError::System(why)) => {
            eprintln!("parlor load: {why}");
            FAILED
        }
    }
}

fn serve(config: Config) -> ExitCode {
    start_logging(&config.log_filters);
    let descriptors = raise_descriptor_limit();
    let net = match MioNet::bind(&config.net) {
        Ok(net) => net,
        Err(error) => {
            eprintln!("parlor: {error}");
            return FAILED;
        }
    };
    let mut seed = [0; 8];
    let mut random = [0; 36];
    for bytes in [&mut seed[..], &mut random] {
        if let Err(error) = getrandom::fill(bytes) {
            eprintln!("parlor: the system gives no random numbers: {error}");
            return FAILED;
        }
    }
    let fitting = connections_within(descriptors);
    let max_connections = config.max_connections.unwrap_or(fitting);
    if max_connections > fitting {
        eprintln!(
            "parlor: --max-connections {max_connections} is more than the limit of {descriptors} \
             open files leaves room for ({fitting}); raise it with ulimit -n or LimitNOFILE="
        );
        return FAILED;
    }
    for address in net.addresses() {
        let _ = writeln!(io::stdout(), "parlor is listening on {address}");
    }
    run(Server::new(
        config,
        net,
        max_connections,
        u64::from_ne_bytes(seed),
        Keeping::in_memory(random),
    ))
}

fn run(mut server: Server<MioNet>) -> ExitCode {
    loop {
        match server.turn() {
            Turn::Again => {}
            Turn::Report => {
                // The reader of standard error may be gone, which is no reason to end.
                let _ = writeln!(io::stderr(), "parlor: {}", server.summary());
            }
            Turn::Stopped => return ExitCode::SUCCESS,
            Turn::Aborted => return FAILED,
        }
    }
}

fn start_logging(filters: &str) {
    env_logger::Builder::new()
        .parse_filters(filters)
        // Its trace and debug lines contain what members write.
        .filter_module("tungstenite", LevelFilter::Warn)
        .init();
}
