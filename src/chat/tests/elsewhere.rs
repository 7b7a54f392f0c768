//! Members of several servers as scenes: what Ann, a member at this server, is shown of members
//! at others, and what these are told of Ann.

use super::order::{account, ban, with_accounts};
use super::*;

const NORTH: u64 = 11;
const SOUTH: u64 = 12;

/// A chat whose rooms other servers share, and Ann in the lobby.
fn shared() -> Scene {
    let mut scene = lobby();
    scene.chat.shares_changes();
    scene.chat.shares_members();
    scene.joins(ANN, "ann");
    scene.told();
    scene.forget();
    scene
}

/// The same with accounts, and in the lobby is Bob, who keeps order there.
fn kept_by_bob() -> Scene {
    let mut scene = with_accounts();
    scene.chat.shares_changes();
    scene.chat.shares_members();
    scene.comes_as(BOB, 2);
    scene.told();
    scene.forget();
    scene
}

const GUEST: Standing = Standing {
    has_account: false,
    is_operator: false,
};

const GUEST_OPERATOR: Standing = Standing {
    is_operator: true,
    ..GUEST
};

fn moves(came: &[&str], left: &[&str]) -> Moves {
    let came = came.iter().map(|name| {
        let (name, was) = match name.split_once('=') {
            Some((name, was)) => (name, Some(nick(was))),
            None => (*name, None),
        };
        Came {
            nick: nick(name),
            standing: GUEST,
            was,
        }
    });
    Moves {
        came: came.collect(),
        left: left.iter().map(|name| nick(name)).collect(),
        ..Moves::default()
    }
}

impl Scene {
    fn sighted(&mut self, what: Sighting) {
        let room = self.room("lobby");
        self.after(|chat, now, effects| chat.sighted(room, what, now, effects));
        while self.chat.has_stale_members() {
            self.after(Chat::sweep_members);
        }
    }

    fn moves(&mut self, node: u64, came: &[&str], left: &[&str]) {
        let moves = moves(came, left);
        self.sighted(Sighting::Moves { node, moves });
    }

    /// A server names a member, and what it is.
    fn names(&mut self, node: u64, name: &str, standing: Standing) {
        let mut moves = moves(&[name], &[]);
        moves.came[0].standing = standing;
        self.sighted(Sighting::Moves { node, moves });
    }

    /// All members of a server are named again.
    fn names_all(&mut self, node: u64, came: &[&str]) {
        let moves = Moves {
            is_first: true,
            is_last: true,
            ..moves(came, &[])
        };
        self.sighted(Sighting::Moves { node, moves });
    }

    /// What other servers are told of the members here: operators with a mark.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some((_, moves)) = self.chat.take_moves() {
            for moves in moves {
                told.extend(moves.came.iter().map(|came| {
                    let mark = if came.standing.is_operator { "!" } else { "" };
                    match &came.was {
                        Some(was) => format!("{}{mark}={was}", came.nick),
                        None => format!("+{}{mark}", came.nick),
                    }
                }));
                told.extend(moves.left.iter().map(|nick| format!("-{nick}")));
            }
        }
        told
    }

    fn changes(&mut self, id: ConnId) -> Vec<String> {
        let heard = self.heard(id).into_iter();
        let shown = heard.map(|seen| match seen {
            Seen::Event(Event::Joined { nick, .. }) => format!("+{nick}"),
            Seen::Event(Event::Left { nick, .. }) => format!("-{nick}"),
            Seen::Event(Event::Renamed { old, new, .. }) => format!("{new}={old}"),
            Seen::Event(Event::Summed { joined, left, .. }) => format!("{joined} and {left}"),
            Seen::Entry(draft) => format!("{:?}", draft.content),
            other @ Seen::Event(_) => format!("{other:?}"),
        });
        shown.collect()
    }

    /// The nicks that Ann is listed, and how many more there are.
    fn listed(&mut self, page: Option<Page<'_>>) -> (Vec<String>, u32) {
        self.asks(ANN, Command::Who(page));
        match &self.heard(ANN)[..] {
            [Seen::Event(Event::Who { members, more, .. })] => {
                (members.iter().map(Nick::to_string).collect(), *more)
            }
            other => panic!("a list, and not {other:?}"),
        }
    }
}

#[test]
fn joins_leaves_and_other_nicks_elsewhere_are_shown_as_those_here() {
    let mut scene = shared();
    scene.moves(NORTH, &["bob", "cat"], &[]);
    scene.moves(NORTH, &["bert=bob"], &["bob", "cat"]);
    scene.moves(NORTH, &["bert"], &["dan"]);
    let expected = ["+bob", "+cat", "bert=bob", "-cat"];
    assert_eq!(scene.changes(ANN), expected);
}

