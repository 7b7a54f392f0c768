//! Scenes in which members are sent away while the chat goes on: clients that speak TLS before an
//! upgrade, and everybody by a drain. What was said in the same turn reaches them first.

use super::super::tls;
use super::super::upgrade::{SimUpgrade, in_memory, succeed};
use super::*;
use parlor::id::Tick;

/// At which TLS is spoken.
const SECURE: usize = 1;

/// More turns than an upgrade takes, and fewer than a test may.
const TURNS_MAX: usize = 1_000;

impl Scene {
    /// A server that can be upgraded, with a plain door and one for TLS.
    fn upgradable(faults: Faults) -> Self {
        let mut scene = Self::with(unlimited(), faults);
        let mut net = SimNet::new(1, faults, 2);
        net.speaks_tls(SECURE, tls::clients(true));
        net.ends_tls(tls::Manners::Bare);
        let upgrade = SimUpgrade::new(unlimited(), net.waker());
        scene.server = Server::new(unlimited(), net, 100, 1, Keeping::in_memory([7; 36]));
        scene.server.use_upgrade(Box::new(upgrade));
        scene.server.serve_tls(vec![SECURE], tls::acceptor());
        scene
    }

    fn joins_over_tls(&mut self, nick: &str) -> Who {
        let who = self.connects_at(SECURE);
        self.turns();
        self.sends(who, &client::upgrade(&format!("lobby?nick={nick}")));
        who
    }

    /// The client does not read what the server answers.
    fn connects_at(&mut self, door: usize) -> Who {
        let socket = self.server.net_mut().connect(door, ANYWHERE);
        self.people.push(Listener {
            socket: socket.expect("the server listens"),
            ear: Ear::default(),
            seen: Vec::new(),
            reads: true,
        });
        self.people.len() - 1
    }

    fn one_turn(&mut self) -> Turn {
        let turn = self.server.turn();
        self.server.check_invariants();
        self.all_clients_read();
        turn
    }

    /// An upgrade is asked for and approved: in the next turn clients are asked to come back.
    fn is_approved(&mut self) {
        self.server.net_mut().signal(Signal::Upgrade);
        assert_eq!(
            (self.one_turn(), self.one_turn()),
            (Turn::Again, Turn::Again)
        );
        let now = self.server.net().now();
        self.server.net_mut().secure_waits_until = now + 20;
    }

    /// The server parts with the clients that speak TLS, and another takes over. Returns when.
    fn is_taken_over(&mut self) -> Tick {
        for _ in 0..TURNS_MAX {
            let now = self.server.net().now();
            self.server.net_mut().horizon = now + 10;
            self.server.net_mut().is_settling = self.server.is_settling();
            if self.one_turn() == Turn::Upgrade {
                let at = self.server.net().now();
                succeed(&mut self.server, (&unlimited(), 100), 2, in_memory);
                self.server.serve_tls(vec![SECURE], tls::acceptor());
                self.server.net_mut().is_settling = false;
                self.turns();
                return at;
            }
        }
        panic!("there is no upgrade");
    }
}

/// Sends a message without a turn.
fn says_now(room: &mut Scene, who: Who, words: &str) {
    let frame = client::frame(0x81, words.as_bytes(), &mut room.chance);
    sends_now(room, who, &frame);
}

#[test]
fn what_is_said_in_the_turn_of_the_close_frame_comes_before_it() {
    let mut room = Scene::upgradable(Faults::NONE);
    let ann = room.joins("ann");
    let bob = room.joins_over_tls("bob");
    room.heard(ann);
    room.heard(bob);
    room.is_approved();
    says_now(&mut room, bob, "hello");
    room.is_taken_over();
    assert_eq!(room.heard(bob), ["bob: hello", "close Some(1012)"]);
    assert_eq!(room.heard(ann), ["bob: hello", "* bob left"]);
}

