//! The program starts here. What it does with its arguments is in `program`.

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::run()
}
