//! The files that a setting names and that are read whole before anything listens: operators and
//! words. Does not know their form: the chat does.

use parlor::chat::{Filter, Operator};
use parlor::config::Config;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads the files with operators and words, before anything listens.
pub(super) fn read_lists(config: &mut Config) -> Result<(), String> {
    if let Some(path) = &config.operators {
        let operators = Operator::parse_list(&read_list("--operators", path)?);
        let shown = path.display();
        config.chat.operators = operators.map_err(|why| format!("--operators {shown}: {why}"))?;
    }
    if let Some(path) = &config.word_filter {
        let filter = Filter::parse(&read_list("--word-filter", path)?);
        let shown = path.display();
        let filter = filter.map_err(|why| format!("--word-filter {shown}: {why}"))?;
        config.chat.filter = Some(filter);
    }
    Ok(())
}

/// The longest file that is read: a million words.
const LIST_BYTES_MAX: u64 = 16 << 20;

fn read_list(option: &str, path: &Path) -> Result<String, String> {
    let wrong = |why: &dyn fmt::Display| format!("{option} {}: {why}", path.display());
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let mut text = String::new();
    let read = file.take(LIST_BYTES_MAX + 1).read_to_string(&mut text);
    match read {
        Ok(bytes) if bytes as u64 <= LIST_BYTES_MAX => Ok(text),
        Ok(_) => Err(wrong(&"the file is longer than 16 MiB")),
        Err(error) => Err(wrong(&error)),
    }
}
