//! A secret that a person types: asked for on a terminal, which does not show it, or read from what
//! standard input is otherwise. Knows not what the secret is for.

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};

/// Asks with `question`, and returns the first line of standard input without its end.
///
/// # Errors
/// Nothing can be read, or what is read is not UTF-8.
pub fn ask_secret(question: &str) -> io::Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return first_line(&mut input.lock());
    }
    let mut errors = io::stderr();
    write!(errors, "{question}: ")?;
    errors.flush()?;
    let shown = tcgetattr(&input)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &hidden)?;
    let line = first_line(&mut input.lock());
    tcsetattr(&input, OptionalActions::Flush, &shown)?;
    writeln!(errors)?;
    line
}

fn first_line(input: &mut dyn BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_ends_with_its_line_and_keeps_its_spaces() {
        for (input, expected) in [
            ("correct horse \nmore", "correct horse "),
            ("correct horse\r\n", "correct horse"),
            ("correct horse", "correct horse"),
            ("", ""),
        ] {
            let line = first_line(&mut io::Cursor::new(input)).expect("a line");
            assert_eq!(line, expected);
        }
    }
}
