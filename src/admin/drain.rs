//! `parlor drain`: asks the running server to send its members away and to end. Knows no store.

use super::Place;
use super::commands::Screen;
use super::order::reach;

/// Asks the server to drain, and writes what it begins with. Does not wait for the end.
///
/// # Errors
/// A sentence.
pub fn drain(place: &Place, screen: &mut Screen<'_>) -> Result<(), String> {
    let answer = reach(place)?.ask("POST", "/drain", "")?.json()?;
    let number = |name: &str| answer[name].as_u64().unwrap_or_default();
    screen.print(&format!(
        "the server accepts no client any more; {} members are sent away within {} seconds\n",
        number("members"),
        number("seconds")
    ))
}
