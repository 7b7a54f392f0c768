//! Nicks that nodes hold at a simulated Redis: granted once, given back, and free when the lease of
//! their node is over.

use super::redis::model::Op;
use super::world::World;
use crate::chance::Chance;
use parlor::id::{ConnId, Tick};
use parlor::log::{Earlier, NickClaim, NickClaims, NodesAnswer, NodesRequest, Request};
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
        let claimed = claimed.iter().map(|of_one| claim(of_one, 0, None));
        self.sends_all(node, released, claimed.collect());
    }

    fn sends_all(&mut self, node: usize, released: &[&str], claimed: Vec<NickClaim>) {
        self.tag += 1;
        let claims = NickClaims {
            tag: self.tag,
            released: released.iter().map(|key| (*key).into()).collect(),
            claimed,
        };
        let request = NodesRequest::Claim(Box::new(claims));
        self.world.seats[node].node.request(Request::Nodes(request));
        self.later(3);
    }

    fn claims(&mut self, node: usize, claimed: &[&[&str]]) -> Vec<bool> {
        self.sends(node, &[], claimed);
        self.granted(node)
    }

    /// One nick of a client with a session, which may have proved that it goes on with it.
    fn claims_for(&mut self, node: usize, nick: &str, session: u64, resumes: bool) -> bool {
        let claims = vec![claim(&[nick], session, resumes.then_some(EARLIER))];
        self.sends_all(node, &[], claims);
        self.granted(node)[0]
    }

    fn granted(&self, node: usize) -> Vec<bool> {
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

const EARLIER: Earlier = Earlier {
    start: 0xfeed,
    connection: ConnId::new(3, 7),
};

fn claim(keys: &[&str], session: u64, resumes: Option<Earlier>) -> NickClaim {
    NickClaim {
        keys: keys.iter().map(|key| (*key).into()).collect(),
        session,
        resumes,
    }
}

#[test]
fn session_that_goes_on_at_another_node_has_its_nick_there_at_once() {
    let mut scene = Scene::new();
    assert!(scene.claims_for(0, "ann", 5, false));
    // Another session, and the same one without a proof.
    assert!(!scene.claims_for(1, "ann", 6, true));
    assert!(!scene.claims_for(1, "ann", 5, false));
    for seat in &mut scene.world.seats {
        seat.node.news.clear();
    }
    assert!(scene.claims_for(1, "ann", 5, true));
    let resumed = NodesAnswer::Resumed {
        session: 5,
        earlier: EARLIER,
    };
    for seat in &scene.world.seats {
        assert!(seat.node.news.contains(&resumed));
    }
    // The first has it no more, and cannot give it back.
    assert!(!scene.claims_for(0, "ann", 5, false));
    scene.sends(0, &["ann"], &[]);
    assert!(
        !scene.claims_for(0, "ann", 0, true),
        "no session is not the same"
    );
    assert_eq!(scene.held(), 1);
}

#[test]
fn session_of_a_node_that_has_just_died_has_its_nick_at_another() {
    let mut scene = Scene::new();
    assert!(scene.claims_for(1, "ann", 5, false));
    scene.world.seats[1].frozen = Tick(u32::MAX);
    scene.later(5);
    assert!(!scene.claims_for(0, "ann", 6, true));
    assert!(scene.claims_for(0, "ann", 5, true));
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
