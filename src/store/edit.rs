//! Changes of the registry in a store that no server uses. Knows no rule: what is changed is decided
//! by who calls.

use super::error::{Fault, StoreError};
use super::place::Place;
use super::{registry, schema};
use crate::chat::registry::{Change, Snapshot};
use std::path::Path;

/// Reads all facts, and keeps the changes that `edit` returns before this returns. The store is made
/// if it is not there: a first administrator may come before the first start. An error of `edit` is
/// returned in the result, and nothing has changed.
///
/// # Errors
/// A server uses the store, or it cannot be read or written.
pub fn edit_registry<R>(
    directory: &Path,
    edit: impl FnOnce(Snapshot) -> Result<(Vec<Box<Change>>, R), String>,
) -> Result<Result<R, String>, StoreError> {
    let place = Place::make(directory)?;
    let file = place.file();
    let wrong = |fault| StoreError::from_fault(&file, fault);
    let db = schema::open(&file, true)?;
    let kept = registry::read(&db).map_err(wrong)?;
    let (changes, result) = match edit(kept) {
        Ok(edited) => edited,
        Err(why) => return Ok(Err(why)),
    };
    let keep = || -> Result<(), Fault> {
        let transaction = db.unchecked_transaction()?;
        registry::change(&db, &changes)?;
        transaction.commit()?;
        schema::pragma(&db, "wal_checkpoint(TRUNCATE)")?;
        Ok(())
    };
    keep().map_err(wrong)?;
    Ok(Ok(result))
}
