//! A server's part in the tests of the engine: asks as a log does, and checks what it is answered.
//! Knows no socket: who owns it moves the bytes.

use parlor::chat::{
    Author, Came as Joined, Content, Counts, Draft, Manner, Moves, Nick, RoomsSighting, Sighting,
    Standing,
};
use parlor::id::{Millis, RoomId, Seq, Tick};
use parlor::log::{
    Answer, EpochInfo, Judged, Key, NodesAnswer, PageEntry, RefusedWhy, Request, Store, Unnumbered,
};
use parlor::redis::{Engine, Settings};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What came of one room, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Came {
    Opened {
        head: Seq,
        oldest: Seq,
        eras: Vec<(EpochInfo, Seq)>,
    },
    Entry(PageEntry),
    Gap(Seq),
    Epoch(Seq, EpochInfo),
}

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Result {
    Numbered {
        seq: Seq,
        at: Millis,
        is_duplicate: bool,
        /// How much of the room had come.
        came: usize,
    },
    Refused(RefusedWhy),
}

/// The members that other servers have, as the answers say one by one.
#[derive(Default)]
pub(crate) struct Members {
    by_room: BTreeMap<RoomId, BTreeSet<(u64, String)>>,
    /// Those that were named since all are.
    named: BTreeMap<RoomId, BTreeSet<(u64, String)>>,
}

impl Members {
    fn sighted(&mut self, room: RoomId, what: Sighting) {
        let known = self.by_room.entry(room).or_default();
        match what {
            Sighting::AllBegins => {
                self.named.insert(room, BTreeSet::new());
            }
            Sighting::AllEnds => {
                if let Some(named) = self.named.remove(&room) {
                    *known = named;
                }
            }
            Sighting::Closed => {
                self.by_room.remove(&room);
                self.named.remove(&room);
            }
            Sighting::Moves { node, moves } => {
                for known in [Some(known), self.named.get_mut(&room)]
                    .into_iter()
                    .flatten()
                {
                    if moves.is_first {
                        known.retain(|(other, _)| *other != node);
                    }
                    for nick in &moves.left {
                        known.remove(&(node, nick.to_string()));
                    }
                    for came in &moves.came {
                        known.insert((node, came.nick.to_string()));
                    }
                }
            }
        }
    }

    /// A member was removed by an entry: it is a member nowhere, until it is named again.
    fn removed(&mut self, room: RoomId, nick: &str) {
        let known = [self.by_room.get_mut(&room), self.named.get_mut(&room)];
        for known in known.into_iter().flatten() {
            known.retain(|(_, other)| other != nick);
        }
    }

    fn died(&mut self, node: u64) {
        let known = self.by_room.values_mut().chain(self.named.values_mut());
        for known in known {
            known.retain(|(other, _)| *other != node);
        }
    }

    /// The nicks of a room, in order.
    pub(crate) fn of(&self, room: RoomId) -> Vec<&str> {
        let known = self.by_room.get(&room).into_iter().flatten();
        let mut nicks: Vec<&str> = known.map(|(_, nick)| nick.as_str()).collect();
        nicks.sort_unstable();
        nicks
    }
}

/// The rooms in which other servers have members, as the answers say one by one.
#[derive(Default)]
pub(crate) struct Listed {
    rooms: BTreeMap<(u64, String), u32>,
    /// Those that were named since all are.
    named: Option<BTreeSet<(u64, String)>>,
    /// Those that servers have named that name all.
    telling: BTreeMap<u64, BTreeSet<String>>,
}

impl Listed {
    fn sighted(&mut self, what: RoomsSighting) {
        match what {
            RoomsSighting::AllBegins => self.named = Some(BTreeSet::new()),
            RoomsSighting::AllEnds => {
                if let Some(named) = self.named.take() {
                    self.rooms.retain(|room, _| named.contains(room));
                }
            }
            RoomsSighting::Counts { node, counts } => {
                if counts.is_first {
                    self.telling.insert(node, BTreeSet::new());
                }
                for (name, count) in counts.rooms {
                    let room = (node, name.to_string());
                    self.named.iter_mut().for_each(|named| {
                        named.insert(room.clone());
                    });
                    if let Some(told) = self.telling.get_mut(&node) {
                        told.insert(name.to_string());
                    }
                    self.rooms.insert(room, count);
                }
                if counts.is_last
                    && let Some(told) = self.telling.remove(&node)
                {
                    self.rooms
                        .retain(|(other, name), _| *other != node || told.contains(name));
                }
                self.rooms.retain(|_, count| *count > 0);
            }
        }
    }

