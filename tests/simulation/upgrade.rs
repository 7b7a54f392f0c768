//! An upgrade in a game: another server takes over the state, the network and the store of the one
//! that plays. The judge sees nothing of it but that clients of TLS are asked to come back. The state
//! goes through bytes, and the check of the real program looks at each that is saved.

use super::net::{Faults, SimNet};
use parlor::carry::{OLDEST, VERSION, Writer, seal};
use parlor::config::Config;
use parlor::log::{Keeping, Store};
use parlor::net::{Net, Nowhere};
use parlor::server::{Server, examine};
use parlor::upgrade::Upgrade;
use std::cell::Cell;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

/// Stands for the new program: its check ends at once.
pub(crate) struct SimUpgrade {
    config: Config,
    outcome: Option<Result<(), String>>,
    is_woken: Rc<Cell<bool>>,
    is_approved: Rc<Cell<bool>>,
}

impl SimUpgrade {
    pub(crate) fn new(config: Config, is_woken: Rc<Cell<bool>>) -> Self {
        Self {
            config,
            outcome: None,
            is_woken,
            is_approved: Rc::default(),
        }
    }

    /// Set when the server has heard that the new program understands the state: in its next turn it
    /// asks the clients that speak TLS to come back.
    pub(crate) fn approvals(&self) -> Rc<Cell<bool>> {
        self.is_approved.clone()
    }
}

impl Upgrade for SimUpgrade {
    fn check(&mut self, state: Vec<u8>) {
        let examined = examine(self.config.clone(), &state);
        assert_eq!(examined, Ok(()), "a state is understood at any moment");
        self.outcome = Some(Ok(()));
        self.is_woken.set(true);
    }

    fn receive(&mut self) -> Option<Result<(), String>> {
        let outcome = self.outcome.take();
        self.is_approved
            .set(self.is_approved.get() || outcome == Some(Ok(())));
        outcome
    }
}

/// Lets another server take over. As at an exec, nothing of the old one is dropped. `started`: what
/// the store says, and the store, if there is one. Returns where approvals are seen from here on.
pub(crate) fn succeed(
    server: &mut Server<SimNet>,
    (config, max_connections): (&Config, usize),
    seed: u64,
    keeping: impl FnOnce(&Server<SimNet>) -> Keeping,
) -> Rc<Cell<bool>> {
    let state = server.save();
    let keeping = keeping(server);
    let mut network = mem::replace(server.net_mut(), SimNet::new(0, Faults::NONE, 0));
    network.is_taken_over();
    let is_woken = network.waker();
    let mut next = Server::new(config.clone(), network, max_connections, seed, keeping);
    let upgrade = SimUpgrade::new(config.clone(), is_woken);
    let approvals = upgrade.approvals();
    next.use_upgrade(Box::new(upgrade));
    let restored = next.restore(&state);
    assert_eq!(restored, Ok(()), "the next image understands the state");
    next.watch_inherited();
    next.upgraded("the one before", Duration::ZERO);
    next.check_invariants();
    mem::forget(mem::replace(server, next));
    approvals
}

/// What the next server knows without a store: the same start.
pub(crate) fn in_memory(server: &Server<SimNet>) -> Keeping {
    Keeping::in_memory(server.origin().random())
}

/// The same with a store, which goes on.
pub(crate) fn with_store(started: parlor::log::Started, store: Box<dyn Store>) -> Keeping {
    Keeping {
        started,
        store: Some(store),
        is_shared: false,
    }
}

/// The moment does not go back.
#[test]
fn next_server_goes_on_at_the_same_moment() {
    let net = SimNet::new(1, Faults::NONE, 1);
    let before = net.now();
    let config = Config::default();
    let mut server = Server::new(config.clone(), net, 10, 1, Keeping::in_memory([7; 36]));
    let origin = server.origin();
    succeed(&mut server, (&config, 10), 2, in_memory);
    assert_eq!(server.net().now(), before);
    assert_eq!(server.origin(), origin);
}

/// A state as the named version of the form has it: of a server with a store, in the middle of heads,
/// frames and messages.
fn kept(version: u32) -> Vec<u8> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(format!("tests/states/{version}.state"));
    std::fs::read(path).expect("a state of each version that is read")
}

#[test]
fn states_of_all_versions_that_are_read_are_understood() {
    for version in OLDEST..=VERSION {
        let understood = examine(Config::default(), &kept(version));
        assert_eq!(understood, Ok(()), "version {version}");
    }
}

/// The body of a state, which has another checksum for each change.
fn with_body(body: &[u8]) -> Vec<u8> {
    let mut to = Writer::default();
    to.put(body);
    seal(to)
}

/// Restores a state and, if it is understood, lets the server turn.
fn tries(state: &[u8]) -> bool {
    let net = Nowhere::default();
    let keeping = Keeping::in_memory([7; 36]);
    let mut server = Server::new(Config::default(), net, 1000, 1, keeping);
    let is_understood = server.restore(state).is_ok();
    if is_understood {
        server.watch_inherited();
        let _ = server.turn();
        let _ = server.turn();
    }
    is_understood
}

#[test]
fn any_cut_and_any_changed_byte_of_a_state_is_refused_or_understood() {
    let state = kept(VERSION);
    let body = &state[28..];
    assert!(tries(&with_body(body)));
    for cut in 0..body.len() {
        assert!(!tries(&with_body(&body[..cut])), "cut at {cut}");
    }
    let mut refused = 0;
    for at in 0..body.len() {
        for bits in [1, 0x80, 0xFF] {
            let mut changed = body.to_vec();
            changed[at] ^= bits;
            refused += usize::from(!tries(&with_body(&changed)));
        }
    }
    assert!(refused > body.len() / 2, "{refused} are refused");
}
