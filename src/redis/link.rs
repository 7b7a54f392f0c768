//! One connection to Redis, without its socket: from the handshake to the last answer. Owns the
//! bytes to be sent, what was asked and when, and what the server turned out to be. Knows no room.
//!
//! A link is healthy while its oldest request is young. So that there is one, a link on which
//! nothing is asked reads the clock of Redis (`TIME`) each second. That a socket is open says nothing.
//!
//! What was sent on a link that has ended may be carried out late, as when the network comes back:
//! by [`Link::deadline`] a script knows that it is too late.

use super::resp::{Broken, List, Replies, Value, command};
use super::scripts::{Loaded, Script};
use super::settings::Settings;
use crate::chance::Chance;
use crate::id::{Millis, Tick};
use smol_str::SmolStr;
use std::collections::VecDeque;

/// An answer that takes longer ends the link: 5 s.
const ANSWER_TICKS: u32 = 50;
/// So does a connection that is not established: 5 s.
const CONNECT_TICKS: u32 = 50;
/// A link on which nothing is asked is probed so often: 1 s.
const PROBE_TICKS: u32 = 10;
/// The clock of Redis is read so often at least, for it goes at another speed than ours: 10 s.
const CLOCK_TICKS: u32 = 100;
/// Of a run's id, which has 40 hexadecimal digits.
const RUN_LEN: usize = 16;
/// The longest pause between two attempts, about: 5 s.
const PAUSE_TICKS_MAX: u32 = 50;
/// Memory that is kept for the next commands.
const KEPT_BYTES: usize = 64 * 1024;

/// The two connections: what is published comes on the second alone, so that no page delays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Commands,
    Subscriptions,
}

impl Which {
    pub const BOTH: [Self; 2] = [Self::Commands, Self::Subscriptions];

    const fn word(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Subscriptions => "subscriptions",
        }
    }
}

/// What must be done with the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is none, and none is wanted before this.
    Down {
        until: Tick,
    },
    /// The driver connects.
    Connecting {
        since: Tick,
    },
    Shaking,
    Ready,
    /// The driver must close it.
    Closing {
        until: Tick,
    },
}

/// What was asked.
#[derive(Debug)]
pub(super) enum Asked<A> {
    Shake(Step),
    Probe,
    Other(A),
}

/// A step of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Hello,
    Role,
    Info,
    Setting(&'static str),
    Load(Script),
    Time,
}

/// The settings of Redis that are checked, on one of the links.
const CHECKED: [&str; 5] = [
    "maxmemory-policy",
    "appendonly",
    "appendfsync",
    "aof-load-truncated",
    "stream-node-max-bytes",
];

/// Why a link cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It may be well at the next attempt.
    Broken(String),
    /// Not before an operator sets up Redis or this server in another way.
    Unfit(String),
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Self::Broken(format!("the answer of Redis cannot be read: {broken}"))
    }
}

/// What the clock of Redis said, and when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    asked: Tick,
    at: Millis,
}

/// What the server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) run: SmolStr,
    /// As in "Redis 7.0.15".
    pub(super) version: String,
    is_append_only: bool,
    is_truncated_log_loaded: bool,
    /// It may load half of a transaction after a power failure.
    halves: bool,
}

/// One connection, on which values of `A` remember what was asked.
#[derive(Debug)]
pub(super) struct Link<A> {
    which: Which,
    state: State,
    /// To be sent, from `written` on.
    out: Vec<u8>,
    written: usize,
    pub(super) replies: Replies,
    asked: VecDeque<(Tick, Asked<A>)>,
    /// When something was asked last.
    asked_at: Tick,
    /// When the clock of Redis was.
    probed_at: Tick,
    pub(super) server: Server,
    clock: Option<Clock>,
    pub(super) loaded: Loaded,
    /// Attempts since it was ready.
    attempts: u32,
    /// How often it was connected.
    pub(super) number: u32,
}