    fn died(&mut self, node: u64) {
        self.rooms.retain(|(other, _), _| *other != node);
    }

    /// The rooms with the members of all, in order.
    pub(crate) fn all(&self) -> String {
        let mut all = BTreeMap::new();
        for ((_, name), count) in &self.rooms {
            *all.entry(name).or_insert(0) += count;
        }
        let all = all.iter().map(|(name, count)| format!("{name} {count}"));
        all.collect::<Vec<_>>().join(", ")
    }
}

/// A server with an engine, in the place of its log.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) is_up: bool,
    /// Not answered yet, in the order in which they were said.
    pub(crate) asked: VecDeque<Unnumbered>,
    pub(crate) results: BTreeMap<u64, Result>,
    pub(crate) came: BTreeMap<RoomId, Vec<Came>>,
    /// About the servers themselves.
    pub(crate) news: Vec<NodesAnswer>,
    pub(crate) others: Vec<Answer>,
    /// What is known of the members of other servers.
    pub(crate) members: Members,
    /// The members here.
    pub(crate) here: BTreeMap<RoomId, BTreeSet<String>>,
    /// What is known of the rooms of other servers.
    pub(crate) listed: Listed,
    /// How many members there are in each room here.
    pub(crate) counts: BTreeMap<String, u32>,
    /// The log ignores what comes of these.
    pub(crate) closed: BTreeSet<RoomId>,
    requests: Vec<Request>,
    pub(crate) next_tag: u64,
    slots: u32,
    free: Vec<u32>,
    generation: u32,
}

impl Node {
    pub(crate) fn new(number: u8, settings: Settings) -> Self {
        Self {
            engine: Engine::new(settings, [number; 32], Tick(0)),
            is_up: false,
            asked: VecDeque::new(),
            results: BTreeMap::new(),
            came: BTreeMap::new(),
            news: Vec::new(),
            others: Vec::new(),
            members: Members::default(),
            here: BTreeMap::new(),
            listed: Listed::default(),
            counts: BTreeMap::new(),
            closed: BTreeSet::new(),
            requests: Vec::new(),
            next_tag: 1,
            slots: 0,
            free: Vec::new(),
            generation: 0,
        }
    }

    pub(crate) fn open(&mut self, name: &str) -> RoomId {
        let slot = self.free.pop().unwrap_or(self.slots);
        self.slots = self.slots.max(slot + 1);
        self.generation += 1;
        let room = RoomId::new(slot, self.generation);
        self.requests.push(Request::Open {
            room,
            name: name.into(),
        });
        room
    }

    pub(crate) fn close(&mut self, room: RoomId) {
        for nick in self.here.remove(&room).into_iter().flatten() {
            self.tells(room, &[], &[&nick]);
        }
        self.requests.push(Request::Close { room });
        self.forget(room);
    }

    /// Members join a room here, or leave it.
    pub(crate) fn moves(&mut self, room: RoomId, came: &[&str], left: &[&str]) {
        let here = self.here.entry(room).or_default();
        here.extend(came.iter().map(|nick| (*nick).to_owned()));
        here.retain(|nick| !left.contains(&nick.as_str()));
        self.tells(room, came, left);
    }

    fn tells(&mut self, room: RoomId, came: &[&str], left: &[&str]) {
        let moves = Moves {
            came: came.iter().map(|name| joined(name)).collect(),
            left: left.iter().map(|name| nick(name)).collect(),
            ..Moves::default()
        };
        self.presents(room, moves);
    }

    /// In two parts, as those of a crowd are.
    fn names_all(&mut self, room: RoomId) {
        let here = self.here.get(&room).into_iter().flatten();
        let mut came: Vec<_> = here.map(|name| joined(name)).collect();
        let rest = came.split_off(came.len() / 2);
        self.presents(
            room,
            Moves {
                is_first: true,
                came,
                ..Moves::default()
            },
        );
        self.presents(
            room,
            Moves {
                is_last: true,
                came: rest,
                ..Moves::default()
            },
        );
    }