#[test]
fn what_is_said_in_the_turn_of_a_departure_comes_before_the_close_frame() {
    let mut room = Scene::new(unlimited());
    let ann = room.joins("ann");
    room.heard(ann);
    assert!(room.server.begin_drain().is_some());
    says_now(&mut room, ann, "hello");
    room.turns();
    assert_eq!(room.heard(ann), ["ann: hello", "close Some(1001)"]);
}

/// Sends bytes without a turn.
fn sends_now(room: &mut Scene, who: Who, bytes: &[u8]) {
    let socket = room.people[who].socket;
    room.server.net_mut().send(socket, bytes);
}

#[test]
fn client_that_ends_in_the_turn_of_the_close_frames_is_neither_refused_nor_closed() {
    let mut room = Scene::upgradable(Faults::NONE);
    let ann = room.joins("ann");
    let bob = room.joins_over_tls("bob");
    let carol = room.connects_at(SECURE);
    room.turns();
    sends_now(&mut room, carol, b"GET /ws/lobby HT");
    room.turns();
    room.heard(ann);
    room.heard(bob);
    room.is_approved();
    for who in [bob, carol] {
        let socket = room.people[who].socket;
        room.server.net_mut().shut(socket);
    }
    assert_eq!(room.one_turn(), Turn::Again);
    assert_eq!(room.server.stats().refused, 0);
    assert_eq!(room.server.stats().closed, 2);
    assert!(room.heard(bob).is_empty() && room.heard(carol).is_empty());
    assert_eq!(room.heard(ann), ["* bob left"]);
}

#[test]
fn client_that_comes_over_tls_while_others_leave_is_served_by_the_next_server() {
    let mut room = Scene::upgradable(Faults::NONE);
    // It does not answer the close frame, so that the upgrade waits for it.
    let ann = room.joins_over_tls("ann");
    room.heard(ann);
    room.is_approved();
    assert_eq!(room.one_turn(), Turn::Again);
    assert_eq!(room.heard(ann), ["close Some(1012)"]);
    let bob = room.connects_at(SECURE);
    let request = client::upgrade("lobby?nick=bob");
    sends_now(&mut room, bob, &request);
    room.is_taken_over();
    assert!(!room.has_ended(bob));
    room.says(bob, "hello");
    assert_eq!(
        room.heard(bob),
        ["* welcome to lobby, bob. Nobody else is here", "bob: hello"]
    );
}

#[test]
fn server_that_holds_back_newcomers_sleeps_and_serves_the_others() {
    let mut room = Scene::upgradable(Faults::NONE);
    let ann = room.joins_over_tls("ann");
    room.is_approved();
    assert_eq!(room.one_turn(), Turn::Again);
    room.connects_at(SECURE);
    let bob = room.joins("bob");
    assert_eq!(
        room.heard(bob),
        ["* welcome to lobby, bob. Nobody else is here"]
    );
    let from = room.server.net().now();
    let mut turns = 0;
    while room.server.net().now() == from {
        room.server.net_mut().horizon = from + 10;
        assert_eq!(room.one_turn(), Turn::Again);
        turns += 1;
        assert!(turns < 20, "the server does not sleep");
    }
    assert!(!room.has_ended(ann));
    room.is_taken_over();
    room.says(bob, "still here");
    assert_eq!(room.heard(bob), ["bob: still here"]);
}

#[test]
fn client_that_speaks_tls_and_does_not_end_in_time_is_reset() {
    let mut room = Scene::upgradable(NARROW);
    let ann = room.joins("ann");
    let bob = room.joins_over_tls("bob");
    room.stops_reading(bob);
    room.says(
        ann,
        "so many words that they do not fit into what the network holds",
    );
    room.is_approved();
    room.is_taken_over();
    assert!(room.was_reset(bob));
    assert!(!room.was_reset(ann));
    assert_eq!(room.heard(ann).last().unwrap(), "* bob left");
}
