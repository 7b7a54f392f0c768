//! A run of the tester in which the server is killed and started again: the tester pauses, says so
//! in its log, and goes on with the new process when it has read its number.

use super::now;
use super::servers::Running;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Runs the tester, which is killed after `most`; `again` starts the server again.
pub(crate) fn run_bounded(
    command: &mut Command,
    log: &Path,
    most: Duration,
    running: &mut Running,
    again: impl FnOnce(&mut Running) -> Result<(), String>,
) -> Result<(), String> {
    let mut tester = command
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let end = now() + most;
    let mut again = Some(again);
    loop {
        match tester.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it ended with {status}")),
            Err(error) => return Err(error.to_string()),
            Ok(None) if now() > end => {
                end_of(&mut tester);
                return Err(format!("it took longer than {} s", most.as_secs()));
            }
            Ok(None) => {}
        }
        let is_paused = || fs::read_to_string(log).is_ok_and(|text| text.contains("paused until"));
        if let Some(restart) = again.take_if(|_| is_paused()) {
            let resumed = restart(running).and_then(|()| {
                let input = tester.stdin.as_mut().ok_or("it has no input")?;
                writeln!(input, "{}", running.pid()).map_err(|error| error.to_string())
            });
            if let Err(why) = resumed {
                end_of(&mut tester);
                return Err(why);
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn end_of(tester: &mut Child) {
    // Fails if it ends by itself at this moment.
    let _ = tester.kill();
    let _ = tester.wait();
}