    fn presents(&mut self, room: RoomId, moves: Moves) {
        if self.is_up {
            let moves = Box::new(moves);
            self.requests.push(Request::Present { room, moves });
        }
    }

    /// A room here has so many members.
    pub(crate) fn counts(&mut self, room: &str, count: u32) {
        self.counts.insert(room.to_owned(), count);
        self.counts.retain(|_, count| *count > 0);
        self.tells_counts(Counts {
            rooms: vec![(room.into(), count)],
            ..Counts::default()
        });
    }

    /// In two parts, as those of many are.
    fn counts_all(&mut self) {
        let here = self.counts.iter();
        let mut rooms: Vec<_> = here
            .map(|(name, count)| (name.as_str().into(), *count))
            .collect();
        let rest = rooms.split_off(rooms.len() / 2);
        for (part, rooms) in [rooms, rest].into_iter().enumerate() {
            self.tells_counts(Counts {
                is_first: part == 0,
                is_last: part == 1,
                rooms,
            });
        }
    }

    fn tells_counts(&mut self, counts: Counts) {
        if self.is_up {
            self.requests.push(Request::Count(Box::new(counts)));
        }
    }

    /// Says something with a key of a session.
    /// What was said and not answered has waited for too long, and is not handed over again.
    pub(crate) fn gives_up(&mut self) {
        self.asked.clear();
    }

    pub(crate) fn say(&mut self, room: RoomId, name: &str, text: &str, key: (u64, &str)) -> u64 {
        let content = Content::said(
            Manner::Message,
            text.to_owned(),
            None,
            Author::Session(key.0),
        );
        self.number(room, name, content, key)
    }

    pub(crate) fn number(
        &mut self,
        room: RoomId,
        name: &str,
        content: Content<String>,
        key: (u64, &str),
    ) -> u64 {
        let nick = "ann".into();
        self.asks(room, name, Draft { nick, content }, key)
    }

    /// A member of that nick is removed.
    pub(crate) fn kicks(&mut self, room: RoomId, name: &str, nick: &str) -> u64 {
        let content = Content::Kicked {
            by: String::from("op"),
            reason: String::new(),
        };
        let nick = nick.into();
        self.asks(room, name, Draft { nick, content }, (5, "kick"))
    }

    fn asks(&mut self, room: RoomId, name: &str, draft: Draft, (session, key): (u64, &str)) -> u64 {
        let tag = self.next_tag;
        self.next_tag += 1;
        let asked = Unnumbered {
            tag,
            room,
            name: name.into(),
            draft,
            key: Key {
                session,
                key: key.into(),
            },
            change: None,
            judged: Judged::default(),
            has_waited: false,
        };
        if self.is_up {
            self.requests.push(Request::Number(Box::new(asked.clone())));
        }
        self.asked.push_back(asked);
        tag
    }

