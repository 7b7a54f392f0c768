//! Leases of nodes: which of them are taken for gone, and when.

use super::redis::model::{Data, Op};
use super::world::World;
use crate::chance::Chance;
use parlor::id::Tick;
use parlor::log::{Answer, NodesAnswer, NodesRequest, Request};
use parlor::redis::scripts;
use parlor::redis::{Settings, Which};

/// Ticks in which both links come back and a lease is extended.
const SOON: u32 = 60;
const LEASE_TICKS: u32 = 100;

/// Two nodes that know of each other.
fn two() -> World {
    let mut world = World::new(2, &Settings::default(), Chance::new(1));
    later(&mut world, SOON);
    assert_eq!(live(&world), [true, true]);
    // The grace of the first start.
    later(&mut world, LEASE_TICKS);
    for seat in &mut world.seats {
        assert_eq!(seat.node.news, []);
    }
    world
}

fn later(world: &mut World, ticks: u32) {
    for _ in 0..ticks {
        world.turn(1);
    }
}

/// Whether each of two nodes takes the other one for live.
fn live(world: &World) -> [bool; 2] {
    let ids = [0, 1].map(|place: usize| world.seats[place].node.engine.node());
    [0, 1].map(|place| {
        let engine = &world.seats[place].node.engine;
        assert!(!engine.live().contains(&ids[place]), "the others");
        engine.live().contains(&ids[1 - place])
    })
}

fn news(world: &mut World, place: usize) -> Vec<NodesAnswer> {
    std::mem::take(&mut world.seats[place].node.news)
}

fn died(world: &World, place: usize) -> NodesAnswer {
    let dead = vec![world.seats[place].node.engine.node()];
    NodesAnswer::Changed {
        dead,
        is_lost: false,
    }
}

const LOST: NodesAnswer = NodesAnswer::Changed {
    dead: Vec::new(),
    is_lost: true,
};

#[test]
fn node_that_stands_still_is_gone_after_its_lease_and_is_told_when_it_goes_on() {
    let mut world = two();
    world.seats[1].frozen = world.now + (LEASE_TICKS + 50);
    later(&mut world, LEASE_TICKS - 25);
    assert_eq!(live(&world), [true, true]);
    later(&mut world, 50);
    assert_eq!(live(&world), [false, true]);
    assert_eq!(news(&mut world, 0), [died(&world, 1)]);
    later(&mut world, SOON);
    assert_eq!(live(&world), [true, true]);
    assert_eq!(news(&mut world, 0), []);
}

#[test]
fn lease_that_was_lost_while_the_link_was_there_is_told() {
    let mut world = two();
    let node = scripts::node_name(world.seats[1].node.engine.node());
    let (leases, node) = (scripts::NODES.as_bytes(), node.as_bytes());
    let removed = Op::SortedRemove(leases.to_vec(), node.to_vec());
    world.server().write(removed);
    later(&mut world, SOON);
    assert_eq!(news(&mut world, 1), [LOST]);
    assert_eq!(live(&world), [true, true]);
}

#[test]
fn emptied_redis_ends_no_lease() {
    let mut world = two();
    world.server().write(Op::Flush);
    later(&mut world, SOON);
    for place in 0..2 {
        assert_eq!(news(&mut world, place), [LOST]);
    }
    assert_eq!(live(&world), [true, true]);
}

#[test]
fn redis_that_comes_back_after_long_ends_no_lease() {
    let mut world = two();
    let writes = world.server().unsynced();
    let data = world.server().kept(writes);
    world.breaks(0);
    world.unreachable = world.now + 3 * LEASE_TICKS;
    later(&mut world, 3 * LEASE_TICKS);
    world.starts(data);
    // The other one is not there yet.
    world.seats[1].cut = world.now + SOON;
    later(&mut world, SOON);
    assert!(live(&world)[0]);
    later(&mut world, SOON);
    assert_eq!(live(&world), [true, true]);
    for place in 0..2 {
        assert_eq!(news(&mut world, place), []);
    }
}

#[test]
fn node_that_does_not_come_back_with_redis_is_gone_in_the_end() {
    let mut world = two();
    world.breaks(0);
    world.starts(Data::default());
    world.seats[1].frozen = Tick(u32::MAX);
    later(&mut world, LEASE_TICKS);
    assert_eq!(news(&mut world, 0), []);
    later(&mut world, SOON);
    assert_eq!(news(&mut world, 0), [died(&world, 1)]);
}

#[test]
fn node_that_leaves_is_gone_at_once() {
    let mut world = two();
    world.seats[1].node.engine.leave();
    later(&mut world, 25);
    assert!(!live(&world)[0]);
    assert_eq!(news(&mut world, 0), [died(&world, 1)]);
    // It does not come back by itself.
    later(&mut world, SOON);
    assert!(!live(&world)[0]);
}

#[test]
fn nodes_of_a_redis_that_forgets_scripts_are_there() {
    let mut world = two();
    for _ in 0..10 {
        world.server().forget_scripts();
        later(&mut world, 20);
    }
    assert_eq!(live(&world), [true, true]);
    assert_eq!(news(&mut world, 0), []);
}

#[test]
fn list_has_the_live_nodes_with_what_they_say_of_themselves() {
    let mut world = two();
    for (place, name) in ["one", "two"].into_iter().enumerate() {
        world.seats[place].node.engine.describe(name.to_owned());
    }
    later(&mut world, 25);
    world.seats[0]
        .node
        .request(Request::Nodes(NodesRequest::List { tag: 7 }));
    later(&mut world, 3);
    let [NodesAnswer::List { tag: 7, nodes }] = &news(&mut world, 0)[..] else {
        panic!("no list");
    };
    let mut found: Vec<_> = nodes
        .iter()
        .map(|info| (info.description.as_str(), info.is_own))
        .collect();
    found.sort_unstable();
    assert_eq!(found, [("one", true), ("two", false)]);
    world.drops(0, Which::Commands);
    world.unreachable = world.now + SOON;
    later(&mut world, 3);
    world.seats[0]
        .node
        .request(Request::Nodes(NodesRequest::List { tag: 8 }));
    later(&mut world, 3);
    let failed = world.seats[0].node.others.pop();
    assert!(
        matches!(failed, Some(Answer::TaskFailed { tag: 8, .. })),
        "{failed:?}"
    );
}
