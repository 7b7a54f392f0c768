//! The promises about several servers on one Redis: engines over simulated connections to a
//! simulated Redis, which restarts with and without loss, is taken over by a replica that is
//! behind, fills up and forgets. Each entry has one place in its room and epoch, one that is sent
//! again is there once, every server that has a room open gets the same entries in order, and what
//! was lost is told.

mod facts;
mod faults;
mod game;
mod judge;
mod keeping;
mod leases;
mod letters;
mod list;
mod members;
mod nicks;
mod people;
mod programs;
mod ranks;
#[path = "../../redis/mod.rs"]
mod redis;
mod scenes;
mod servers;
mod sides;
mod visits;
mod world;

/// The games of a test run.
const SEEDS: u64 = 300;

/// Seeds that once failed, and the fault that each found:
///
/// - 116, 1015: where Redis was emptied and asked by a server that knew less, numbers of epochs fell.
/// - 4308: an entry of a lost epoch was not answered where the new epoch was published and not
///   asked for.
/// - 15: a room was closed before its log knew that the link was back: Redis kept its members.
/// - 487: a server died whose lease a server never saw that had read its members.
/// - 411851, 701347, 910286: the judge's, who took a message for one that was told as lost: it had been given the same
///   place in the same millisecond at two of Redis.
const FOUND: [u64; 8] = [116, 1_015, 4_308, 15, 487, 411_851, 701_347, 910_286];

#[test]
fn servers_of_one_redis_agree_whatever_happens() {
    super::plays_all(&FOUND, SEEDS, game::play);
}

/// The games of a test run with whole servers.
const SERVER_SEEDS: u64 = 60;

/// Seeds that once failed, and the fault that each found:
///
/// - 63: members of a server stayed whose lease had ended before that of the one that saw them
///   began.
/// - 122: members that were told before the lease of their server were removed and not told again.
/// - 621: so were those of a server whose lease was over and not ended before it was extended.
/// - 2585: a client that lost its nick was not told which one it has.
/// - 1073: the topic that one operator gave took back what another had set in the same moment.
/// - 16: a conversation of guests had the number of a room of the engine.
/// - 31, 45, 107: with an account that was refused, its name was free that another server had
///   registered.
/// - 115: a session that was begun while the password was changed outlasted it.
/// - 3349: the judge's: what a program said under a nick that was muted it said again under another.
const SERVERS_FOUND: [u64; 11] = [63, 122, 621, 2_585, 1_073, 16, 31, 45, 107, 115, 3_349];

#[test]
fn programs_have_one_history_whatever_happens_to_servers_and_redis() {
    super::plays_all(&SERVERS_FOUND, SERVER_SEEDS, programs::play);
}

/// The same games: what programs do to each other in them is seen to happen.
#[test]
fn order_is_kept_in_games() {
    let mut all = keeping::Seen::new();
    for seed in 0..30 {
        let (_, seen) = programs::plays(seed, super::trace::Trace::Off);
        for (what, count) in seen {
            *all.entry(what).or_default() += count;
        }
    }
    for what in [
        "kick",
        "ban",
        "unban",
        "mute",
        "unmute",
        "topic",
        "room",
        "removed",
        "silenced",
        "outranked",
        "register",
        "login",
        "resume",
        "password",
        "logout",
        "letter",
        "role",
        "kicked",
    ] {
        let count = all.get(what).copied().unwrap_or_default();
        assert!(count >= 10, "{what} happened {count} times");
    }
}
