//! Scenes: a few named clients on a network without faults connect, say things and hear.
//! Each scene is one behaviour.

mod floods;
mod holds;
mod letters;
mod partings;
mod secure;

use super::chance::Chance;
use super::client::{self, Ear, Seen};
use super::net::{Faults, SimNet};
use parlor::config::Config;
use parlor::id::Peer;
use parlor::log::Keeping;
use parlor::net::{Net, Signal};
use parlor::server::{Server, Turn};
use parlor::{chat, conn};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const ANYWHERE: Peer = Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));

struct Scene {
    server: Server<SimNet>,
    chance: Chance,
    people: Vec<Listener>,
    stopped: bool,
}

struct Listener {
    socket: usize,
    ear: Ear,
    seen: Vec<Seen>,
    reads: bool,
}

impl Listener {
    fn hears(&mut self, bytes: &[u8]) {
        self.ear.hear(bytes);
        while let Some(thing) = self.ear.next() {
            self.seen.push(thing);
        }
    }
}

type Who = usize;

/// A network that holds little for a client that does not read.
const NARROW: Faults = Faults {
    window: 60,
    ..Faults::NONE
};

/// Members may say as much as they like.
fn unlimited() -> Config {
    Config {
        chat: chat::Settings {
            message_rate: 0,
            ..chat::Settings::default()
        },
        ..Config::default()
    }
}

impl Scene {
    fn new(config: Config) -> Self {
        Self::with(config, Faults::NONE)
    }

    fn with(config: Config, faults: Faults) -> Self {
        let net = SimNet::new(1, faults, 1);
        Self {
            server: Server::new(config, net, 100, 1, Keeping::in_memory([7; 36])),
            chance: Chance::new(1),
            people: Vec::new(),
            stopped: false,
        }
    }

    fn connects(&mut self) -> Who {
        let socket = self
            .server
            .net_mut()
            .connect(0, ANYWHERE)
            .expect("the server listens");
        self.people.push(Listener {
            socket,
            ear: Ear::default(),
            seen: Vec::new(),
            reads: true,
        });
        self.turns();
        self.people.len() - 1
    }

    fn joins(&mut self, nick: &str) -> Who {
        let who = self.connects();
        self.sends(who, &client::upgrade(&format!("lobby?nick={nick}")));
        who
    }

    fn sends(&mut self, who: Who, bytes: &[u8]) {
        let socket = self.people[who].socket;
        self.server.net_mut().send(socket, bytes);
        self.turns();
    }

    fn says(&mut self, who: Who, words: &str) {
        let frame = client::frame(0x81, words.as_bytes(), &mut self.chance);
        self.sends(who, &frame);
    }

    /// Sends bytes and the end of its side in one packet.
    fn sends_and_ends(&mut self, who: Who, bytes: &[u8]) {
        let socket = self.people[who].socket;
        self.server.net_mut().send(socket, bytes);
        self.server.net_mut().shut(socket);
        self.turns();
    }

    /// The server has sent its last byte, and the client has read it.
    fn has_ended(&self, who: Who) -> bool {
        let socket = self.people[who].socket;
        self.server.net().is_over_for_client(socket)
    }

    /// The server has reset the connection.
    fn was_reset(&self, who: Who) -> bool {
        let socket = self.people[who].socket;
        self.server.net().was_reset_by_server(socket)
    }

    fn stops_reading(&mut self, who: Who) {
        self.people[who].reads = false;
    }

    fn reads_again(&mut self, who: Who) {
        self.people[who].reads = true;
        self.turns();
    }

    fn vanishes(&mut self, who: Who) {
        let socket = self.people[who].socket;
        self.server.net_mut().reset(socket);
        self.turns();
    }

