//! Erases remnants of messages that were deleted. `secure_delete` overwrites a row where it lies, and
//! not the copy that stays behind in the unused part of a page when SQLite moves rows to another
//! one, as it does where a page is split. So the file is read page by page after a deletion, and a
//! page with bytes in its unused part is made to overwrite it: a row of it grows by all the space
//! there is, and shrinks again. Knows the format of a leaf of a table (SQLite's fileformat2.html
//! §1.6), and no message.
//!
//! To be called with an empty write-ahead log: then the file has the present pages.

use super::error::{Fault, FaultKind};
use super::schema::pragma;
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Pages of one step: 1 MiB, which takes some 0.3 ms if none of them has remnants.
const STEP_PAGES: u32 = 256;
/// The first byte of a leaf of a table.
const LEAF: u8 = 0x0D;
/// What comes before the pointers to the cells of a leaf.
const HEADER_BYTES: usize = 8;
/// Ids of entries are above all other row ids.
const ENTRY_MIN: u64 = 1 << 32;
/// What the pointers of cells that have gone leave is no text.
const POINTERS_BYTES: usize = 4;

/// Reads the file from its first to its last page.
#[derive(Debug)]
pub(super) struct Remnants {
    /// Stays open until the database is closed: when a process closes a file, SQLite's locks on it
    /// are gone.
    file: File,
    page_bytes: usize,
    /// The pages before this one are done.
    done: u32,
    buffer: Vec<u8>,
}

impl Remnants {
    pub(super) fn new(db: &Connection, path: &Path) -> Result<Self, Fault> {
        let file = File::open(path).map_err(|error| Fault {
            kind: FaultKind::Other,
            why: error.to_string(),
        })?;
        let page_bytes = db.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        Ok(Self {
            file,
            page_bytes,
            done: 0,
            buffer: Vec::new(),
        })
    }

    /// Begins again with the first page.
    pub(super) fn begin(&mut self) {
        self.done = 0;
    }

    /// Goes on with some pages. False: that were the last.
    pub(super) fn step(&mut self, db: &Connection) -> Result<bool, Fault> {
        let page_bytes = self.page_bytes;
        self.buffer.resize(page_bytes * STEP_PAGES as usize, 0);
        let from = u64::from(self.done) * page_bytes as u64;
        let mut read = 0;
        while read < self.buffer.len() {
            match self
                .file
                .read_at(&mut self.buffer[read..], from + read as u64)
            {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) => {
                    return Err(Fault {
                        kind: FaultKind::Other,
                        why: error.to_string(),
                    });
                }
            }
        }
        let pages = self.buffer[..read].chunks_exact(page_bytes);
        // The first page of the file has the list of tables, and a header of its own.
        let is_first = self.done == 0;
        let rows: Vec<Growth> = pages
            .skip(usize::from(is_first))
            .filter_map(|page| Leaf::read(page)?.growth())
            .collect();
        if !rows.is_empty() {
            overwrite(db, &rows)?;
        }
        let is_last = read < self.buffer.len();
        self.done += STEP_PAGES;
        if is_last {
            self.buffer = Vec::new();
        }
        Ok(!is_last)
    }
}

/// A row, and by how many bytes its cell may grow in its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Growth {
    id: i64,
    payload: usize,
    bytes: usize,
    payload_max: usize,
}

/// In one transaction, whose pages are written with their unused part overwritten.
fn overwrite(db: &Connection, rows: &[Growth]) -> Result<(), Fault> {
    let before = pragma_number(db, "synchronous")?;
    pragma(db, "synchronous = NORMAL")?;
    let result = (|| {
        let transaction = db.unchecked_transaction()?;
        for row in rows {
            let body: Option<String> = db
                .prepare_cached("SELECT body FROM messages WHERE id = ?")?
                .query_row([row.id], |found| found.get(0))
                .optional()?;
            if let Some(body) = body {
                let mut update = db.prepare_cached("UPDATE messages SET body = ? WHERE id = ?")?;
                let filling = " ".repeat(row.filling(body.len()));
                update.execute(params![format!("{body}{filling}"), row.id])?;
                update.execute(params![body, row.id])?;
            }
        }
        Ok(transaction.commit()?)
    })();
    pragma(db, &format!("synchronous = {before}"))?;
    result
}

