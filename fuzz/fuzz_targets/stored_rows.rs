//! A store whose tables have any rows, as one that others wrote to, or that was damaged in a way that
//! SQLite does not notice: opening and reading it ends in answers or in an error, never in a panic,
//! and what it hands to the chat leaves that whole. Follows the tables as they are.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use parlor::chat::{Chat, Effects, RoomName, Settings};
use parlor::id::{ConnId, Millis, RoomId, Seq, Tick};
use parlor::log::{Answer, Request, Store, StoredRoom};
use parlor::store::{self, Clocks, Handle, Surroundings};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A row for one of the tables: a value for each column, as far as there are some.
#[derive(Arbitrary, Debug)]
struct Row<'a> {
    table: u8,
    cells: Vec<Cell<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Cell<'a> {
    Null,
    /// The same numbers are rooms, accounts and sequence numbers.
    Small(u8),
    /// An entry's id.
    Id(u8, u8),
    Number(i64),
    Word(u8),
    Text(&'a str),
    Bytes(&'a [u8]),
}

const WORDS: [&str; 16] = [
    "",
    "lobby",
    "ann",
    "ANN",
    "bob",
    "nick:ann",
    "nick:",
    "account:1",
    "account:0",
    "account:4294967296",
    "address:192.0.2.0/24",
    "address:2001:db8::/64",
    "address:::/200",
    "changes",
    "accounts",
    "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAA",
];

impl Cell<'_> {
    /// In the type of the column, if it can have that.
    fn value(&self, kind: &str) -> Value {
        let number = match self {
            Self::Small(number) => i64::from(*number % 8),
            Self::Id(room, seq) => i64::from(*room % 4) << 32 | i64::from(*seq % 16),
            Self::Number(number) => *number,
            Self::Word(index) => i64::from(*index),
            Self::Null | Self::Text(_) | Self::Bytes(_) => return self.text(kind),
        };
        match kind {
            "INTEGER" => Value::Integer(number),
            _ => self.text(kind),
        }
    }

    fn text(&self, kind: &str) -> Value {
        let text = match self {
            Self::Null => return Value::Null,
            Self::Text(text) => (*text).to_owned(),
            Self::Bytes(bytes) if kind == "BLOB" => return Value::Blob(bytes.to_vec()),
            Self::Bytes(_) => return Value::Null,
            Self::Small(index) | Self::Word(index) | Self::Id(index, _) => {
                WORDS[usize::from(*index) % WORDS.len()].to_owned()
            }
            Self::Number(number) => number.to_string(),
        };
        match kind {
            "BLOB" => Value::Blob(text.into_bytes()),
            _ => Value::Text(text),
        }
    }
}

fn wall() -> Millis {
    Millis(1_700_000_000_000)
}

/// Opens the store. The receiver gets something when there are answers.
fn open(directory: &Path) -> Option<(parlor::log::Started, Handle, Receiver<()>)> {
    let (wake, woken) = channel();
    let surroundings = Surroundings {
        clocks: Clocks {
            wall,
            moment: Instant::now,
        },
        random: [7; 36],
        wake: Box::new(move || wake.send(()).unwrap_or_default()),
        report: |_| {},
    };
    let settings = store::Settings {
        sync: store::StoreSync::Normal,
        low_disk_bytes: 0,
        ..store::Settings::in_directory(directory.to_owned())
    };
    let (started, handle) = store::open(&settings, surroundings).ok()?;
    Some((started, handle, woken))
}

/// Adds rows as another program would. What the tables refuse is left out.
fn write(file: &Path, rows: &[Row<'_>]) {
    let db = Connection::open(file).expect("the file is there");
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let names = |sql: &str, column| -> Vec<String> {
        let mut statement = db.prepare(sql).expect("a query");
        let names = statement.query_map([], |row| row.get(column));
        names
            .expect("rows")
            .map(|name| name.expect("a name"))
            .collect()
    };
    let tables = names(tables, 0);
    for row in rows {
        let table = &tables[usize::from(row.table) % tables.len()];
        let kinds = names(&format!("PRAGMA table_info({table})"), 2);
        let null = Cell::Null;
        let cells = row.cells.iter().chain(std::iter::repeat(&null));
        let values = kinds.iter().zip(cells).map(|(kind, cell)| cell.value(kind));
        let marks = vec!["?"; kinds.len()].join(", ");
        let sql = format!("REPLACE INTO {table} VALUES ({marks})");
        let values = rusqlite::params_from_iter(values);
        let _refused = db.execute(&sql, values);
    }
}

/// Asks for all that clients can ask of a store, and waits for the answers.
fn ask(handle: &mut Handle, woken: &Receiver<()>) {
    let room = RoomId::new(0, 0);
    let read = |stored_room, after| Request::Read {
        room,
        stored_room: StoredRoom(stored_room),
        log_gen: 1,
        after: Seq(after),
        entries_max: 20,
        bytes_max: 4_000,
    };
    let search = Request::Search {
        tag: 1,
        stored_room: StoredRoom(1),
        words: String::from("a"),
        before: Seq(u32::MAX),
        entries_max: 5,
    };
    let mut requests = vec![
        Request::Keys { session: 1 },
        read(0, 0),
        read(1, 0),
        read(2, 3),
        read(3, u32::MAX - 1),
        search,
    ];
    for name in ["", "lobby", "ann"] {
        let name = name.into();
        requests.push(Request::Open { room, name });
    }
    let expected = requests.len();
    handle.send(&mut requests);
    let mut answers: Vec<Answer> = Vec::new();
    while answers.len() < expected {
        let is_woken = woken.recv_timeout(Duration::from_secs(60)).is_ok();
        assert!(is_woken, "no answer comes: {answers:?}");
        handle.receive(&mut answers);
    }
}

/// A chat that begins with what was stored, and two users.
fn chat(started: parlor::log::Started) {
    let mut chat = Chat::new(&Settings::default(), 1);
    chat.restore(started.registry);
    chat.check_invariants();
    let mut effects = Effects::new();
    for (slot, nick) in (0..).zip(["ann", "bob"]) {
        let id = ConnId::new(slot, 0);
        let _refused = chat.enter(id, Some(nick), 0, Tick(0));
        let lobby = RoomName::parse("lobby").expect("a room").into_smol_str();
        let room = RoomId::new(0, 0);
        let _joined = chat.join(id, room, &lobby, Tick(0), &mut effects);
        chat.check_invariants();
    }
}

fn directory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    };
    parent.join(format!("parlor-fuzz-{}", std::process::id()))
}

fuzz_target!(|rows: Vec<Row<'_>>| {
    let directory = directory();
    let _ = std::fs::remove_dir_all(&directory);
    drop(open(&directory).expect("an empty directory"));
    write(&directory.join("parlor.db"), &rows);
    if let Some((started, mut handle, woken)) = open(&directory) {
        ask(&mut handle, &woken);
        chat(started);
    }
    let _ = std::fs::remove_dir_all(&directory);
});