    /// Lets the server do what it has to do, without time passing.
    fn turns(&mut self) {
        let now = self.server.net().now();
        self.server.net_mut().horizon = now;
        for _ in 0..40 {
            self.stopped |= self.server.turn() == Turn::Stopped;
            self.server.check_invariants();
            self.all_clients_read();
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.server.net().now() + parlor::id::ticks(time);
        self.server.net_mut().horizon = until;
        while self.server.net().now() < until && !self.stopped {
            self.stopped |= self.server.turn() == Turn::Stopped;
            self.server.check_invariants();
            self.all_clients_read();
        }
        self.turns();
    }

    /// Every client reads once, also those that have stopped.
    fn all_clients_listen(&mut self) {
        for person in &mut self.people {
            let bytes = self
                .server
                .net_mut()
                .read_as_client(person.socket, usize::MAX);
            person.hears(&bytes);
        }
    }

    fn all_clients_read(&mut self) {
        for person in self.people.iter_mut().filter(|person| person.reads) {
            let bytes = self
                .server
                .net_mut()
                .read_as_client(person.socket, usize::MAX);
            person.hears(&bytes);
        }
    }

    /// What was heard since the last time this was asked, without the upgrade.
    fn heard(&mut self, who: Who) -> Vec<String> {
        let seen = std::mem::take(&mut self.people[who].seen);
        seen.into_iter()
            .filter(|seen| *seen != Seen::Status(101))
            .map(|seen| match seen {
                Seen::Line(line) => line,
                Seen::Status(status) => format!("HTTP {status}"),
                Seen::Ping(_) => String::from("ping"),
                Seen::Pong(_) => String::from("pong"),
                Seen::Close { code, .. } => format!("close {code:?}"),
            })
            .collect()
    }

    fn is_empty(&mut self) -> bool {
        self.turns();
        self.server.is_empty()
    }
}

fn tenths(count: u64) -> Duration {
    Duration::from_millis(count * 100)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_message_reaches_its_sender_and_the_other_members() {
    let mut room = Scene::new(Config::default());
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.says(ann, "hello");
    assert_eq!(
        room.heard(ann),
        [
            "* welcome to lobby, ann. Nobody else is here",
            "* bob joined",
            "ann: hello"
        ]
    );
    assert_eq!(
        room.heard(bob),
        ["* welcome to lobby, bob. Here: ann", "ann: hello"]
    );
}

#[test]
fn a_member_that_is_reset_leaves_one_notice_and_nothing_else() {
    let mut room = Scene::new(Config::default());
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.vanishes(bob);
    room.pass(seconds(10));
    assert_eq!(room.heard(ann), ["* bob left"]);
    room.vanishes(ann);
    assert!(room.is_empty());
}

#[test]
fn a_silent_member_is_pinged_and_then_removed_with_one_notice() {
    let mut room = Scene::new(Config::default());
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.heard(bob);
    for _ in 0..7 {
        room.pass(seconds(10));
        room.says(ann, "/who");
    }
    assert_eq!(room.heard(bob), ["ping"]);
    let heard = room.heard(ann);
    assert_eq!(
        heard.iter().filter(|line| *line == "* bob left").count(),
        1,
        "{heard:?}"
    );
}

#[test]
fn a_member_that_answers_pings_stays() {
    let mut room = Scene::new(Config::default());
    let ann = room.joins("ann");
    room.heard(ann);
    let mut pings = 0;
    for _ in 0..300 {
        room.pass(seconds(1));
        if room.heard(ann) == ["ping"] {
            pings += 1;
            let pong = client::frame(0x8A, b"", &mut Chance::new(1));
            room.sends(ann, &pong);
        }
    }
    assert!(
        (300 / 32..=300 / 25).contains(&pings),
        "{pings} pings in 300 seconds"
    );
    assert!(!room.is_empty());
}

#[test]
fn members_are_pinged_before_they_are_removed_after_the_process_was_stopped() {
    let mut room = Scene::new(Config::default());
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.heard(bob);
    room.server.net_mut().jumps(6000);
    room.turns();
    assert_eq!(room.heard(ann), ["ping"]);
    assert_eq!(room.heard(bob), ["ping"]);
    let pong = client::frame(0x8A, b"", &mut room.chance);
    room.sends(ann, &pong);
    room.pass(seconds(36));
    assert_eq!(room.heard(bob), Vec::<String>::new());
    assert!(
        room.heard(ann).contains(&String::from("* bob left")),
        "a member that does not answer is removed"
    );
    assert!(!room.is_empty());
}

#[test]
fn a_member_that_reads_again_while_the_process_is_stopped_is_not_stalled() {
    let config = unlimited();
    let faults = Faults {
        window: 60,
        ..Faults::NONE
    };
    let mut room = Scene::with(config, faults);
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(bob);
    room.stops_reading(bob);
    for _ in 0..6 {
        room.says(ann, "is anybody there?");
    }
    // He reads, and before the server hears of it its process is stopped for a while.
    room.all_clients_listen();
    room.server.net_mut().jumps(6000);
    room.reads_again(bob);
    let heard = room.heard(bob);
    assert_eq!(
        heard,
        [["ann: is anybody there?"; 6].as_slice(), &["ping"]].concat()
    );
}

/// Ann says fifty things that bob does not read.
fn fifty_unread(config: Config) -> (Scene, Who, Who) {
    let mut room = Scene::with(config, NARROW);
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.heard(bob);
    room.stops_reading(bob);
    for number in 0..50 {
        room.says(ann, &format!("number {number}"));
    }
    assert_eq!(room.heard(ann).len(), 50);
    (room, ann, bob)
}

#[test]
fn a_slow_reader_gets_its_messages_late_and_other_members_wait_for_none() {
    let mut config = unlimited();
    config.conn.outbox.frames_max = 4;
    let (mut room, ann, bob) = fifty_unread(config);
    room.reads_again(bob);
    room.pass(seconds(1));
    let all: Vec<String> = (0..50).map(|n| format!("ann: number {n}")).collect();
    assert_eq!(room.heard(bob), all);
    room.says(ann, "again");
    assert_eq!(room.heard(bob), ["ann: again"]);
    assert_eq!(room.server.stats().missed, 0);
}

#[test]
fn a_reader_that_is_too_slow_gets_one_count_of_what_it_missed_and_then_the_rest() {
    let mut config = unlimited();
    config.conn.outbox.frames_max = 4;
    config.log.catch_up_max = 20;
    config.log.history_lines = 0;
    let (mut room, ann, bob) = fifty_unread(config);
    room.reads_again(bob);
    room.pass(seconds(1));
    let heard = room.heard(bob);
    let is_count = |line: &&String| line.starts_with("* you missed ");
    let counts: Vec<&String> = heard.iter().filter(is_count).collect();
    let missed = 50 - (heard.len() - 1);
    assert_eq!(counts, [&format!("* you missed {missed} messages")]);
    assert_eq!(heard.last(), Some(&String::from("ann: number 49")));
    assert_eq!(room.server.stats().missed, missed as u64);
    let metrics = room.server.exposition();
    let missed = format!("parlor_missed_total {missed}");
    for sample in [&*missed, "parlor_gaps_total 1", "parlor_catch_ups_total 1"] {
        assert!(
            metrics.lines().any(|line| line == sample),
            "{sample}\n{metrics}"
        );
    }
    room.says(ann, "again");
    assert_eq!(room.heard(bob), ["ann: again"]);
}

#[test]
fn a_member_that_is_behind_and_asks_for_earlier_lines_loses_none() {
    let mut config = unlimited();
    config.conn.outbox.frames_max = 4;
    let (mut room, _, bob) = fifty_unread(config);
    let history = client::frame(0x81, b"/history 3", &mut room.chance);
    room.sends(bob, &history);
    room.reads_again(bob);
    room.pass(seconds(1));
    let mut heard = room.heard(bob);
    heard.retain(|line| line.starts_with("ann: "));
    heard.dedup();
    let all: Vec<String> = (0..50).map(|n| format!("ann: number {n}")).collect();
    assert_eq!(heard, all);
}

#[test]
fn a_member_that_never_reads_is_closed_by_the_stall_deadline() {
    let config = unlimited();
    let mut room = Scene::with(
        config,
        Faults {
            window: 300,
            ..Faults::NONE
        },
    );
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.stops_reading(bob);
    for _ in 0..60 {
        room.says(ann, "is anybody there?");
    }
    for _ in 0..4 {
        room.pass(seconds(10));
        room.says(ann, "hm");
        room.says(bob, "yes, talking but not listening");
    }
    assert!(room.heard(ann).contains(&String::from("* bob left")));
    assert_eq!(room.server.stats().stalled, 1);
    room.vanishes(ann);
    room.pass(seconds(4));
    assert!(room.is_empty());
}

#[test]
fn a_run_that_does_not_fit_comes_late_and_whole() {
    let mut room = Scene::with(unlimited(), NARROW);
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(bob);
    // What ann says reaches her as well, and not all of it fits.
    room.stops_reading(ann);
    room.stops_reading(bob);
    let together: Vec<u8> = (0..100)
        .flat_map(|_| client::frame(0x81, b"hello", &mut room.chance))
        .collect();
    room.sends(ann, &together);
    room.reads_again(bob);
    room.pass(seconds(1));
    assert_eq!(room.heard(bob), ["ann: hello"; 100]);
}

#[test]
fn a_client_that_does_not_accept_a_response_is_reset_at_the_handshake_deadline() {
    let mut room = Scene::with(Config::default(), NARROW);
    let ann = room.connects();
    room.stops_reading(ann);
    // More than is read before the first is answered.
    room.sends(ann, &PAGE.repeat(400));
    room.pass(tenths(99));
    assert!(!room.is_empty());
    room.pass(tenths(2));
    assert!(room.is_empty());
    assert!(room.was_reset(ann));
}

#[test]
fn a_close_frame_follows_the_response_and_the_welcome() {
    let faults = Faults {
        window: 0,
        ..Faults::NONE
    };
    let mut room = Scene::with(Config::default(), faults);
    let ann = room.joins("ann");
    room.pass(seconds(31));
    assert_eq!(room.server.stats().stalled, 1);
    room.server.net_mut().misbehaves(Faults::NONE);
    room.turns();
    assert_eq!(room.people[ann].seen.first(), Some(&Seen::Status(101)));
    let welcome = "* welcome to lobby, ann. Nobody else is here";
    assert_eq!(room.heard(ann), [welcome, "close Some(1013)"]);
}

#[test]
fn half_a_request_ends_at_the_handshake_deadline() {
    let mut room = Scene::new(Config::default());
    let ann = room.connects();
    for _ in 0..9 {
        room.sends(ann, b"G");
        room.pass(seconds(1));
    }
    assert_eq!(room.heard(ann), Vec::<String>::new());
    room.pass(seconds(2));
    assert_eq!(room.heard(ann), ["HTTP 408"]);
    room.pass(seconds(4));
    assert!(room.is_empty());
}

#[test]
fn a_client_that_does_not_answer_a_close_frame_is_removed_by_the_close_deadline() {
    let mut room = Scene::new(Config::default());
    let ann = room.joins("ann");
    room.heard(ann);
    room.says(ann, "/quit");
    assert_eq!(room.heard(ann), ["close Some(1000)"]);
    assert!(!room.is_empty());
    room.pass(seconds(4));
    assert!(room.is_empty());
}

#[test]
fn half_a_message_ends_at_its_deadline_though_pings_go_on() {
    let mut room = Scene::new(Config::default());
    let ann = room.joins("ann");
    room.heard(ann);
    let mut chance = Chance::new(3);
    let half = client::frame(0x01, b"and then", &mut chance);
    room.sends(ann, &half);
    for _ in 0..31 {
        room.pass(seconds(1));
        let ping = client::frame(0x89, b"", &mut chance);
        room.sends(ann, &ping);
    }
    assert_eq!(
        room.heard(ann).last().map(String::as_str),
        Some("close Some(1008)")
    );
}

#[test]
fn each_message_has_its_own_time_though_the_next_begins_in_the_same_packet() {
    let mut room = Scene::new(Config {
        conn: conn::Settings {
            message_timeout: seconds(10),
            ..conn::Settings::default()
        },
        ..Config::default()
    });
    let ann = room.joins("ann");
    room.heard(ann);
    let message = client::frame(0x81, b"in two parts", &mut Chance::new(1));
    let (begin, rest) = message.split_at(9);
    room.sends(ann, begin);
    for _ in 0..8 {
        room.pass(seconds(4));
        room.sends(ann, &[rest, begin].concat());
        assert_eq!(room.heard(ann), ["ann: in two parts"]);
    }
    room.pass(seconds(11));
    assert_eq!(room.heard(ann), ["close Some(1008)"]);
}

#[test]
fn a_crowd_that_joins_at_once_is_summed_up_in_a_few_lines() {
    let config = Config {
        chat: chat::Settings {
            notice_members: 10,
            ..chat::Settings::default()
        },
        ..Config::default()
    };
    let mut room = Scene::new(config);
    let ann = room.joins("ann");
    for number in 0..80 {
        room.joins(&format!("n{number}"));
    }
    room.pass(seconds(4));
    let heard = room.heard(ann);
    assert!(heard.len() <= 1 + 20 + 2, "{heard:#?}");
    assert!(heard.last().is_some_and(|line| line.ends_with(" joined")));
}

#[test]
fn every_member_is_closed_with_1001_when_the_server_stops() {
    let mut room = Scene::new(Config::default());
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.heard(bob);
    room.server.net_mut().signal(Signal::Stop);
    room.turns();
    assert_eq!(room.heard(ann), ["close Some(1001)"]);
    assert_eq!(room.heard(bob), ["close Some(1001)"]);
    room.pass(seconds(6));
    assert!(room.stopped);
}

const PAGE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_later_request_has_the_whole_handshake_deadline() {
    let mut room = Scene::new(Config::default());
    let ann = room.connects();
    room.sends(ann, PAGE);
    assert_eq!(room.heard(ann), ["HTTP 200"]);
    room.pass(tenths(92));
    room.sends(ann, &PAGE[..20]);
    room.pass(tenths(92));
    room.sends(ann, &PAGE[20..]);
    assert_eq!(room.heard(ann), ["HTTP 200"]);
    room.sends(ann, &PAGE[..20]);
    room.pass(tenths(101));
    assert_eq!(room.heard(ann), ["HTTP 408"]);
}

#[test]
fn a_request_behind_another_has_the_whole_handshake_deadline() {
    let mut room = Scene::with(Config::default(), NARROW);
    let ann = room.connects();
    room.stops_reading(ann);
    room.sends(ann, &[PAGE, &PAGE[..20]].concat());
    room.pass(tenths(92));
    room.server.net_mut().misbehaves(Faults::NONE);
    room.reads_again(ann);
    room.pass(tenths(92));
    room.sends(ann, &PAGE[20..]);
    assert_eq!(room.heard(ann), ["HTTP 200", "HTTP 200"]);
}

#[test]
fn a_connection_between_requests_ends_without_an_answer() {
    let mut room = Scene::new(Config::default());
    let ann = room.connects();
    room.sends(ann, PAGE);
    room.pass(tenths(99));
    assert!(!room.has_ended(ann));
    room.pass(tenths(2));
    assert!(room.has_ended(ann));
    assert_eq!(room.heard(ann), ["HTTP 200"]);
}

#[test]
fn the_stall_deadline_is_that_of_an_open_connection_alone() {
    let mut config = Config::default();
    config.conn.stall_timeout = seconds(1);
    let mut room = Scene::with(config, NARROW);
    let ann = room.connects();
    room.stops_reading(ann);
    room.sends(ann, PAGE);
    room.pass(tenths(95));
    room.reads_again(ann);
    room.pass(seconds(1));
    room.sends(ann, PAGE);
    assert_eq!(room.heard(ann), ["HTTP 200", "HTTP 200"]);
}

#[test]
fn a_report_and_a_stop_in_one_turn_end_an_idle_server_at_once() {
    let mut room = Scene::new(Config::default());
    room.server.net_mut().signal(Signal::Report);
    room.server.net_mut().signal(Signal::Stop);
    let now = room.server.net().now();
    room.server.net_mut().horizon = now + 100;
    assert_eq!(room.server.turn(), Turn::Report);
    assert_eq!(room.server.turn(), Turn::Stopped);
    assert_eq!(room.server.net().now(), now);
}

#[test]
fn a_member_that_asks_and_ends_in_one_packet_leaves_at_once_and_is_answered() {
    let mut room = Scene::new(Config::default());
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.heard(bob);
    let who = client::frame(0x81, b"/who", &mut room.chance);
    room.sends_and_ends(bob, &who);
    assert_eq!(room.heard(bob), ["* in lobby: ann, bob"]);
    assert_eq!(room.heard(ann), ["* bob left"]);
    assert!(room.has_ended(bob));
}

#[test]
fn a_member_that_ended_is_sent_what_waits_within_the_close_deadline() {
    let mut room = Scene::with(unlimited(), NARROW);
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.heard(bob);
    room.stops_reading(bob);
    for _ in 0..6 {
        room.says(ann, "is anybody there?");
    }
    room.heard(ann);
    room.sends_and_ends(bob, b"");
    assert_eq!(room.heard(ann), ["* bob left"]);
    room.says(ann, "no more for bob");
    room.pass(tenths(28));
    room.reads_again(bob);
    assert_eq!(room.heard(bob), ["ann: is anybody there?"; 6]);
    assert!(room.has_ended(bob));
    room.vanishes(ann);
    assert!(room.is_empty());
}

#[test]
fn a_stalled_member_is_reset_if_it_does_not_accept_the_close_frame() {
    let mut room = Scene::with(unlimited(), NARROW);
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.stops_reading(bob);
    for _ in 0..6 {
        room.says(ann, "is anybody there?");
    }
    room.pass(tenths(301));
    assert_eq!(room.server.stats().stalled, 1);
    assert!(!room.was_reset(bob));
    room.pass(tenths(30));
    assert!(room.was_reset(bob));
    room.vanishes(ann);
    assert!(room.is_empty());
}

#[test]
fn a_stalled_member_that_accepts_the_close_frame_is_not_reset() {
    let mut room = Scene::with(unlimited(), NARROW);
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.stops_reading(bob);
    for _ in 0..6 {
        room.says(ann, "is anybody there?");
    }
    room.pass(tenths(301));
    room.reads_again(bob);
    assert_eq!(
        room.heard(bob).last().map(String::as_str),
        Some("close Some(1013)")
    );
    room.pass(tenths(31));
    assert!(room.has_ended(bob) && !room.was_reset(bob));
    assert_eq!(room.server.net().open(), 1);
}

#[test]
fn what_the_system_holds_for_a_client_that_ended_is_sent_or_reset() {
    for reads in [true, false] {
        let mut room = Scene::with(unlimited(), NARROW);
        let ann = room.joins("ann");
        let bob = room.joins("bob");
        room.stops_reading(bob);
        room.says(ann, "all of this is in the system's send buffer");
        room.sends_and_ends(bob, b"");
        room.pass(tenths(28));
        assert_eq!(room.server.net().open(), 2, "bob still counts");
        if reads {
            room.reads_again(bob);
        } else {
            room.pass(tenths(3));
        }
        assert_eq!(room.server.net().open(), 1);
        assert_eq!(room.was_reset(bob), !reads);
    }
}

#[test]
fn what_is_unsent_when_the_grace_time_is_over_is_reset() {
    let mut room = Scene::with(unlimited(), NARROW);
    let ann = room.joins("ann");
    room.stops_reading(ann);
    for _ in 0..6 {
        room.says(ann, "is anybody there?");
    }
    room.server.net_mut().signal(Signal::Stop);
    room.turns();
    // The close deadline comes first, if it is the shorter.
    room.pass(seconds(6));
    assert!(room.stopped && room.was_reset(ann));
}

#[test]
fn a_member_is_served_on_after_the_system_was_short_of_memory() {
    let mut room = Scene::new(unlimited());
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.heard(bob);
    let short = Faults {
        short: 100,
        ..Faults::NONE
    };
    room.server.net_mut().misbehaves(short);
    room.says(ann, "is anybody there?");
    room.pass(tenths(290));
    assert_eq!(room.heard(bob), Vec::<String>::new());
    room.server.net_mut().misbehaves(Faults::NONE);
    room.pass(tenths(10));
    assert_eq!(
        room.heard(bob).last().map(String::as_str),
        Some("ann: is anybody there?")
    );
    assert_eq!(room.server.stats().stalled, 0);
}

#[test]
fn one_write_without_memory_does_not_make_a_member_stalled() {
    let mut room = Scene::new(unlimited());
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(bob);
    room.server
        .net_mut()
        .next_write_is_short(room.people[bob].socket);
    room.says(ann, "is anybody there?");
    assert_eq!(room.heard(bob), Vec::<String>::new());
    room.pass(tenths(5));
    assert_eq!(room.heard(bob), ["ann: is anybody there?"]);
    room.pass(seconds(40));
    assert_eq!(room.server.stats().stalled, 0);
}