fn pragma_number(db: &Connection, name: &str) -> Result<i64, Fault> {
    Ok(db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
}

impl Growth {
    /// By how many bytes a body becomes longer, so that the cell grows by all the bytes that it
    /// may: the numbers that state its length may grow, too.
    fn filling(&self, body: usize) -> usize {
        // Of the other columns, whose lengths stay.
        let fixed = self.payload.saturating_sub(body + text_type(body));
        let payload = |body: usize| fixed + text_type(body) + body;
        let cell = |body: usize| varint_bytes(payload(body) as u64) + payload(body);
        let most = cell(body) + self.bytes;
        let mut filled = body + self.bytes;
        while filled > body && (cell(filled) > most || payload(filled) > self.payload_max) {
            filled -= 1;
        }
        filled - body
    }
}

/// The length of the number that states the length of a text in a row.
const fn text_type(bytes: usize) -> usize {
    varint_bytes(2 * bytes as u64 + 13)
}

const fn varint_bytes(mut value: u64) -> usize {
    let mut bytes = 1;
    while value >= 128 && bytes < 9 {
        value >>= 7;
        bytes += 1;
    }
    bytes
}

/// SQLite's numbers of variable length, and how many bytes it has.
fn varint(from: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in from.iter().take(8).enumerate() {
        value = value << 7 | u64::from(byte & 0x7F);
        if *byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    Some((value << 8 | u64::from(*from.get(8)?), 9))
}

/// A cell whose row is in its page as a whole.
#[derive(Clone, Copy)]
struct Cell {
    at: usize,
    payload: usize,
    bytes: usize,
    id: u64,
}

/// A leaf of the table of entries that has something in its unused part.
struct Leaf {
    cells: Vec<Cell>,
    /// Bytes between the pointers and the first cell.
    gap: usize,
    /// All unused bytes.
    free: usize,
    /// Where the first cell begins.
    content: usize,
    payload_max: usize,
}

impl Leaf {
    /// `None`: the page is none, is not as it should be, or has no remnants.
    fn read(page: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = page.get(at..at + 2)?;
            Some(usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
        };
        if *page.first()? != LEAF {
            return None;
        }
        let count = word(3)?;
        let content = word(5)?;
        let end = HEADER_BYTES + 2 * count;
        let gap = page.get(end..content)?;
        if count == 0 || gap.iter().skip(POINTERS_BYTES).all(|byte| *byte == 0) {
            return None;
        }
        // A longer row continues on pages of its own.
        let payload_max = page.len() - 35;
        let mut cells = Vec::new();
        for index in 0..count {
            let at = word(HEADER_BYTES + 2 * index)?;
            let (payload, first) = varint(page.get(at..)?)?;
            let (id, second) = varint(page.get(at + first..)?)?;
            let payload = usize::try_from(payload).ok()?;
            if payload <= payload_max && id >= ENTRY_MIN {
                cells.push(Cell {
                    at,
                    payload,
                    bytes: first + second + payload,
                    id,
                });
            }
        }
        let mut free = gap.len() + usize::from(*page.get(7)?);
        let mut block = word(1)?;
        let mut blocks = 0;
        while block != 0 {
            free += word(block + 2)?;
            block = word(block)?;
            blocks += 1;
            if blocks > page.len() / 4 {
                return None;
            }
        }
        Some(Self {
            cells,
            gap: gap.len(),
            free,
            content,
            payload_max,
        })
    }

    /// Which row is to grow, and by how much. The shortest one that is not the first in the page
    /// leaves a hole, so that SQLite must put all unused bytes together, and overwrites them.
    fn growth(&self) -> Option<Growth> {
        let others = self.cells.iter().filter(|cell| cell.at != self.content);
        let chosen = others.min_by_key(|cell| cell.bytes);
        let (cell, bytes) = match chosen {
            Some(cell) => (cell, self.free),
            None if self.free == self.gap => (self.cells.first()?, self.gap),
            None => (self.cells.first()?, self.free),
        };
        Some(Growth {
            id: i64::try_from(cell.id).ok()?,
            payload: cell.payload,
            bytes,
            payload_max: self.payload_max,
        })
    }
}
