//! Members of rooms at other nodes: what each node knows of them, and when.

use super::redis::model::{Data, Op};
use super::world::World;
use crate::chance::Chance;
use parlor::id::{RoomId, Tick};
use parlor::redis::{Settings, Which};

const ROOM: &str = "lobby";
/// Ticks in which all that is under way arrives, and both links come back.
const SOON: u32 = 60;
const LEASE_TICKS: u32 = 100;

struct Scene {
    world: World,
    room: RoomId,
}

impl Scene {
    /// Three nodes. The first two have the room open, and a member each.
    fn new() -> Self {
        Self::with_third_from(Tick(0))
    }

    /// The third node starts at a time.
    fn with_third_from(start: Tick) -> Self {
        let mut world = World::new(3, &Settings::default(), Chance::new(1));
        world.seats[2].frozen = start;
        let rooms = [0, 1].map(|node: usize| world.seats[node].node.open(ROOM));
        let room = rooms[0];
        let mut scene = Self { world, room };
        // The grace of the first start.
        scene.later(SOON + LEASE_TICKS);
        scene.moves(0, &["ann"], &[]);
        scene.moves(1, &["bob"], &[]);
        scene.later(5);
        scene
    }

    fn later(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.world.turn(1);
        }
    }

    fn moves(&mut self, node: usize, came: &[&str], left: &[&str]) {
        self.world.seats[node].node.moves(self.room, came, left);
    }

    fn knows(&self, node: usize) -> Vec<&str> {
        self.world.seats[node].node.members.of(self.room)
    }

    fn opens(&mut self, node: usize) {
        let room = self.world.seats[node].node.open(ROOM);
        assert_eq!(room, self.room);
    }

    fn restarts(&mut self, data: Data) {
        let before = self.world.servers.len() - 1;
        self.world.starts(data);
        self.world.breaks(before);
        self.later(SOON);
    }
}

#[test]
fn members_of_each_node_are_known_at_the_other() {
    let mut scene = Scene::new();
    assert_eq!(scene.knows(0), ["bob"]);
    assert_eq!(scene.knows(1), ["ann"]);
    scene.moves(0, &["cat"], &["ann"]);
    scene.later(5);
    assert_eq!(scene.knows(1), ["cat"]);
}

#[test]
fn members_are_known_before_the_room_is_open() {
    let mut scene = Scene::new();
    scene.opens(2);
    while !scene.world.seats[2].node.came.contains_key(&scene.room) {
        assert_eq!(
            scene.world.seats[2].node.members.of(scene.room).len() % 2,
            0
        );
        scene.later(1);
    }
    assert_eq!(scene.knows(2), ["ann", "bob"]);
}

#[test]
fn crowd_is_known_before_the_room_is_open() {
    let mut scene = Scene::new();
    let names: Vec<String> = (0..3_000).map(|number| format!("n{number}")).collect();
    for (part, names) in names.chunks(500).enumerate() {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        scene.moves(part % 2, &names, &[]);
    }
    scene.later(5);
    scene.opens(2);
    while !scene.world.seats[2].node.came.contains_key(&scene.room) {
        scene.later(1);
    }
    assert_eq!(scene.knows(2).len(), 3_002);
}

#[test]
fn what_changes_while_a_link_is_lost_is_known_when_it_is_back() {
    let mut scene = Scene::new();
    scene.world.drops(1, Which::Subscriptions);
    scene.moves(0, &["cat"], &["ann"]);
    scene.later(SOON);
    assert_eq!(scene.knows(1), ["cat"]);
    scene.world.drops(0, Which::Commands);
    scene.world.turn(1);
    scene.moves(0, &["dan"], &["cat"]);
    scene.later(SOON);
    assert_eq!(scene.knows(1), ["dan"]);
}

/// Members are read before the entries that were missed: the one by which it was removed comes behind
/// its return.
#[test]
fn member_that_came_back_is_known_where_the_entry_that_removed_it_comes_late() {
    let mut scene = Scene::new();
    scene.opens(2);
    scene.later(SOON);
    scene.world.drops(0, Which::Subscriptions);
    scene.world.seats[0].cut = scene.world.now + 20;
    let room = scene.room;
    scene.world.seats[1].node.kicks(room, ROOM, "bob");
    scene.later(3);
    scene.moves(1, &[], &["bob"]);
    scene.moves(2, &["bob"], &[]);
    scene.later(10);
    assert_eq!(scene.knows(0), ["bob"], "as it was");
    let mut is_late = false;
    for _ in 0..SOON {
        scene.later(1);
        is_late |= scene.knows(0).is_empty();
    }
    assert!(is_late, "it was removed behind its return");
    assert_eq!(scene.knows(0), ["bob"]);
    assert_eq!(scene.knows(1), ["ann", "bob"]);
}

#[test]
fn members_of_a_room_that_was_closed_while_the_link_was_lost_are_gone() {
    let mut scene = Scene::new();
    scene.world.seats[0].cut = scene.world.now + 80;
    scene.later(70);
    assert!(!scene.world.seats[0].node.is_up);
    let room = scene.room;
    scene.world.seats[0].node.close(room);
    assert_eq!(scene.knows(1), ["ann"]);
    scene.later(LEASE_TICKS / 2);
    assert!(scene.knows(1).is_empty());
}