#[test]
fn members_elsewhere_are_listed_and_counted() {
    let mut scene = shared();
    scene.moves(NORTH, &["abe", "bob"], &[]);
    scene.moves(SOUTH, &["zoe"], &[]);
    scene.forget();
    let all = ["ann", "abe", "bob", "zoe"];
    assert_eq!(scene.listed(None), (all.map(String::from).to_vec(), 0));
    let page = |after, limit| Some(Page { after, limit });
    let first = ["abe", "ann"].map(String::from).to_vec();
    assert_eq!(scene.listed(page(None, 2)), (first, 2));
    let second = ["bob", "zoe"].map(String::from).to_vec();
    assert_eq!(scene.listed(page(Some("ann"), 2)), (second, 0));
    scene.asks(ANN, Command::Rooms(None));
    let rooms = Event::Rooms {
        rooms: vec![("lobby".into(), 4)],
        more: 0,
    };
    assert_eq!(scene.heard(ANN), [rooms]);
    scene.joins(CAT, "cat");
    let Some(Seen::Event(Event::Welcome { present, more, .. })) = scene.heard(CAT).pop() else {
        panic!("no welcome");
    };
    assert_eq!((present.len(), more), (4, 0));
}

#[test]
fn nick_that_is_here_and_elsewhere_is_one_member() {
    let mut scene = shared();
    scene.moves(NORTH, &["ann", "bob"], &[]);
    assert_eq!(scene.changes(ANN), ["+bob"]);
    assert_eq!(scene.listed(None).0.len(), 2);
    // Bob has another connection here, and then none elsewhere.
    scene.joins(BOB, "bob");
    assert_eq!(scene.changes(ANN), NOTHING_SHOWN);
    assert_eq!(scene.listed(None).0.len(), 2);
    scene.moves(NORTH, &[], &["bob"]);
    assert_eq!(scene.changes(ANN), NOTHING_SHOWN);
    scene.leaves(BOB);
    assert_eq!(scene.changes(ANN), ["-bob"]);
    // And the other way round.
    scene.joins(BOB, "bob");
    scene.moves(SOUTH, &["bob"], &[]);
    scene.leaves(BOB);
    assert_eq!(scene.changes(ANN), ["+bob"]);
    scene.moves(SOUTH, &[], &["bob"]);
    assert_eq!(scene.changes(ANN), ["-bob"]);
}

const NOTHING_SHOWN: [&str; 0] = [];

#[test]
fn nick_that_two_servers_have_is_one_member() {
    let mut scene = shared();
    scene.moves(NORTH, &["bob"], &[]);
    scene.moves(SOUTH, &["bob"], &[]);
    scene.moves(NORTH, &[], &["bob"]);
    assert_eq!(scene.changes(ANN), ["+bob"]);
    scene.moves(SOUTH, &[], &["bob"]);
    assert_eq!(scene.changes(ANN), ["-bob"]);
}

#[test]
fn members_that_a_server_does_not_name_again_are_gone() {
    let mut scene = shared();
    scene.moves(NORTH, &["bob", "cat"], &[]);
    scene.moves(SOUTH, &["dan"], &[]);
    scene.names_all(NORTH, &["cat", "eve"]);
    let expected = ["+bob", "+cat", "+dan", "+eve", "-bob"];
    assert_eq!(scene.changes(ANN), expected);
}

#[test]
fn members_of_a_server_stay_until_it_has_named_all() {
    let mut scene = shared();
    scene.moves(NORTH, &["bob", "cat"], &[]);
    scene.forget();
    let first = Moves {
        is_first: true,
        ..moves(&["bob"], &[])
    };
    let node = NORTH;
    scene.sighted(Sighting::Moves { node, moves: first });
    // Another server ends meanwhile.
    scene.names_all(SOUTH, &[]);
    assert_eq!(scene.changes(ANN), NOTHING_SHOWN);
    let last = Moves {
        is_last: true,
        ..Moves::default()
    };
    scene.sighted(Sighting::Moves { node, moves: last });
    assert_eq!(scene.changes(ANN), ["-cat"]);
}

