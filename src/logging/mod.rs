//! The log: lines on standard error, for people, for the journal of systemd, or as JSON. Owns the
//! filters and what bounds repetition. Knows no server; what a line says is the caller's matter, and
//! none of them passes a message, a token or a password.

mod line;
mod repeat;
mod settings;

use crate::id::Millis;
use env_filter::{Builder, Filter};
use line::Line;
use log::{Level, LevelFilter, Log, Metadata, Record};
use repeat::{Repeats, Verdict};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

pub use settings::{Format, Sink};

/// What the program itself reports, without a target of its own.
const OWN: &str = "parlor";

/// What the log needs of the process.
#[derive(Clone, Copy)]
pub struct Surroundings {
    /// The time of day.
    pub clock: fn() -> Millis,
    /// Writes a line, with its end, to standard error.
    pub write: fn(&str),
}

struct Logger {
    filter: RwLock<Filter>,
    sink: RwLock<Sink>,
    surroundings: Surroundings,
    repeats: Mutex<Repeats>,
    /// Lines were left out, and the log has not said so.
    has_left_out: AtomicBool,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Lines go to standard error from here on. The first call counts.
pub fn start(filters: &str, sink: Sink, surroundings: Surroundings) {
    let logger = LOGGER.get_or_init(|| Logger {
        filter: RwLock::new(filter(filters)),
        sink: RwLock::new(sink),
        surroundings,
        repeats: Mutex::default(),
        has_left_out: AtomicBool::new(false),
    });
    // It fails if there is one already, which is this one.
    let _ = log::set_logger(logger);
    set_filters(filters);
}

/// Other filters, in the form of env_logger: `warn`, `parlor=debug`.
pub fn set_filters(filters: &str) {
    let Some(logger) = LOGGER.get() else {
        return;
    };
    let filter = filter(filters);
    log::set_max_level(filter.filter());
    *logger
        .filter
        .write()
        .unwrap_or_else(PoisonError::into_inner) = filter;
}

/// Lines have this form from here on.
pub fn set_sink(sink: Sink) {
    if let Some(logger) = LOGGER.get() {
        *logger.sink.write().unwrap_or_else(PoisonError::into_inner) = sink;
    }
}

/// A line of the program itself, which no filter leaves out.
pub fn say(level: Level, text: &str) {
    if let Some(logger) = LOGGER.get() {
        logger.write(&Line {
            level,
            target: OWN,
            message: text,
            fields: &[],
        });
    }
}

/// Says how many lines were left out, where the minute is over or `is_end`. Cheap if there are none.
pub fn settle(is_end: bool) {
    if let Some(logger) = LOGGER.get()
        && logger.has_left_out.load(Ordering::Relaxed)
    {
        logger.settle(is_end);
    }
}

/// Checks filters, of which env_filter would ignore what is wrong, and take a misspelt level for the
/// name of a target.
///
/// # Errors
/// What is allowed.
pub fn parse_filters(value: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let is_filter = |filter: &str| match filter.split_once('=') {
        Some((_, level)) => is_level(level),
        None => is_level(filter) || filter == "parlor" || filter.contains("::"),
    };
    let (filters, _text) = value.split_once('/').unwrap_or((value, ""));
    if filters.split(',').map(str::trim).all(is_filter) {
        Ok(value.to_owned())
    } else {
        Err(String::from(
            "expected error, warn, info, debug, trace or off, or TARGET=LEVEL, separated by commas",
        ))
    }
}

fn filter(filters: &str) -> Filter {
    let mut builder = Builder::new();
    builder.parse(filters);
    // Its trace and debug lines contain what members write.
    builder.filter_module("tungstenite", LevelFilter::Warn);
    builder.build()
}

impl Logger {
    fn now(&self) -> Millis {
        (self.surroundings.clock)()
    }

    fn filter(&self) -> std::sync::RwLockReadGuard<'_, Filter> {
        self.filter.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, line: &Line<'_>) {
        let sink = *self.sink.read().unwrap_or_else(PoisonError::into_inner);
        (self.surroundings.write)(&line.render(sink, self.now()));
    }

    fn settle(&self, is_end: bool) {
        let now = self.now();
        let mut repeats = self.repeats();
        let over = repeats.settle(now, is_end);
        let has_more = repeats.have_left_out();
        self.has_left_out.store(has_more, Ordering::Relaxed);
        drop(repeats);
        for left_out in over {
            self.write(&Line {
                level: left_out.level,
                target: &left_out.target,
                message: &left_out.sentence(),
                fields: &[],
            });
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.filter().matches(record) {
            return;
        }
        if self.has_left_out.load(Ordering::Relaxed) {
            self.settle(false);
        }
        let now = self.now();
        let message = match self.repeats().comes(record, now) {
            Verdict::Written(message) => message,
            Verdict::LeftOut => return self.has_left_out.store(true, Ordering::Relaxed),
        };
        self.write(&Line {
            level: record.level(),
            target: record.target(),
            message: &message,
            fields: &line::fields(record),
        });
    }

    fn flush(&self) {}
}