#[test]
fn members_of_a_node_that_is_gone_are_gone_after_its_lease() {
    let mut scene = Scene::new();
    scene.world.seats[0].frozen = scene.world.now + 2 * LEASE_TICKS;
    scene.later(LEASE_TICKS / 2);
    assert_eq!(scene.knows(1), ["ann"]);
    scene.later(LEASE_TICKS);
    assert!(scene.knows(1).is_empty());
    // Who opens the room later finds none of them, and Redis has forgotten them.
    scene.opens(2);
    scene.later(SOON / 2);
    assert_eq!(scene.knows(2), ["bob"]);
    let kept = scene.world.server().data.hash(b"p:{lobby}:n");
    assert_eq!(kept.map(std::collections::BTreeMap::len), Some(1));
    // The node goes on.
    scene.later(LEASE_TICKS);
    assert_eq!(scene.knows(1), ["ann"]);
    assert_eq!(scene.knows(2), ["ann", "bob"]);
}

#[test]
fn members_of_a_node_that_died_before_its_lease_was_known_are_gone() {
    let mut scene = Scene::with_third_from(Tick(u32::MAX));
    scene.world.seats[0].frozen = Tick(u32::MAX);
    // The third is told of members, and not of leases: its own is refused.
    scene.world.server().is_full = true;
    scene.world.seats[2].frozen = Tick(0);
    scene.later(10);
    scene.opens(2);
    scene.later(10);
    assert_eq!(scene.knows(2), ["ann", "bob"]);
    scene.later(LEASE_TICKS);
    scene.world.server().is_full = false;
    scene.later(SOON);
    assert_eq!(scene.knows(1), Vec::<&str>::new());
    assert_eq!(scene.knows(2), ["bob"]);
}

#[test]
fn members_are_told_again_to_a_redis_that_was_emptied() {
    let mut scene = Scene::new();
    scene.world.server().write(Op::Flush);
    scene.later(SOON);
    assert_eq!(scene.knows(0), ["bob"]);
    scene.opens(2);
    scene.later(SOON);
    assert_eq!(scene.knows(2), ["ann", "bob"]);
}

#[test]
fn members_are_told_again_to_another_process_of_redis() {
    let mut scene = Scene::new();
    scene.restarts(Data::default());
    assert_eq!(scene.knows(0), ["bob"]);
    scene.opens(2);
    scene.later(SOON);
    assert_eq!(scene.knows(2), ["ann", "bob"]);
}

#[test]
fn members_stay_while_a_new_process_of_redis_is_told_of_them() {
    let mut scene = Scene::new();
    let before = scene.world.servers.len() - 1;
    scene.world.starts(Data::default());
    scene.world.breaks(before);
    // The second node comes back late.
    scene.world.seats[1].cut = scene.world.now + 60;
    for _ in 0..SOON + LEASE_TICKS {
        scene.later(1);
        assert_eq!(scene.knows(0), ["bob"]);
    }
}

#[test]
fn members_that_a_new_process_of_redis_is_not_told_of_are_gone() {
    let mut scene = Scene::new();
    let before = scene.world.servers.len() - 1;
    let data = scene.world.server().data.clone();
    scene.world.starts(data);
    scene.world.breaks(before);
    scene.world.seats[1].frozen = scene.world.now + 5 * LEASE_TICKS;
    scene.later(LEASE_TICKS / 2);
    assert_eq!(scene.knows(0), ["bob"]);
    scene.later(2 * LEASE_TICKS);
    assert!(scene.knows(0).is_empty());
}

#[test]
fn members_that_a_full_redis_has_not_taken_are_told_later() {
    let mut scene = Scene::new();
    scene.world.server().is_full = true;
    scene.moves(0, &["cat"], &[]);
    scene.later(SOON);
    assert_eq!(scene.knows(1), ["ann"]);
    scene.world.server().is_full = false;
    scene.later(SOON);
    assert_eq!(scene.knows(1), ["ann", "cat"]);
}

#[test]
fn forgotten_scripts_lose_no_member() {
    let mut scene = Scene::new();
    scene.world.server().forget_scripts();
    scene.moves(0, &["cat"], &[]);
    scene.opens(2);
    scene.later(SOON);
    assert_eq!(scene.knows(1), ["ann", "cat"]);
    assert_eq!(scene.knows(2), ["ann", "bob", "cat"]);
}

#[test]
fn members_that_were_removed_when_a_lease_was_over_are_told_again_when_it_is_extended() {
    let mut scene = Scene::new();
    // No lease is extended, and none is ended.
    scene.world.server().is_full = true;
    scene.later(LEASE_TICKS + SOON);
    // Removes the members of servers without a lease.
    scene.opens(2);
    scene.later(5);
    scene.world.server().is_full = false;
    scene.later(SOON);
    assert_eq!(scene.knows(2), ["ann", "bob"]);
}

#[test]
fn members_that_were_told_before_the_lease_on_a_link_are_told_again() {
    // Members are told each second and the lease is extended every two: one is before the other.
    for wait in 0..20 {
        for ticks in [3, 8, 13] {
            let mut scene = Scene::new();
            scene.world.server().is_full = true;
            scene.later(LEASE_TICKS + SOON);
            scene.world.drops(0, Which::Commands);
            scene.later(SOON + wait);
            scene.world.server().is_full = false;
            scene.later(ticks);
            scene.opens(2);
            scene.later(SOON);
            let known = scene.knows(2);
            assert_eq!(known, ["ann", "bob"], "after {wait} and {ticks} ticks");
        }
    }
}