#[test]
fn members_that_are_not_kept_any_more_are_gone_when_all_was_read() {
    let mut scene = shared();
    scene.moves(NORTH, &["bob", "cat"], &[]);
    scene.moves(SOUTH, &["dan"], &[]);
    scene.forget();
    scene.sighted(Sighting::AllBegins);
    scene.moves(NORTH, &["cat"], &[]);
    assert_eq!(scene.changes(ANN), NOTHING_SHOWN);
    scene.sighted(Sighting::AllEnds);
    assert_eq!(scene.changes(ANN), ["-bob", "-dan"]);
}

#[test]
fn members_of_a_dead_server_are_gone() {
    let mut scene = shared();
    scene.moves(NORTH, &["bob", "cat"], &[]);
    scene.moves(SOUTH, &["cat"], &[]);
    scene.forget();
    scene.chat.server_died(NORTH);
    while scene.chat.has_stale_members() {
        scene.after(Chat::sweep_members);
    }
    assert_eq!(scene.changes(ANN), ["-bob"]);
    // It was not dead.
    scene.names_all(NORTH, &["bob"]);
    assert_eq!(scene.changes(ANN), ["+bob"]);
}

#[test]
fn crowd_elsewhere_is_summed_up_and_swept_in_slices() {
    let mut scene = shared();
    let names: Vec<String> = (0..5_000).map(|number| format!("bob{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    scene.moves(NORTH, &names, &[]);
    scene.passes(100);
    assert_eq!(scene.changes(ANN), ["5000 and 0"]);
    scene.chat.server_died(NORTH);
    let mut slices = 0;
    while scene.chat.has_stale_members() {
        scene.after(Chat::sweep_members);
        slices += 1;
    }
    assert_eq!(slices, 3);
    scene.passes(100);
    assert_eq!(scene.changes(ANN), ["0 and 5000"]);
    assert_eq!(scene.listed(None).0, ["ann"]);
}

#[test]
fn member_elsewhere_is_kicked_and_no_leave_is_shown() {
    let mut scene = shared();
    scene.asks(ANN, Command::Op { token: "secret" });
    scene.moves(NORTH, &["bob"], &[]);
    scene.forget();
    let kick = |nick| Command::Kick { nick, reason: "" };
    scene.asks(ANN, kick("BOB"));
    assert_eq!(scene.heard(ANN), [kicked("bob", "ann", "")]);
    scene.moves(NORTH, &[], &["bob"]);
    assert_eq!(scene.heard(ANN), NOTHING);
    scene.asks(ANN, kick("bob"));
    let nick = String::from("bob");
    assert_eq!(scene.heard(ANN), refused(Refused::NoSuchMember { nick }));
}

#[test]
fn joins_leaves_and_other_nicks_here_are_told() {
    let mut scene = shared();
    scene.joins(BOB, "bob");
    scene.joins(CAT, "cat");
    assert_eq!(scene.told(), ["+bob", "+cat"]);
    scene.asks(BOB, Command::Nick("bert"));
    scene.leaves(CAT);
    assert_eq!(scene.told(), ["bert=bob", "-bob", "-cat"]);
    scene.joins(CAT, "cat");
    scene.leaves(CAT);
    assert_eq!(scene.told(), NOTHING_SHOWN);
    scene.asks(ANN, Command::Op { token: "secret" });
    scene.asks(
        ANN,
        Command::Kick {
            nick: "bert",
            reason: "",
        },
    );
    assert_eq!(scene.told(), ["+ann!", "-bert"]);
}

const KICK_EVE: Command<'_> = Command::Kick {
    nick: "eve",
    reason: "",
};

#[test]
fn operator_elsewhere_is_above_moderators_here() {
    let mut scene = kept_by_bob();
    scene.names(NORTH, "eve", GUEST_OPERATOR);
    scene.forget();
    let outranked = || refused(Refused::Outranked { nick: "eve".into() });
    let purge = Command::Purge {
        nick: "eve",
        seconds: 60,
    };
    for command in [KICK_EVE, ban("EVE"), purge] {
        scene.asks(BOB, command);
        assert_eq!(scene.heard(BOB), outranked());
    }
    // She is one no more, of which nothing is shown.
    scene.names(NORTH, "eve", GUEST);
    assert_eq!(scene.heard(BOB), NOTHING);
    scene.asks(BOB, KICK_EVE);
    assert_eq!(scene.heard(BOB), [kicked("eve", "bob", "")]);
}

#[test]
fn account_is_above_others_where_one_of_its_servers_has_an_operator() {
    let mut scene = kept_by_bob();
    let of_account = Standing {
        has_account: true,
        ..GUEST
    };
    let operator = Standing {
        has_account: true,
        ..GUEST_OPERATOR
    };
    let kick = Command::Kick {
        nick: "cat",
        reason: "",
    };
    scene.names(NORTH, "cat", operator);
    scene.names(SOUTH, "cat", of_account);
    scene.asks(BOB, kick);
    assert!(scene.refusal(BOB).is_some());
    // Also where one of its connections is here.
    scene.comes_as(CAT, 3);
    scene.asks(BOB, kick);
    assert!(scene.refusal(BOB).is_some());
    scene.moves(NORTH, &[], &["cat"]);
    scene.forget();
    scene.asks(BOB, kick);
    assert_eq!(scene.heard(BOB), [kicked("cat", "bob", "")]);
}

#[test]
fn member_that_becomes_an_operator_is_told_again_and_shown_to_none() {
    let mut scene = shared();
    scene.joins(BOB, "bob");
    scene.asks(BOB, Command::Op { token: "secret" });
    assert_eq!(scene.told(), ["+bob!"]);
    scene.forget();
    scene.asks(ANN, Command::Op { token: "secret" });
    assert_eq!(scene.told(), ["+ann!"]);
    assert_eq!(scene.heard(BOB), NOTHING);
    scene.asks(ANN, Command::Nick("anna"));
    assert_eq!(scene.told(), ["anna!=ann", "-ann"]);
    // With the token it is one no more.
    scene.chat.set(Settings::default());
    assert_eq!(scene.told(), ["+anna", "+bob"]);
}

#[test]
fn account_is_told_to_be_an_operator_as_long_as_one_of_its_connections_there_is() {
    let mut scene = kept_by_bob();
    let lobby = scene.room("lobby");
    let other = ConnId::new(4, 10);
    let op = || Command::Op { token: "secret" };
    let outranks = |scene: &Scene| scene.chat.outranks(lobby, "cat", Role::Moderator);
    scene.comes_as(CAT, 3);
    scene.comes_as(other, 3);
    assert_eq!(scene.told(), ["+cat"]);
    scene.asks(other, op());
    assert_eq!(scene.told(), ["+cat!"]);
    assert!(outranks(&scene));
    scene.leaves_room(other, "lobby");
    assert_eq!(scene.told(), ["+cat"]);
    assert!(!outranks(&scene));
    scene.joins_room(other, "lobby");
    assert_eq!(scene.told(), ["+cat!"]);
    let all = scene.chat.all_moves(lobby);
    let all = all.iter().flat_map(|moves| &moves.came);
    let operators = all.filter(|came| came.standing.is_operator);
    assert_eq!(
        operators.map(|came| came.nick.as_str()).collect::<Vec<_>>(),
        ["cat"]
    );
    // A guest again, it is one under another nick.
    scene.after(|chat, now, effects| chat.log_out(other, None, None, (now, Millis(0)), effects));
    let guest = scene.nick(other).to_owned();
    let mut expected = ["+cat".to_owned(), format!("+{guest}!")];
    expected.sort();
    assert_eq!(scene.told(), expected);
    // And the other way.
    scene.after(|chat, now, effects| chat.enter_account(other, account(3), now, effects));
    assert_eq!(scene.told(), ["+cat!".to_owned(), format!("-{guest}")]);
}

#[test]
fn all_members_here_are_named_in_slices() {
    let mut scene = shared();
    for slot in 10..10 + MOVES_MAX as u32 {
        scene.comes(ConnId::new(slot, 0), "lobby", None);
    }
    let room = scene.room("lobby");
    let all = scene.chat.all_moves(room);
    let counts: Vec<usize> = all.iter().map(|moves| moves.came.len()).collect();
    assert_eq!(counts, [MOVES_MAX, 1]);
    let flags: Vec<_> = all.iter().map(|one| (one.is_first, one.is_last)).collect();
    assert_eq!(flags, [(true, false), (false, true)]);
    assert_eq!(scene.told(), NOTHING_SHOWN);
    // A room without members here is named as empty.
    let attic = scene.room("attic");
    let none = scene.chat.all_moves(attic);
    assert_eq!(
        (none.len(), none[0].is_first, none[0].is_last),
        (1, true, true)
    );
}

#[test]
fn nothing_is_kept_where_no_other_server_shares_the_rooms() {
    let mut scene = lobby();
    scene.joins(ANN, "ann");
    let room = scene.room("lobby");
    scene.forget();
    let moves = moves(&["bob"], &[]);
    let what = Sighting::Moves { node: NORTH, moves };
    scene.after(|chat, now, effects| chat.sighted(room, what, now, effects));
    assert_eq!(scene.heard(ANN), NOTHING);
    assert!(!scene.chat.has_moves());
}