impl<A> Link<A> {
    pub(super) fn new(which: Which, now: Tick) -> Self {
        Self {
            which,
            state: State::Down { until: now },
            out: Vec::new(),
            written: 0,
            replies: Replies::default(),
            asked: VecDeque::new(),
            asked_at: now,
            probed_at: now,
            server: Server::default(),
            clock: None,
            loaded: Loaded::default(),
            attempts: 0,
            number: 0,
        }
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Whether there is a socket, or the driver was asked for one.
    pub(super) const fn is_there(&self) -> bool {
        matches!(
            self.state,
            State::Connecting { .. } | State::Shaking | State::Ready
        )
    }

    /// Whether the driver must close the socket. Asked once.
    pub(super) fn must_close(&mut self) -> bool {
        let State::Closing { until } = self.state else {
            return false;
        };
        self.state = State::Down { until };
        true
    }

    /// Whether the driver must connect. Asked once.
    pub(super) fn must_connect(&mut self, now: Tick) -> bool {
        match self.state {
            State::Down { until } if until <= now => {
                self.state = State::Connecting { since: now };
                true
            }
            _ => false,
        }
    }

    /// The socket is there: what the server is must be known before anything is asked.
    pub(super) fn connected(&mut self, settings: &Settings, now: Tick) {
        if !matches!(self.state, State::Connecting { .. }) {
            return;
        }
        self.state = State::Shaking;
        self.number = self.number.wrapping_add(1);
        self.say_hello(settings, now);
        self.shake(Step::Role, &[b"ROLE"], now);
        self.shake(Step::Info, &[b"INFO", b"server"], now);
        if self.which == Which::Commands {
            for name in CHECKED {
                let words = [&b"CONFIG"[..], b"GET", name.as_bytes()];
                self.shake(Step::Setting(name), &words, now);
            }
        }
        for script in Script::ALL {
            let words = [&b"SCRIPT"[..], b"LOAD", script.text().as_bytes()];
            self.shake(Step::Load(script), &words, now);
        }
        self.shake(Step::Time, &[b"TIME"], now);
        self.probed_at = now;
    }

    fn say_hello(&mut self, settings: &Settings, now: Tick) {
        let name = format!("{}-{}", settings.client_name, self.which.word());
        let mut words: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = &settings.password {
            let user = settings.user.as_deref().unwrap_or("default");
            words.extend([&b"AUTH"[..], user.as_bytes(), password.as_bytes()]);
        }
        words.extend([&b"SETNAME"[..], name.as_bytes()]);
        self.shake(Step::Hello, &words, now);
    }

    fn shake(&mut self, step: Step, words: &[&[u8]], now: Tick) {
        command(&mut self.out, words);
        self.note(Asked::Shake(step), now);
    }

    /// Writes a command with `write`, and remembers what it asks for.
    pub(super) fn ask(&mut self, asked: A, now: Tick, write: impl FnOnce(&mut Vec<u8>, &Loaded)) {
        write(&mut self.out, &self.loaded);
        self.note(Asked::Other(asked), now);
    }

    /// Writes a command whose answers are pushed.
    pub(super) fn tell(&mut self, words: &[&[u8]]) {
        command(&mut self.out, words);
    }

    fn note(&mut self, asked: Asked<A>, now: Tick) {
        self.asked_at = now;
        self.asked.push_back((now, asked));
    }

    /// By the clock of Redis: when a request that is made now must have been carried out. Later
    /// the link has ended, and the request may have been made again on another one.
    pub(super) fn deadline(&self, now: Tick) -> Millis {
        // One tick more, for both ends of the measure are rounded.
        let at = |clock: Clock| {
            let ticks = now.since(clock.asked) + ANSWER_TICKS + 1;
            Millis(clock.at.0 + u64::from(ticks) * Tick::MILLIS)
        };
        self.clock.map_or(Millis(0), at)
    }

    /// Takes the answer to a probe that was sent at `asked`.
    pub(super) fn probed(&mut self, value: Value<'_>, asked: Tick) -> Result<(), Fault> {
        let at = read_time(value)?;
        self.clock = Some(Clock { asked, at });
        Ok(())
    }

    /// What the next answer is of, and when it was asked.
    pub(super) fn answered(&mut self) -> Option<(Tick, Asked<A>)> {
        self.asked.pop_front()
    }

    /// What was asked and will not be answered.
    pub(super) fn drop_asked(&mut self) -> impl Iterator<Item = A> + use<A> {
        let asked = std::mem::take(&mut self.asked);
        asked.into_iter().filter_map(|(_, asked)| match asked {
            Asked::Other(asked) => Some(asked),
            Asked::Shake(_) | Asked::Probe => None,
        })
    }

    /// Takes an answer of the handshake. Sentences for the operator go into `warnings`. `true`: that
    /// was the last.
    pub(super) fn shaken(
        &mut self,
        (step, asked): (Step, Tick),
        value: Value<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<bool, Fault> {
        match step {
            Step::Hello => check_hello(value)?,
            Step::Role => check_role(value)?,
            Step::Info => self.server = read_info(value)?,
            Step::Setting(name) => self.check_setting(name, value, warnings)?,
            Step::Load(script) => match value {
                Value::Text(name) => self.loaded.set(script, name),
                other => return Err(refused("SCRIPT LOAD", other)),
            },
            Step::Time => self.probed(value, asked)?,
        }
        if !self.asked.is_empty() {
            return Ok(false);
        }
        self.state = State::Ready;
        Ok(true)
    }

    fn check_setting(
        &mut self,
        name: &str,
        value: Value<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<(), Fault> {
        let Value::List(mut list) = value else {
            warnings.push(format!(
                "the setting {name} of Redis cannot be checked: {}",
                said(value)
            ));
            return Ok(());
        };
        let Some(set) = list.nth(1).and_then(Value::text) else {
            return Ok(()); // A server that does not know the setting.
        };
        let set = String::from_utf8_lossy(set);
        match (name, &*set) {
            ("maxmemory-policy", "noeviction") => {}
            ("maxmemory-policy", _) => {
                return Err(Fault::Unfit(format!(
                    "Redis drops keys when its memory is full (maxmemory-policy is {set}), and \
                     with them messages: set maxmemory-policy to noeviction"
                )));
            }
            ("appendonly", _) => self.server.is_append_only = set == "yes",
            ("appendfsync", _) => self.check_fsync(&set, warnings),
            ("aof-load-truncated", _) => self.server.is_truncated_log_loaded = set == "yes",
            ("stream-node-max-bytes", "4096") => warnings.push(String::from(
                "a room takes 4.3 KB of Redis from its first message on: with \
                 stream-node-max-bytes 512 it takes 0.8 KB",
            )),
            _ => {}
        }
        if name == "aof-load-truncated"
            && self.server.is_append_only
            && self.server.is_truncated_log_loaded
            && self.server.halves
        {
            warnings.push(format!(
                "{} may load half of a transaction after a power failure and lose what follows it \
                 (valkey#4342): use Valkey 9.2 or later, or set aof-load-truncated to no",
                self.server.version
            ));
        }
        Ok(())
    }

    fn check_fsync(&self, set: &str, warnings: &mut Vec<String>) {
        if !self.server.is_append_only {
            warnings.push(String::from(
                "Redis keeps no log of its own (appendonly is no): a restart loses all messages \
                 since its last snapshot",
            ));
        } else if set != "always" {
            warnings.push(format!(
                "Redis loses the messages of about a second when it is killed or the power fails \
                 (appendfsync is {set}): with always it loses none that was acknowledged"
            ));
        }
    }

    /// Ends the link, and says when to try again.
    pub(super) fn end(&mut self, has_socket: bool, chance: &mut Chance, now: Tick) {
        if matches!(self.state, State::Ready) {
            self.attempts = 0;
        }
        let longest = (2_u32 << self.attempts.min(6)).min(PAUSE_TICKS_MAX);
        // Between half of it and all, so that servers do not come back in step.
        let pause = longest / 2 + chance.below(u64::from(longest / 2) + 1) as u32;
        let until = now + pause;
        self.state = if has_socket && self.is_there() {
            State::Closing { until }
        } else {
            State::Down { until }
        };
        self.attempts = self.attempts.saturating_add(1);
        self.out.clear();
        self.written = 0;
        self.replies.clear();
        self.server = Server::default();
    }

    // What waits to be sent

    pub(super) fn output(&self) -> &[u8] {
        &self.out[self.written..]
    }

    pub(super) fn wrote(&mut self, count: usize) {
        self.written += count;
        assert!(
            self.written <= self.out.len(),
            "more was sent than there is"
        );
        if self.written == self.out.len() {
            self.written = 0;
            self.out.clear();
            if self.out.capacity() > KEPT_BYTES {
                self.out = Vec::new();
            }
        } else if self.written > KEPT_BYTES {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.asked.len()
    }

    /// For how many ticks the oldest request has been waiting.
    pub(super) fn lag(&self, now: Tick) -> u32 {
        let oldest = self.asked.front();
        oldest.map_or(0, |(since, _)| now.since(*since))
    }

    // Time

    /// Sends a probe where one is due. `Some`: the link must end.
    pub(super) fn expire(&mut self, now: Tick) -> Option<String> {
        match self.state {
            State::Connecting { since } if since + CONNECT_TICKS <= now => {
                return Some(String::from("it was not reached within 5 s"));
            }
            State::Down { .. } | State::Closing { .. } | State::Connecting { .. } => return None,
            State::Shaking | State::Ready => {}
        }
        if self.lag(now) >= ANSWER_TICKS {
            return Some(String::from("it did not answer within 5 s"));
        }
        if self.is_ready() && self.probe_due() <= now {
            command(&mut self.out, &[b"TIME"]);
            self.probed_at = now;
            self.note(Asked::Probe, now);
        }
        None
    }

    /// When the next probe is due, if no other request comes before.
    fn probe_due(&self) -> Tick {
        let clock = self.probed_at + CLOCK_TICKS;
        if self.asked.is_empty() {
            clock.min(self.asked_at + PROBE_TICKS)
        } else {
            clock
        }
    }

    /// When [`Link::expire`], or an attempt to connect, is due.
    pub(super) fn next_tick(&self) -> Option<Tick> {
        match (self.state, self.asked.front()) {
            (State::Down { until }, _) => Some(until),
            (State::Connecting { since }, _) => Some(since + CONNECT_TICKS),
            (State::Closing { .. }, _) => None,
            (State::Shaking, None) => None,
            (State::Shaking, Some((since, _))) => Some(*since + ANSWER_TICKS),
            (State::Ready, Some((since, _))) => Some(self.probe_due().min(*since + ANSWER_TICKS)),
            (State::Ready, None) => Some(self.probe_due()),
        }
    }
}

/// An answer in a sentence.
pub(super) fn said(value: Value<'_>) -> String {
    match value {
        Value::Error(text) | Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}

fn refused(command: &str, value: Value<'_>) -> Fault {
    let text = said(value);
    let sentence = format!("Redis has refused {command}: {text}");
    if text.starts_with("NOPERM") {
        Fault::Unfit(sentence)
    } else {
        Fault::Broken(sentence)
    }
}

fn check_hello(value: Value<'_>) -> Result<(), Fault> {
    let Value::Error(text) = value else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(text);
    let is_unfit = ["WRONGPASS", "NOAUTH", "NOPERM", "NOPROTO"];
    if is_unfit.iter().any(|code| text.starts_with(code)) {
        return Err(Fault::Unfit(format!(
            "Redis does not let this server in: {text}"
        )));
    }
    if text.contains("unknown command") {
        return Err(Fault::Unfit(format!(
            "Redis 6.2 or later is needed, or Valkey: {text}"
        )));
    }
    Err(Fault::Broken(format!("Redis answers HELLO with: {text}")))
}

/// A replica takes no messages: it may be about to become the master, or the other way.
fn check_role(value: Value<'_>) -> Result<(), Fault> {
    let Value::List(mut list) = value else {
        return Err(refused("ROLE", value));
    };
    match list.next().and_then(Value::text) {
        Some(b"master") => Ok(()),
        Some(role) => Err(Fault::Broken(format!(
            "it is no master: its role is {}",
            String::from_utf8_lossy(role)
        ))),
        None => Err(Fault::Broken(String::from("it does not say its role"))),
    }
}

/// The answer of TIME: seconds and microseconds.
fn read_time(value: Value<'_>) -> Result<Millis, Fault> {
    let read = |mut list: List<'_>| Some((list.next()?.number()?, list.next()?.number()?));
    match value {
        Value::List(list) => read(list),
        _ => None,
    }
    .map(|(seconds, micros)| Millis(seconds * 1000 + micros / 1000))
    .ok_or_else(|| refused("TIME", value))
}

fn read_info(value: Value<'_>) -> Result<Server, Fault> {
    let Value::Text(text) = value else {
        return Err(refused("INFO server", value));
    };
    let text = String::from_utf8_lossy(text);
    let find = |name: &str| {
        let lines = text.lines();
        let mut found = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.next().map(str::trim)
    };
    // The beginning tells one run from another: it goes with each request.
    let run = find("run_id").map(|run| run.get(..RUN_LEN).unwrap_or(run));
    let run = run.filter(|run| !run.is_empty() && run.len() <= RUN_LEN);
    let run = run.ok_or_else(|| {
        Fault::Unfit(String::from(
            "Redis does not say its run_id in INFO server, without which a restart is not seen",
        ))
    })?;
    let (name, number) = match (find("valkey_version"), find("redis_version")) {
        (Some(number), _) => ("Valkey", number),
        (None, Some(number)) => ("Redis", number),
        (None, None) => ("an unknown server", ""),
    };
    let mut parts = number.split('.').map(|part| part.parse().unwrap_or(0));
    let parts: [u32; 2] = [parts.next().unwrap_or(0), parts.next().unwrap_or(0)];
    if name == "Redis" && parts < [6, 2] {
        return Err(Fault::Unfit(format!(
            "Redis {number} is too old: 6.2 or later is needed, or Valkey"
        )));
    }
    Ok(Server {
        run: SmolStr::from(run),
        version: format!("{name} {number}").trim_end().to_owned(),
        halves: name != "Valkey" || parts < [9, 2],
        ..Server::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::resp::Replies;
    use super::*;

    const MASTER: &[u8] = b"*1\r\n$6\r\nmaster\r\n";

    fn link() -> Link<()> {
        let mut link = Link::new(Which::Commands, Tick(0));
        assert!(link.must_connect(Tick(0)));
        assert!(!link.must_connect(Tick(0)));
        link.connected(&Settings::default(), Tick(0));
        link
    }

    /// Answers as bytes, in the order of the handshake.
    fn answers(settings: [(&str, &str); CHECKED.len()], info: &str) -> Vec<Vec<u8>> {
        let text = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        let mut answers = vec![b"%0\r\n".to_vec(), MASTER.to_vec(), text(info).into_bytes()];
        answers.extend(
            settings.map(|(name, set)| format!("%1\r\n{}{}", text(name), text(set)).into_bytes()),
        );
        answers.extend(Script::ALL.map(|script| text(&format!("{script:?}")).into_bytes()));
        answers.push(b"*2\r\n$10\r\n1795676645\r\n$6\r\n250000\r\n".to_vec());
        answers
    }

    fn well() -> Vec<Vec<u8>> {
        let settings = [
            ("maxmemory-policy", "noeviction"),
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("aof-load-truncated", "no"),
            ("stream-node-max-bytes", "512"),
        ];
        answers(
            settings,
            "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n",
        )
    }

    /// What comes of a handshake.
    fn shakes(answers: &[Vec<u8>]) -> Result<Vec<String>, Fault> {
        let (mut link, mut replies, mut warnings) = (link(), Replies::default(), Vec::new());
        for answer in answers {
            replies.push(answer);
            let value = replies.take().expect("RESP").expect("a whole answer");
            let Some((asked, Asked::Shake(step))) = link.answered() else {
                panic!("more answers than steps");
            };
            if link.shaken((step, asked), value, &mut warnings)? {
                assert!(link.is_ready());
                assert_eq!(link.server.run, "abc");
                return Ok(warnings);
            }
        }
        panic!("the handshake goes on");
    }

    fn unfit(answers: &[Vec<u8>]) -> String {
        match shakes(answers) {
            Err(Fault::Unfit(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn with(place: usize, answer: &[u8]) -> Vec<Vec<u8>> {
        let mut answers = well();
        answers[place] = answer.to_vec();
        answers
    }

    #[test]
    fn redis_that_is_set_up_well_is_ready_without_a_warning() {
        assert_eq!(shakes(&well()), Ok(Vec::new()));
    }

    #[test]
    fn settings_that_lose_messages_are_warned_of() {
        let settings = [
            ("maxmemory-policy", "noeviction"),
            ("appendonly", "yes"),
            ("appendfsync", "everysec"),
            ("aof-load-truncated", "yes"),
            ("stream-node-max-bytes", "4096"),
        ];
        let info = "redis_version:7.2.4\r\nvalkey_version:8.1.0\r\nrun_id:abc\r\n";
        let warnings = shakes(&answers(settings, info)).expect("ready");
        let words = [
            "appendfsync is everysec",
            "Valkey 8.1.0 may load half",
            "512",
        ];
        assert_eq!(warnings.len(), words.len(), "{warnings:?}");
        for (warning, word) in warnings.iter().zip(words) {
            assert!(warning.contains(word), "{warning}");
        }
    }

    #[test]
    fn redis_that_cannot_be_used_is_unfit() {
        let evicts = b"%1\r\n+maxmemory-policy\r\n+allkeys-lru\r\n";
        assert!(unfit(&with(3, evicts)).contains("set maxmemory-policy to noeviction"));
        let why = unfit(&with(0, b"-WRONGPASS invalid username-password pair\r\n"));
        assert!(why.starts_with("Redis does not let this server in: WRONGPASS"));
        let why = unfit(&with(0, b"-ERR unknown command 'HELLO'\r\n"));
        assert!(why.starts_with("Redis 6.2 or later is needed"));
        let why = unfit(&with(2, b"-NOPERM no permission\r\n"));
        assert!(why.starts_with("Redis has refused INFO server: NOPERM"));
        let why = unfit(&with(2, b"+redis_version:7.0.15\r\n"));
        assert!(why.starts_with("Redis does not say its run_id"), "{why}");
        let why = unfit(&with(
            2,
            b"$33\r\nrun_id:abc\r\nredis_version:5.0.1\r\n\r\n",
        ));
        assert!(why.starts_with("Redis 5.0.1 is too old"), "{why}");
    }

    #[test]
    fn settings_that_may_not_be_read_are_a_warning() {
        let warnings = shakes(&with(3, b"-NOPERM no permission\r\n")).expect("ready");
        let expected =
            "the setting maxmemory-policy of Redis cannot be checked: NOPERM no permission";
        assert_eq!(warnings, [expected]);
    }

    #[test]
    fn replica_is_tried_again_later() {
        let why = String::from("it is no master: its role is slave");
        let shaken = shakes(&with(1, b"*1\r\n+slave\r\n"));
        assert_eq!(shaken, Err(Fault::Broken(why)));
    }

    #[test]
    fn password_is_sent_with_its_user_and_is_not_shown() {
        let settings = Settings {
            user: Some(String::from("parlor")),
            password: Some(String::from("secret")),
            ..Settings::default()
        };
        let mut link = Link::<()>::new(Which::Subscriptions, Tick(0));
        assert!(link.must_connect(Tick(0)));
        link.connected(&settings, Tick(0));
        let output = String::from_utf8_lossy(link.output()).into_owned();
        let hello = "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$6\r\nparlor\r\n$6\r\nsecret\r\n\
                     $7\r\nSETNAME\r\n$20\r\nparlor-subscriptions\r\n";
        assert!(output.starts_with(hello), "{output}");
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn link_that_does_not_answer_ends_after_five_seconds() {
        let mut link = link();
        assert_eq!(link.next_tick(), Some(Tick(ANSWER_TICKS)));
        assert_eq!(link.expire(Tick(ANSWER_TICKS - 1)), None);
        assert!(link.expire(Tick(ANSWER_TICKS)).is_some());
        let mut chance = Chance::new(1, "test");
        link.end(true, &mut chance, Tick(ANSWER_TICKS));
        assert!(link.must_close());
        assert!(!link.must_close());
        assert!(link.output().is_empty());
    }
}