    pub(crate) fn request(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// Takes the answers and hands over the requests, as the log does in a turn.
    pub(crate) fn turn(&mut self) {
        let mut answers = Vec::new();
        self.engine.receive(&mut answers);
        for answer in answers {
            self.take(answer);
        }
        self.engine.send(&mut self.requests);
    }

    fn take(&mut self, answer: Answer) {
        if room_of(&answer).is_some_and(|room| self.closed.contains(&room)) {
            return;
        }
        match answer {
            Answer::Opened { room, kept } => {
                let kept = kept.expect("a shared engine has every room");
                assert_eq!(kept.eras.len(), kept.salts.len());
                let eras = kept.eras.iter().zip(&kept.salts).map(|(era, salt)| {
                    let epoch = EpochInfo {
                        epoch: era.epoch,
                        salt: *salt,
                    };
                    (epoch, era.first)
                });
                let opened = Came::Opened {
                    head: kept.head,
                    oldest: kept.oldest,
                    eras: eras.collect(),
                };
                let before = self.came.insert(room, vec![opened]);
                assert!(before.is_none(), "a room is opened once");
            }
            Answer::Entry { room, entry, .. } => {
                if let Content::Kicked { .. } = entry.draft.content {
                    self.members.removed(room, &entry.draft.nick);
                }
                self.push(room, Came::Entry(entry));
            }
            Answer::Gap { room, oldest } => self.push(room, Came::Gap(oldest)),
            Answer::Epoch {
                room,
                kept_to,
                epoch,
            } => self.push(room, Came::Epoch(kept_to, epoch)),
            Answer::Numbered {
                room,
                tag,
                seq,
                at,
                is_duplicate,
            } => {
                self.has_come(room, seq);
                let result = Result::Numbered {
                    seq,
                    at,
                    is_duplicate,
                    came: self.came.get(&room).map_or(0, Vec::len),
                };
                self.ends(tag, result);
            }
            Answer::Refused { tag, why, .. } => self.ends(tag, Result::Refused(why)),
            Answer::Link { is_up, .. } => {
                self.is_up = is_up;
                if is_up {
                    let again = self.asked.iter().cloned();
                    let again = again.map(|asked| Request::Number(Box::new(asked)));
                    self.requests.extend(again);
                } else {
                    self.requests.retain(|request| {
                        !matches!(
                            request,
                            Request::Number(_) | Request::Present { .. } | Request::Count(_)
                        )
                    });
                }
            }
            Answer::OpenFailed { room, .. } => self.forget(room),
            Answer::Nodes(news) => {
                if let NodesAnswer::Changed { dead, .. } = &news {
                    for node in dead {
                        self.members.died(*node);
                        self.listed.died(*node);
                    }
                }
                self.news.push(news);
            }
            Answer::Sighted { room, what } => self.members.sighted(room, what),
            Answer::MembersWanted { room } => self.names_all(room),
            Answer::RoomsSighted(what) => self.listed.sighted(what),
            Answer::RoomsWanted => self.counts_all(),
            other => self.others.push(other),
        }
    }

    /// The room is not open any more.
    fn forget(&mut self, room: RoomId) {
        self.free.push(room.slot());
        self.here.remove(&room);
        self.closed.insert(room);
        self.asked.retain(|asked| asked.room != room);
    }

    fn push(&mut self, room: RoomId, came: Came) {
        // Nothing comes of a room before it is open.
        self.came.get_mut(&room).expect("an open room").push(came);
    }

    fn ends(&mut self, tag: u64, result: Result) {
        self.asked.retain(|asked| asked.tag != tag);
        let before = self.results.insert(tag, result);
        assert!(before.is_none(), "{tag} is answered once");
    }

    /// The entry came before, or is in the past of the room.
    fn has_come(&self, room: RoomId, seq: Seq) {
        assert!(seq <= self.last(room), "numbered before the entry came");
    }

    /// The newest entry that came of a room, or was there before.
    pub(crate) fn last(&self, room: RoomId) -> Seq {
        let mut last = Seq(0);
        for came in self.came.get(&room).into_iter().flatten() {
            match came {
                Came::Opened { head, .. } => last = *head,
                Came::Entry(entry) => last = entry.seq,
                Came::Gap(oldest) => last = Seq(oldest.0 - 1),
                Came::Epoch(kept_to, _) => last = last.min(*kept_to),
            }
        }
        last
    }

    pub(crate) fn texts(&self, room: RoomId) -> Vec<String> {
        let mut texts = Vec::new();
        for came in self.came.get(&room).into_iter().flatten() {
            if let Came::Entry(entry) = came
                && let Content::Said { text, .. } = &entry.draft.content
            {
                texts.push(text.clone());
            }
        }
        texts
    }
}

fn nick(name: &str) -> Nick {
    Nick::parse(name).expect("a nick")
}

fn joined(name: &str) -> Joined {
    Joined {
        nick: nick(name),
        standing: Standing::default(),
        was: None,
    }
}

/// The room that an answer is about.
fn room_of(answer: &Answer) -> Option<RoomId> {
    match answer {
        Answer::Opened { room, .. }
        | Answer::Entry { room, .. }
        | Answer::Gap { room, .. }
        | Answer::Epoch { room, .. }
        | Answer::Numbered { room, .. }
        | Answer::Refused { room, .. }
        | Answer::Page { room, .. }
        | Answer::OpenFailed { room, .. }
        | Answer::ReadFailed { room, .. }
        | Answer::Sighted { room, .. }
        | Answer::MembersWanted { room } => Some(*room),
        _ => None,
    }
}
