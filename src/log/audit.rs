//! A row of the audit log as a JSON line, for whatever keeps the rows. Knows no store.

use crate::chat::registry::AuditRow;
use std::fmt::Write as _;

/// Rows that go into one answer.
pub const AUDIT_PART_ROWS: u32 = 500;

/// A row as a line. The names are those of `parlor.v1.json`.
pub fn audit_line(row: &AuditRow, to: &mut String) {
    let audit = &row.audit;
    let json = |text: &str| serde_json::Value::from(text);
    // Writing to a string does not fail.
    let _ = write!(
        to,
        "{{\"number\":{},\"at\":{},\"by\":{},\"action\":{}",
        row.number,
        row.at.0,
        json(&audit.by),
        json(&audit.action)
    );
    if let Some(room) = &audit.room {
        let _ = write!(to, ",\"room\":{}", json(room));
    }
    let (target, detail) = (json(&audit.target), json(&audit.detail));
    let _ = write!(to, ",\"target\":{target},\"detail\":{detail}");
    if let Some(until) = audit.until {
        let _ = write!(to, ",\"until\":{}", until.0);
    }
    to.push_str("}\n");
}
