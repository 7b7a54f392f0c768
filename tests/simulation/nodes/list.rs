//! The list of rooms over all nodes: what each knows of the rooms of the others, and when.

use super::redis::model::{Data, Op};
use super::world::World;
use crate::chance::Chance;
use parlor::redis::{Settings, Which};

/// Ticks in which all that is under way arrives, and both links come back.
const SOON: u32 = 60;
const LEASE_TICKS: u32 = 100;

/// Three nodes. The first has members in two rooms, the second in one of them.
fn three() -> World {
    let mut world = World::new(3, &Settings::default(), Chance::new(1));
    // The grace of the first start.
    later(&mut world, SOON + LEASE_TICKS);
    counts(&mut world, 0, "attic", 1);
    counts(&mut world, 0, "den", 2);
    counts(&mut world, 1, "den", 3);
    later(&mut world, 5);
    world
}

fn later(world: &mut World, ticks: u32) {
    for _ in 0..ticks {
        world.turn(1);
    }
}

fn counts(world: &mut World, node: usize, room: &str, count: u32) {
    world.seats[node].node.counts(room, count);
}

/// What a node knows of the others.
fn knows(world: &World, node: usize) -> String {
    world.seats[node].node.listed.all()
}

fn all_know(world: &World) {
    assert_eq!(knows(world, 0), "den 3");
    assert_eq!(knows(world, 1), "attic 1, den 2");
    assert_eq!(knows(world, 2), "attic 1, den 5");
}

fn restarts(world: &mut World, data: Data) {
    let before = world.servers.len() - 1;
    world.starts(data);
    world.breaks(before);
}

#[test]
fn rooms_of_each_node_are_known_at_the_others() {
    let mut world = three();
    all_know(&world);
    counts(&mut world, 0, "den", 0);
    counts(&mut world, 1, "den", 4);
    counts(&mut world, 2, "zoo", 1);
    later(&mut world, 5);
    assert_eq!(knows(&world, 0), "den 4, zoo 1");
    assert_eq!(knows(&world, 1), "attic 1, zoo 1");
    assert_eq!(knows(&world, 2), "attic 1, den 4");
}

#[test]
fn rooms_that_fill_several_pages_are_known_to_a_node_that_comes_later() {
    let mut world = three();
    world.seats[2].cut = world.now + 2 * LEASE_TICKS;
    later(&mut world, LEASE_TICKS);
    for number in 0..3_000 {
        counts(&mut world, number % 2, &format!("r{number}"), 1);
    }
    later(&mut world, LEASE_TICKS + SOON);
    let known = knows(&world, 2);
    assert_eq!(known.split(", ").count(), 3_002);
}

#[test]
fn what_changes_while_a_link_is_lost_is_known_when_it_is_back() {
    let mut world = three();
    world.drops(2, Which::Subscriptions);
    counts(&mut world, 0, "attic", 0);
    later(&mut world, SOON);
    assert_eq!(knows(&world, 2), "den 5");
    world.drops(0, Which::Commands);
    world.turn(1);
    counts(&mut world, 0, "zoo", 7);
    counts(&mut world, 0, "den", 0);
    later(&mut world, SOON);
    assert_eq!(knows(&world, 2), "den 3, zoo 7");
}

#[test]
fn rooms_of_a_node_that_is_gone_are_gone_after_its_lease() {
    let mut world = three();
    world.seats[0].frozen = world.now + 2 * LEASE_TICKS;
    later(&mut world, LEASE_TICKS / 2);
    assert_eq!(knows(&world, 1), "attic 1, den 2");
    later(&mut world, LEASE_TICKS);
    assert_eq!(knows(&world, 1), "");
    assert_eq!(knows(&world, 2), "den 3");
    // A node that reads all finds none of them, and Redis has forgotten them.
    world.drops(2, Which::Subscriptions);
    later(&mut world, SOON / 2);
    assert_eq!(knows(&world, 2), "den 3");
    let kept = world.server().data.hash(b"p:rooms");
    assert_eq!(kept.map(std::collections::BTreeMap::len), Some(1));
    // The node goes on.
    later(&mut world, LEASE_TICKS);
    all_know(&world);
}

#[test]
fn rooms_are_told_again_to_a_redis_that_was_emptied() {
    let mut world = three();
    world.server().write(Op::Flush);
    later(&mut world, SOON);
    all_know(&world);
    // A node that reads all finds them.
    world.drops(2, Which::Subscriptions);
    later(&mut world, SOON + LEASE_TICKS);
    all_know(&world);
}

#[test]
fn rooms_are_told_again_to_another_process_of_redis() {
    let mut world = three();
    restarts(&mut world, Data::default());
    // The second node comes back late, and its rooms stay meanwhile.
    world.seats[1].cut = world.now + 60;
    for _ in 0..SOON + LEASE_TICKS {
        later(&mut world, 1);
        assert_eq!(knows(&world, 0), "den 3");
    }
    all_know(&world);
}

#[test]
fn rooms_that_a_new_process_of_redis_is_not_told_of_are_gone() {
    let mut world = three();
    let data = world.server().data.clone();
    restarts(&mut world, data);
    world.seats[1].frozen = world.now + 5 * LEASE_TICKS;
    later(&mut world, LEASE_TICKS / 2);
    assert_eq!(knows(&world, 0), "den 3");
    later(&mut world, 2 * LEASE_TICKS);
    assert_eq!(knows(&world, 0), "");
}

#[test]
fn rooms_that_a_full_redis_has_not_taken_are_told_later() {
    let mut world = three();
    world.server().is_full = true;
    counts(&mut world, 0, "zoo", 1);
    later(&mut world, SOON);
    assert_eq!(knows(&world, 2), "attic 1, den 5");
    world.server().is_full = false;
    later(&mut world, SOON);
    assert_eq!(knows(&world, 2), "attic 1, den 5, zoo 1");
}

#[test]
fn forgotten_scripts_lose_no_room() {
    let mut world = three();
    world.server().forget_scripts();
    counts(&mut world, 0, "zoo", 1);
    counts(&mut world, 0, "den", 0);
    later(&mut world, SOON);
    assert_eq!(knows(&world, 2), "attic 1, den 3, zoo 1");
    world.server().forget_scripts();
    world.drops(2, Which::Subscriptions);
    later(&mut world, SOON);
    assert_eq!(knows(&world, 2), "attic 1, den 3, zoo 1");
}

#[test]
fn rooms_that_were_removed_when_a_lease_was_over_are_told_again_when_it_is_extended() {
    let mut world = three();
    // No lease is extended, and none is ended.
    world.server().is_full = true;
    later(&mut world, LEASE_TICKS + SOON);
    // Removes the rooms of servers without a lease.
    world.drops(2, Which::Subscriptions);
    later(&mut world, SOON);
    world.server().is_full = false;
    later(&mut world, SOON);
    all_know(&world);
}
