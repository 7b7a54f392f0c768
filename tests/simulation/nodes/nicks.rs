//! Nicks that nodes hold at a simulated Redis: granted once, given back, and free when the lease of
//! their node is over.

use super::redis::model::Op;
use super::world::World;
use crate::chance::Chance;
use parlor::id::Tick;
use parlor::log::{NickClaims, NodesAnswer, NodesRequest, Request};
use parlor::redis::Settings;

const NICKS: &[u8] = b"p:nicks";
const LEASE_TICKS: u32 = 100;

struct Scene {
    world: World,
    tag: u64,
}

impl Scene {
    /// Two nodes, after the grace of the first start.
    fn new() -> Self {
        let mut scene = Self {
            world: World::new(2, &Settings::default(), Chance::new(1)),
            tag: 0,
        };
        scene.later(2 * LEASE_TICKS);
        scene
    }

    fn later(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.world.turn(1);
        }
    }

    fn sends(&mut self, node: usize, released: &[&str], claimed: &[&[&str]]) {
        self.tag += 1;
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).into()).collect();
        let claims = NickClaims {
            tag: self.tag,
            released: keys(released),
            claimed: claimed.iter().map(|of_one| keys(of_one)).collect(),
        };
        let request = NodesRequest::Claim(Box::new(claims));
        self.world.seats[node].node.request(Request::Nodes(request));
        self.later(3);
    }

    fn claims(&mut self, node: usize, claimed: &[&[&str]]) -> Vec<bool> {
        self.sends(node, &[], claimed);
        let tag = self.tag;
        let news = &self.world.seats[node].node.news;
        let granted = news.iter().find_map(|news| match news {
            NodesAnswer::Claimed { tag: of, granted } if *of == tag => granted.clone(),
            _ => None,
        });
        granted.expect("an answer")
    }

    fn held(&self) -> usize {
        let redis = self.world.servers.last().expect("there is one");
        redis.data.hash(NICKS).map_or(0, |nicks| nicks.len())
    }
}

#[test]
fn nick_is_granted_to_one_node_until_it_is_given_back() {
    let mut scene = Scene::new();
    assert_eq!(scene.claims(0, &[&["ann"], &["bob"]]), [true, true]);
    assert_eq!(scene.claims(1, &[&["ann"], &["cat"]]), [false, true]);
    // For another of its users.
    assert_eq!(scene.claims(0, &[&["ann"]]), [true]);
    // What another node holds is not given back.
    scene.sends(1, &["ann"], &[]);
    assert_eq!(scene.claims(1, &[&["ann"]]), [false]);
    scene.sends(0, &["ann"], &[]);
    assert_eq!(scene.claims(1, &[&["ann"]]), [true]);
}

#[test]
fn nick_with_two_keys_is_granted_whole_or_not_at_all() {
    let mut scene = Scene::new();
    assert_eq!(scene.claims(0, &[&["b"]]), [true]);
    assert_eq!(scene.claims(1, &[&["a", "b"]]), [false]);
    assert_eq!(scene.held(), 1);
    assert_eq!(scene.claims(1, &[&["a", "c"]]), [true]);
    assert_eq!(scene.held(), 3);
}

#[test]
fn nick_is_given_back_before_others_are_claimed() {
    let mut scene = Scene::new();
    assert_eq!(scene.claims(0, &[&["ann"]]), [true]);
    scene.sends(0, &["ann"], &[&["ann"]]);
    assert_eq!(scene.held(), 1);
}

#[test]
fn nicks_of_a_node_that_is_gone_are_free_and_are_removed() {
    let mut scene = Scene::new();
    assert_eq!(scene.claims(1, &[&["ann"], &["bob"]]), [true, true]);
    scene.world.seats[1].frozen = Tick(u32::MAX);
    scene.later(LEASE_TICKS - 25);
    assert_eq!(scene.claims(0, &[&["ann"]]), [false]);
    scene.later(50);
    assert_eq!(scene.claims(0, &[&["ann"]]), [true]);
    scene.later(50);
    assert_eq!(scene.held(), 1, "bob is nobody's");
}

#[test]
fn keys_that_a_node_holds_are_told_to_it_after_a_cut() {
    let mut scene = Scene::new();
    assert_eq!(scene.claims(0, &[&["ann"]]), [true]);
    scene.world.breaks(0);
    scene.world.seats[0].node.news.clear();
    scene.later(100);
    let keys = vec!["ann".into()];
    assert_eq!(scene.world.seats[0].node.news, [NodesAnswer::Held { keys }]);
}

#[test]
fn full_redis_grants_no_nick_and_says_so() {
    let mut scene = Scene::new();
    scene.world.server().is_full = true;
    scene.sends(0, &[], &[&["ann"]]);
    let refused = NodesAnswer::Claimed {
        tag: 1,
        granted: None,
    };
    assert!(scene.world.seats[0].node.news.contains(&refused));
    let reports = &scene.world.seats[0].reports;
    let is_told = |report: &String| report.contains("hold nicks of users");
    assert!(reports.iter().any(is_told), "{reports:?}");
}

#[test]
fn claim_outlives_the_scripts_of_redis() {
    let mut scene = Scene::new();
    scene.world.server().forget_scripts();
    assert_eq!(scene.claims(0, &[&["ann"]]), [true]);
    scene.world.server().write(Op::Remove(NICKS.to_vec()));
    scene.world.server().forget_scripts();
    assert_eq!(scene.claims(1, &[&["ann"]]), [true]);
}
