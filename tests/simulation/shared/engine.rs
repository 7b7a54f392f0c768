//! A simulated engine that several servers share: it numbers what they hand over, keeps it, and
//! gives each server the entries of the rooms that it has open. Answers late, loses links with what
//! is on its way, loses what it has numbered, refuses, forgets what is old. Knows requests, not
//! clients.

use super::super::chance::Chance;
use parlor::chat::registry::{AuditRow, Change, Fact, FactKey, Registry, Snapshot};
use parlor::chat::{Came, Content, Counts, Form, Moves, Pair, Role, RoomsSighting, Sighting};
use parlor::id::{AccountId, Millis, RoomId, Seq};
use parlor::log::{
    Amendment, Answer, EpochInfo, Era, Keeping, Kept, Key, NickClaims, NodesAnswer, NodesRequest,
    Page, PageEntry, Proposed, RefusedWhy, Request, Started, Store, StoredRoom, Unnumbered,
    Version,
};
use smol_str::SmolStr;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::rc::Rc;

/// What lies between the loop of a server and the engine.
#[derive(Default)]
struct Channel {
    requests: Cell<Vec<Request>>,
    answers: Cell<Vec<Answer>>,
}

fn append<T>(cell: &Cell<Vec<T>>, more: &mut Vec<T>) {
    let mut all = cell.take();
    all.append(more);
    cell.set(all);
}

struct SimStore {
    channel: Rc<Channel>,
}

impl Store for SimStore {
    fn send(&mut self, requests: &mut Vec<Request>) {
        append(&self.channel.requests, requests);
    }

    fn receive(&mut self, answers: &mut Vec<Answer>) {
        answers.append(&mut self.channel.answers.take());
    }
}

/// How an engine misbehaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Of 100 steps of a node, how many bring nothing to the engine, and nothing from it.
    pub(crate) late: u32,
    /// Of 1000 steps of a node, how many cut its link, or mend it.
    pub(crate) cut: u32,
    /// Of 100 drafts, how many are refused.
    pub(crate) refused: u32,
    /// Of 1000 steps, how many lose the newest entries.
    pub(crate) lost: u32,
    /// Of 1000 steps, how many remove the oldest entries of a room.
    pub(crate) trimmed: u32,
}

/// An entry, and with what it was handed over.
pub(crate) struct Numbered {
    pub(crate) entry: PageEntry,
    pub(crate) key: Key,
    /// The number of the change that it makes; 0: it makes none.
    change: u64,
    by: Option<Role>,
}

/// What is kept of a room.
pub(crate) struct Room {
    number: StoredRoom,
    /// Those of `oldest` and after.
    pub(crate) entries: VecDeque<Numbered>,
    /// The same in their present form.
    present: BTreeMap<Seq, PageEntry>,
    oldest: Seq,
    epochs: Vec<(EpochInfo, Seq)>,
}

impl Room {
    pub(crate) fn head(&self) -> Seq {
        Seq(self.oldest.0 - 1 + self.entries.len() as u32)
    }

    fn of_key(&self, key: &Key) -> Option<(Seq, Millis)> {
        let found = self.entries.iter().find(|numbered| numbered.key == *key);
        found.map(|found| (found.entry.seq, found.entry.at))
    }

    fn numbers(&mut self, draft: &Unnumbered, change: u64, at: Millis) -> PageEntry {
        let entry = PageEntry {
            seq: Seq(self.head().0 + 1),
            at,
            draft: draft.draft.clone(),
        };
        self.amend(&entry);
        self.present.insert(entry.seq, entry.clone());
        self.entries.push_back(Numbered {
            entry: entry.clone(),
            key: draft.key.clone(),
            change,
            by: draft.judged.by,
        });
        entry
    }

    fn amend(&mut self, by: &PageEntry) {
        let (of, text) = match &by.draft.content {
            Content::Edited { of, text } => (*of, Some(text.as_str())),
            Content::Deleted { of } => (*of, None),
            _ => return,
        };
        let before = match self.present.get(&of).map(|entry| &entry.draft.content) {
            Some(Content::Said {
                form: Form::Edited { by },
                ..
            }) => Some(*by),
            _ => None,
        };
        let amendment = Amendment {
            of,
            by: by.seq,
            text,
            before,
        };
        for seq in [Some(of), before].into_iter().flatten() {
            if let Some(entry) = self.present.get_mut(&seq) {
                amendment.apply(entry);
            }
        }
    }

    fn rebuild(&mut self) {
        self.present.clear();
        let entries: Vec<PageEntry> = self.entries.iter().map(|one| one.entry.clone()).collect();
        for entry in entries {
            self.amend(&entry);
            self.present.insert(entry.seq, entry);
        }
    }

    fn kept(&self) -> Kept {
        Kept {
            stored_room: self.number,
            oldest: self.oldest,
            head: self.head(),
            at: self.entries.back().map_or(Millis(0), |last| last.entry.at),
            eras: self
                .epochs
                .iter()
                .map(|(info, first)| Era {
                    epoch: info.epoch,
                    first: *first,
                })
                .collect(),
            salts: self.epochs.iter().map(|(info, _)| info.salt).collect(),
        }
    }

    fn page(&self, after: Seq, entries_max: u32) -> Page {
        let first = Seq((after.0 + 1).max(self.oldest.0));
        let entries = self.present.range(first..).map(|(_, entry)| entry.clone());
        let entries: Vec<PageEntry> = entries.take(entries_max as usize).collect();
        Page {
            complete_to: entries.last().map_or(after, |last| last.seq),
            entries,
            oldest: self.oldest,
        }
    }
}

/// A room that a node has open.
struct Open {
    name: SmolStr,
    /// The next entry that the node gets.
    next: Seq,
    /// How many epochs it knows.
    epochs: usize,
}

/// What came of a draft.
struct Outcome {
    draft: Unnumbered,
    seq: Seq,
    at: Millis,
    is_duplicate: bool,
}

/// The link to one server.
struct Node {
    number: usize,
    channel: Rc<Channel>,
    is_up: bool,
    is_known: bool,
    /// Nothing comes from the engine.
    is_mute: bool,
    drafts_are_lost: bool,
    /// On their way to the engine.
    requests: VecDeque<Request>,
    rooms: BTreeMap<RoomId, Open>,
    /// How many changes of the registry it has; `None`: it is given all facts.
    changes: Option<u64>,
    /// What was refused for changes of others, due when it has all of them.
    stale: Vec<Answer>,
    /// Its changes that were numbered, and the numbers that it gave them.
    changed: Vec<(u64, u64)>,
    /// How many hints it was given, or has lost.
    hinted: usize,
    /// On their way to the node.
    results: Vec<Outcome>,
    answers: VecDeque<Answer>,
}

/// A change of the registry that is in order.
struct Changed {
    change: Change,
    node: usize,
    own: u64,
}

impl Node {
    fn room_called(&self, name: &SmolStr) -> Option<RoomId> {
        let found = self.rooms.iter().find(|(_, open)| open.name == *name);
        found.map(|(room, _)| *room)
    }
}

fn sighted(number: usize, moves: Moves) -> Sighting {
    let node = number as u64;
    Sighting::Moves { node, moves }
}

fn listed(number: usize, counts: Counts) -> Answer {
    let node = number as u64;
    Answer::RoomsSighted(RoomsSighting::Counts { node, counts })
}

/// The members of a room, by the node that has them.
type Members = BTreeMap<usize, BTreeMap<SmolStr, Came>>;

/// The engine.
pub(crate) struct Engine {
    /// Which node holds the key of a nick, and for which session.
    pub(crate) nicks: BTreeMap<SmolStr, (usize, u64)>,
    /// Sessions that went on, for all nodes.
    resumed: Vec<NodesAnswer>,
    pub(crate) rooms: BTreeMap<SmolStr, Room>,
    pub(crate) registry: Registry,
    changes: Vec<Changed>,
    members: BTreeMap<SmolStr, Members>,
    /// What changed of them, for the other nodes.
    moved: Vec<(SmolStr, usize, Moves)>,
    /// How many members each node has in its rooms.
    counts: BTreeMap<usize, BTreeMap<SmolStr, u32>>,
    counted: Vec<(usize, Counts)>,
    counted_so_far: usize,
    /// The entries of conversations.
    hints: Vec<(SmolStr, Seq)>,
    run: EpochInfo,
    nodes: Vec<Node>,
    pub(crate) faults: Faults,
    clock: u64,
    pub(crate) numbered: u64,
}

/// What a server keeps of a shared engine, which is behind this end of the log's seam.
pub(crate) fn keeping(store: Box<dyn Store>, epoch: EpochInfo) -> Keeping {
    Keeping {
        started: Started {
            epoch: epoch.epoch,
            epochs: vec![epoch],
            next_room: StoredRoom(1),
            session_key: [7; 32],
            registry: Snapshot::default(),
        },
        store: Some(store),
        is_shared: true,
    }
}

impl Engine {
    pub(crate) fn new() -> Self {
        Self {
            nicks: BTreeMap::new(),
            resumed: Vec::new(),
            rooms: BTreeMap::new(),
            registry: Registry::default(),
            changes: Vec::new(),
            members: BTreeMap::new(),
            moved: Vec::new(),
            counts: BTreeMap::new(),
            counted: Vec::new(),
            counted_so_far: 0,
            hints: Vec::new(),
            run: EpochInfo {
                epoch: 1,
                salt: 0xabcd,
            },
            nodes: Vec::new(),
            faults: Faults::default(),
            clock: 0,
            numbered: 0,
        }
    }

    /// One more server.
    pub(crate) fn serves(&mut self, chance: &mut Chance) -> Keeping {
        let channel = Rc::<Channel>::default();
        let store = SimStore {
            channel: channel.clone(),
        };
        self.nodes.push(Node {
            number: self.nodes.len(),
            channel,
            is_up: true,
            is_known: true,
            is_mute: false,
            drafts_are_lost: false,
            requests: VecDeque::new(),
            rooms: BTreeMap::new(),
            changes: None,
            stale: Vec::new(),
            changed: Vec::new(),
            hinted: 0,
            results: Vec::new(),
            answers: VecDeque::new(),
        });
        let epoch = EpochInfo {
            epoch: chance.next() as u32,
            salt: chance.next() as u32,
        };
        keeping(Box::new(store), epoch)
    }

    pub(crate) fn head(&self, name: &str) -> u32 {
        self.rooms.get(name).map_or(0, |room| room.head().0)
    }

    /// The link of a node is lost, with all that is on its way in either direction, or is back.
    pub(crate) fn links(&mut self, node: usize, is_up: bool) {
        let node = &mut self.nodes[node];
        if mem::replace(&mut node.is_up, is_up) && !is_up {
            node.results.clear();
            node.answers.clear();
        }
    }

    /// A node is given all facts again, as after changes that it may have missed.
    pub(crate) fn reads_all(&mut self, node: usize) {
        self.nodes[node].changes = None;
    }

    /// Facts are lost, and the nodes do not know yet.
    pub(crate) fn loses_facts(&mut self, is_lost: impl Fn(&Fact) -> bool) {
        let mut kept = self.registry.snapshot();
        kept.facts.retain(|fact| !is_lost(fact));
        self.registry = Registry::restore(kept);
    }

    /// Rows of the audit log, the newest first, and whether there are older ones.
    fn rows(&self, room: Option<&SmolStr>, before: u64, rows_max: usize) -> (Vec<AuditRow>, bool) {
        let row = |changed: &Changed| {
            let Change { number, at, .. } = changed.change;
            let audit = changed.change.audit.clone()?;
            let is_wanted = number < before && (room.is_none() || audit.room.as_ref() == room);
            is_wanted.then_some(AuditRow { number, at, audit })
        };
        let mut rows = self.changes.iter().rev().filter_map(row);
        let page = rows.by_ref().take(rows_max).collect();
        (page, rows.next().is_some())
    }

    /// How many changes have the word in the audit log.
    pub(crate) fn changes_like(&self, action: &str) -> usize {
        let audits = self.changes.iter();
        let audits = audits.filter_map(|changed| changed.change.audit.as_ref());
        audits.filter(|audit| audit.action == action).count()
    }

    /// What a node hands over arrives, and nothing comes back.
    pub(crate) fn mutes(&mut self, node: usize, is_mute: bool) {
        self.nodes[node].is_mute = is_mute;
    }

    /// What a node hands over to be numbered is lost on its way, as before the link is.
    pub(crate) fn loses_drafts(&mut self, node: usize, are_lost: bool) {
        self.nodes[node].drafts_are_lost = are_lost;
    }

    /// A new process of the engine, which has lost the newest `count` entries of each room.
    pub(crate) fn loses(&mut self, count: u32) {
        self.run = EpochInfo {
            epoch: self.run.epoch + 1,
            salt: self.run.salt.wrapping_mul(0x9E37_79B9).wrapping_add(1),
        };
        for room in self.rooms.values_mut() {
            for _ in 0..count {
                room.entries.pop_back();
            }
            room.rebuild();
            room.epochs.push((self.run, Seq(room.head().0 + 1)));
        }
    }

    /// Only the newest `count` entries of a room are kept.
    pub(crate) fn trims(&mut self, name: &str, count: usize) {
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        while room.entries.len() > count {
            room.entries.pop_front();
            room.present.remove(&room.oldest);
            room.oldest = Seq(room.oldest.0 + 1);
        }
    }

    /// All that is under way moves on by one step. Returns the nodes that get something.
    pub(crate) fn steps(&mut self, wall: Millis, chance: &mut Chance) -> Vec<usize> {
        self.clock = self.clock.max(wall.0);
        if chance.per_mille(self.faults.lost) {
            self.loses(chance.below(4) as u32);
        }
        if chance.per_mille(self.faults.trimmed) {
            let names: Vec<SmolStr> = self.rooms.keys().cloned().collect();
            if !names.is_empty() {
                self.trims(&names[chance.below(names.len())].clone(), chance.below(8));
            }
        }
        let mut nodes = mem::take(&mut self.nodes);
        let mut woken = Vec::new();
        for (index, node) in nodes.iter_mut().enumerate() {
            if chance.per_mille(self.faults.cut) {
                node.is_up = !node.is_up;
                if !node.is_up {
                    node.results.clear();
                    node.answers.clear();
                    if chance.percent(30) {
                        self.nicks.retain(|_, (holder, _)| *holder != index);
                    }
                }
            }
            if self.steps_node(index, node, chance) {
                woken.push(index);
            }
        }
        for (name, number, moves) in mem::take(&mut self.moved) {
            let others = nodes.iter_mut();
            let others = others.filter(|node| node.number != number && node.is_up);
            for node in others {
                if let Some(room) = node.room_called(&name) {
                    let what = sighted(number, moves.clone());
                    node.answers.push_back(Answer::Sighted { room, what });
                }
            }
        }
        for (number, counts) in mem::take(&mut self.counted) {
            let others = nodes.iter_mut();
            for node in others.filter(|node| node.number != number && node.is_up) {
                node.answers.push_back(listed(number, counts.clone()));
            }
        }
        for resumed in mem::take(&mut self.resumed) {
            for node in nodes.iter_mut().filter(|node| node.is_up) {
                node.answers.push_back(Answer::Nodes(resumed.clone()));
            }
        }
        self.nodes = nodes;
        woken
    }

    /// What is known of the members that other nodes have in a room.
    fn sees(&self, room: RoomId, name: &SmolStr, number: usize) -> Vec<Answer> {
        let members = self.members.get(name).into_iter().flatten();
        let others = members.filter(|(other, _)| **other != number);
        let moves = others.map(|(other, members)| {
            let moves = Moves {
                came: members.values().cloned().collect(),
                ..Moves::default()
            };
            sighted(*other, moves)
        });
        let all = std::iter::once(Sighting::AllBegins)
            .chain(moves)
            .chain([Sighting::AllEnds]);
        all.map(|what| Answer::Sighted { room, what }).collect()
    }

    fn presents(&mut self, node: &Node, room: RoomId, moves: Moves) {
        let Some(open) = node.rooms.get(&room) else {
            return;
        };
        let members = self.members.entry(open.name.clone()).or_default();
        let members = members.entry(node.number).or_default();
        if moves.is_first {
            members.clear();
        }
        for nick in &moves.left {
            members.remove(nick.as_str());
        }
        for came in &moves.came {
            let was = None;
            let kept = Came {
                was,
                ..came.clone()
            };
            members.insert(came.nick.as_str().into(), kept);
        }
        self.moved.push((open.name.clone(), node.number, moves));
    }

    /// What is known of the rooms of other nodes.
    fn sees_rooms(&self, number: usize) -> Vec<Answer> {
        let others = self.counts.iter().filter(|(other, _)| **other != number);
        let counts = others.map(|(other, rooms)| {
            let counts = Counts {
                rooms: rooms.clone().into_iter().collect(),
                ..Counts::default()
            };
            listed(*other, counts)
        });
        std::iter::once(Answer::RoomsSighted(RoomsSighting::AllBegins))
            .chain(counts)
            .chain([Answer::RoomsSighted(RoomsSighting::AllEnds)])
            .collect()
    }

    fn counts(&mut self, number: usize, counts: Counts) {
        let rooms = self.counts.entry(number).or_default();
        if counts.is_first {
            rooms.clear();
        }
        rooms.extend(counts.rooms.iter().cloned());
        rooms.retain(|_, count| *count > 0);
        self.counted.push((number, counts));
        self.counted_so_far += 1;
    }

    /// How often nodes have told of their rooms.
    pub(crate) const fn counted_so_far(&self) -> usize {
        self.counted_so_far
    }

    /// The members of all nodes are lost, and nothing is noticed of it.
    pub(crate) fn forgets_members(&mut self) {
        self.members.clear();
        self.counts.clear();
    }

    fn steps_node(&mut self, index: usize, node: &mut Node, chance: &mut Chance) -> bool {
        let requests = node.channel.requests.take();
        for request in requests {
            match request {
                // What is handed over before the loss of the link is known is dropped with it.
                Request::Number(_)
                | Request::Propose(_)
                | Request::Nodes(_)
                | Request::Present { .. }
                | Request::Count(_)
                    if !node.is_up => {}
                request => node.requests.push_back(request),
            }
        }
        let mut answers = Vec::new();
        if node.is_up != node.is_known {
            node.is_known = node.is_up;
            let why = String::from("as the game wants it");
            answers.push(Answer::Link {
                is_up: node.is_up,
                why,
            });
            if node.is_up {
                // As a sweep finds them.
                let held = self.nicks.iter();
                let held = held.filter(|(_, (holder, _))| *holder == node.number);
                let keys = held.map(|(key, _)| key.clone()).collect();
                let held = Answer::Nodes(NodesAnswer::Held { keys });
                node.answers.push_back(held);
            } else {
                node.changed.clear();
                node.stale.clear();
                node.requests.retain(|request| {
                    !matches!(
                        request,
                        Request::Number(_)
                            | Request::Propose(_)
                            | Request::Nodes(_)
                            | Request::Present { .. }
                            | Request::Count(_)
                    )
                });
            }
            for (room, open) in node.rooms.iter().filter(|_| node.is_up) {
                answers.extend(self.sees(*room, &open.name, node.number));
                answers.push(Answer::MembersWanted { room: *room });
            }
            if node.is_up {
                answers.extend(self.sees_rooms(node.number));
                answers.push(Answer::RoomsWanted);
            }
        }
        if !node.is_up {
            node.hinted = self.hints.len();
            self.fails_reads(node, &mut answers);
        } else if !chance.percent(self.faults.late) {
            self.takes(index, node, chance);
            if !node.is_mute {
                self.gives(index, node, &mut answers, chance);
            }
        }
        let has_answers = !answers.is_empty();
        append(&node.channel.answers, &mut answers);
        has_answers
    }

    fn fails_reads(&mut self, node: &mut Node, answers: &mut Vec<Answer>) {
        let mut kept = VecDeque::new();
        for request in node.requests.drain(..) {
            match request {
                Request::Read {
                    room,
                    log_gen,
                    after,
                    ..
                } => {
                    let why = String::from("the link is lost");
                    answers.push(Answer::ReadFailed {
                        room,
                        log_gen,
                        after,
                        why,
                    });
                }
                Request::Audit { tag, .. } => {
                    let why = String::from("the link is lost");
                    answers.push(Answer::TaskFailed { tag, why });
                }
                request => kept.push_back(request),
            }
        }
        node.requests = kept;
    }

    fn takes(&mut self, index: usize, node: &mut Node, chance: &mut Chance) {
        while let Some(request) = node.requests.pop_front() {
            match request {
                Request::Number(_) if node.drafts_are_lost => {}
                Request::Open { room, name } => {
                    self.gives_hints(node);
                    let kept = self.room(&name).kept();
                    let epochs = kept.eras.len();
                    let next = Seq(kept.head.0 + 1);
                    node.answers.extend(self.sees(room, &name, node.number));
                    node.rooms.insert(room, Open { name, next, epochs });
                    node.answers.push_back(Answer::Opened {
                        room,
                        kept: Some(kept),
                    });
                }
                Request::Close { room } => {
                    node.rooms.remove(&room);
                    let what = Sighting::Closed;
                    node.answers.push_back(Answer::Sighted { room, what });
                }
                Request::Present { room, moves } => self.presents(node, room, *moves),
                Request::Count(counts) => self.counts(node.number, *counts),
                Request::Number(draft) => self.numbers(index, node, *draft, chance),
                Request::Propose(proposed) => self.takes_change(index, node, &proposed, chance),
                Request::Nodes(NodesRequest::Claim(claims)) => self.claims(node, &claims),
                Request::Read {
                    room,
                    log_gen,
                    after,
                    entries_max,
                    ..
                } => {
                    let name = &node.rooms[&room].name;
                    let page = self.rooms[name].page(after, entries_max);
                    node.answers.push_back(Answer::Page {
                        room,
                        log_gen,
                        page,
                    });
                }
                Request::Audit {
                    tag,
                    room,
                    before,
                    limit,
                } => {
                    let (rows, more) = self.rows(room.as_ref(), before, limit as usize);
                    node.answers.push_back(Answer::Audited { tag, rows, more });
                }
                other => panic!("no shared engine is asked for {other:?}"),
            }
            if chance.percent(self.faults.late) {
                return;
            }
        }
    }

    fn room(&mut self, name: &SmolStr) -> &mut Room {
        let number = StoredRoom(self.rooms.len() as u32 + 1);
        let run = self.run;
        self.rooms.entry(name.clone()).or_insert_with(|| Room {
            number,
            entries: VecDeque::new(),
            present: BTreeMap::new(),
            oldest: Seq(1),
            epochs: vec![(run, Seq(1))],
        })
    }

    fn version(&self) -> Version {
        Version {
            epoch: EpochInfo { epoch: 1, salt: 1 },
            number: self.changes.len() as u64,
        }
    }

    /// Whether another node has changed accounts since what a change of them was made with, or any
    /// node settings of rooms, or bans and mutes.
    fn is_stale(&self, index: usize, proposed: &Proposed) -> bool {
        let seen = proposed.seen.map_or(0, |seen| seen.number) as usize;
        let mut since = self.changes[seen..].iter();
        since.any(|before| {
            let both = |is: fn(&Change) -> bool| is(&proposed.change) && is(&before.change);
            before.node != index && depends(&proposed.change, &before.change)
                || both(is_of_rules)
                || both(is_sanction)
        })
    }

    /// Whether another node has changed who may speak since a draft was judged.
    fn is_kept_from(&self, index: usize, draft: &Unnumbered) -> bool {
        let seen = draft.judged.seen.map_or(0, |seen| seen.number) as usize;
        let mut since = self.changes[seen..].iter();
        since.any(|changed| changed.node != index && is_of_order(&changed.change))
    }

    /// What was said in a conversation is gone, and with it its numbers.
    fn ends(&mut self, accounts: [AccountId; 2]) {
        let name = Pair::of_accounts(accounts).map(Pair::name);
        let Some(room) = name.and_then(|name| self.rooms.get_mut(&name)) else {
            return;
        };
        room.entries.clear();
        room.present.clear();
        room.oldest = Seq(1);
        let salt = self.run.salt.wrapping_add(room.epochs.len() as u32);
        let epoch = self.run.epoch;
        room.epochs.push((EpochInfo { epoch, salt }, Seq(1)));
    }

    /// Puts a change in order. Returns its number.
    fn changes(&mut self, index: usize, proposed: &Proposed) -> u64 {
        let own = proposed.change.number;
        let number = self.changes.len() as u64 + 1;
        let change = Change {
            number,
            ..proposed.change.clone()
        };
        self.registry.apply(&change);
        for key in &change.forgets {
            if let FactKey::Conversation(accounts) = key {
                self.ends(*accounts);
            }
        }
        self.changes.push(Changed {
            change,
            node: index,
            own,
        });
        number
    }

    fn takes_change(
        &mut self,
        index: usize,
        node: &mut Node,
        proposed: &Proposed,
        chance: &mut Chance,
    ) {
        let own = proposed.change.number;
        let before = self.changes.iter();
        let mut before = before.filter(|one| one.node == index && one.own == own);
        if let Some(before) = before.next() {
            node.changed.push((own, before.change.number));
        } else if chance.percent(self.faults.refused) {
            node.answers.push_back(Answer::NotChanged {
                number: own,
                is_stale: false,
            });
        } else if self.is_stale(index, proposed) {
            node.stale.push(Answer::NotChanged {
                number: own,
                is_stale: true,
            });
        } else {
            let number = self.changes(index, proposed);
            node.changed.push((own, number));
        }
    }

    fn claims(&mut self, node: &mut Node, claims: &NickClaims) {
        for key in &claims.released {
            let holder = self.nicks.get(key).map(|(holder, _)| *holder);
            if holder == Some(node.number) {
                self.nicks.remove(key);
            }
        }
        let grants = claims.claimed.iter().map(|claim| {
            let session = claim.session;
            let mut holders = claim.keys.iter().filter_map(|key| self.nicks.get(key));
            let is_free = holders.all(|(holder, of)| {
                *holder == node.number || claim.resumes.is_some() && *of == session
            });
            for key in claim.keys.iter().filter(|_| is_free) {
                self.nicks.insert(key.clone(), (node.number, session));
            }
            let resumed = claim
                .resumes
                .map(|earlier| NodesAnswer::Resumed { session, earlier });
            self.resumed.extend(resumed);
            is_free
        });
        let claimed = NodesAnswer::Claimed {
            tag: claims.tag,
            granted: Some(grants.collect()),
        };
        node.answers.push_back(Answer::Nodes(claimed));
    }

    /// The lease of a node is over: what it holds is free.
    pub(crate) fn forgets(&mut self, node: usize) {
        self.nicks.retain(|_, (holder, _)| *holder != node);
    }

    fn numbers(&mut self, index: usize, node: &mut Node, draft: Unnumbered, chance: &mut Chance) {
        let (room, tag) = (draft.room, draft.tag);
        if chance.percent(self.faults.refused) {
            let why = RefusedWhy::Full;
            return node.answers.push_back(Answer::Refused { room, tag, why });
        }
        let at = Millis(self.clock);
        let known = self.room(&draft.name).of_key(&draft.key);
        let change = draft.change.as_deref().filter(|_| known.is_none());
        let is_late = known.is_none() && draft.has_waited && self.is_kept_from(index, &draft);
        if is_late || change.is_some_and(|change| self.is_stale(index, change)) {
            let why = RefusedWhy::Stale;
            return node.stale.push(Answer::Refused { room, tag, why });
        }
        let change = change.map_or(0, |change| self.changes(index, change));
        let kept = self.room(&draft.name);
        let (seq, at, is_duplicate) = match known {
            Some((seq, at)) => (seq, at, true),
            None => {
                let entry = kept.numbers(&draft, change, at);
                self.numbered += 1;
                if draft.name.starts_with('@') {
                    self.hints.push((draft.name.clone(), entry.seq));
                }
                (entry.seq, entry.at, false)
            }
        };
        node.results.push(Outcome {
            draft,
            seq,
            at,
            is_duplicate,
        });
    }

    fn gives(
        &mut self,
        index: usize,
        node: &mut Node,
        answers: &mut Vec<Answer>,
        chance: &mut Chance,
    ) {
        self.gives_changes(index, node, answers, chance);
        self.gives_hints(node);
        self.gives_epochs(node, answers);
        self.gives_entries(node, answers, chance);
        let rooms = &node.rooms;
        let has_come = |result: &Outcome| {
            let open = rooms.get(&result.draft.room);
            open.is_none_or(|open| open.next > result.seq)
        };
        let (given, later): (Vec<_>, Vec<_>) = node.results.drain(..).partition(has_come);
        node.results = later;
        answers.extend(given.into_iter().map(|result| Answer::Numbered {
            room: result.draft.room,
            tag: result.draft.tag,
            seq: result.seq,
            at: result.at,
            is_duplicate: result.is_duplicate,
        }));
        answers.extend(node.answers.drain(..));
    }

    /// Those before the answer to an open room come before it.
    fn gives_hints(&self, node: &mut Node) {
        for (name, seq) in &self.hints[node.hinted..] {
            let (name, seq) = (name.clone(), *seq);
            node.answers.push_back(Answer::Hint { name, seq });
        }
        node.hinted = self.hints.len();
    }

    fn gives_changes(
        &self,
        index: usize,
        node: &mut Node,
        answers: &mut Vec<Answer>,
        chance: &mut Chance,
    ) {
        let version = self.version();
        let mut next = node.changes.unwrap_or_else(|| {
            let facts = Box::new(self.registry.snapshot());
            answers.push(Answer::Facts { facts, version });
            version.number
        });
        for changed in &self.changes[next as usize..] {
            if chance.percent(self.faults.late) {
                break;
            }
            next = changed.change.number;
            answers.push(Answer::Applied {
                change: Box::new(changed.change.clone()),
                version: Version {
                    number: next,
                    ..version
                },
                own: (changed.node == index).then_some(changed.own),
            });
        }
        node.changes = Some(next);
        if next == version.number {
            answers.append(&mut node.stale);
        }
        let first = node.changed.iter().position(|(_, number)| *number > next);
        let count = first.unwrap_or(node.changed.len());
        if let Some((upto, _)) = node.changed.drain(..count).next_back() {
            answers.push(Answer::Changed { upto });
        }
    }

    /// What was numbered in a lost epoch and not reported is numbered again.
    fn gives_epochs(&mut self, node: &mut Node, answers: &mut Vec<Answer>) {
        for (id, open) in &mut node.rooms {
            let room = &self.rooms[&open.name];
            let new = &room.epochs[open.epochs..];
            let Some(kept_to) = new.iter().map(|(_, first)| Seq(first.0 - 1)).min() else {
                continue;
            };
            let (epoch, _) = new[new.len() - 1];
            open.epochs = room.epochs.len();
            open.next = open.next.min(Seq(kept_to.0 + 1));
            answers.push(Answer::Epoch {
                room: *id,
                kept_to,
                epoch,
            });
            let lost = |result: &Outcome| result.draft.room == *id && result.seq > kept_to;
            let (again, others): (Vec<_>, Vec<_>) = node.results.drain(..).partition(lost);
            node.results = others;
            for result in again.into_iter().rev() {
                node.requests
                    .push_front(Request::Number(Box::new(result.draft)));
            }
        }
    }

    fn gives_entries(&self, node: &mut Node, answers: &mut Vec<Answer>, chance: &mut Chance) {
        for (id, open) in &mut node.rooms {
            let room = &self.rooms[&open.name];
            if open.next < room.oldest {
                open.next = room.oldest;
                answers.push(Answer::Gap {
                    room: *id,
                    oldest: room.oldest,
                });
            }
            while open.next <= room.head() {
                if chance.percent(self.faults.late) {
                    break;
                }
                let numbered = &room.entries[(open.next.0 - room.oldest.0) as usize];
                if node.changes.is_none_or(|known| known < numbered.change) {
                    break;
                }
                let entry = numbered.entry.clone();
                answers.push(Answer::Entry {
                    room: *id,
                    entry,
                    by: numbered.by,
                });
                open.next = Seq(open.next.0 + 1);
            }
        }
    }
}

fn is_of_accounts(change: &Change) -> bool {
    let puts = change.puts.iter();
    let forgets = change.forgets.iter();
    puts.into_iter()
        .any(|fact| matches!(fact, Fact::Account(_)))
        || forgets
            .into_iter()
            .any(|key| matches!(key, FactKey::Account(_)))
}

fn is_of_rules(change: &Change) -> bool {
    let puts = change.puts.iter().map(Fact::key);
    let mut keys = puts.chain(change.forgets.iter().cloned());
    keys.any(|key| matches!(key, FactKey::Rules { .. }))
}

/// A ban or a mute, or what lifts one, and not the end of one.
fn is_sanction(change: &Change) -> bool {
    let puts = change.puts.iter().map(Fact::key);
    let mut keys = puts.chain(change.forgets.iter().cloned());
    change.audit.is_some() && keys.any(|key| matches!(key, FactKey::Sanction { .. }))
}

/// Whether a change is refused where another one was made meanwhile.
fn depends(change: &Change, other: &Change) -> bool {
    is_of_accounts(change) && is_of_accounts(other)
        || begins_session(change) && changes_password(other)
        || changes_password(change) && begins_session(other)
}

fn begins_session(change: &Change) -> bool {
    let mut puts = change.puts.iter();
    puts.any(|fact| matches!(fact, Fact::Session(_)))
}

fn changes_password(change: &Change) -> bool {
    is_of_accounts(change) && !begins_session(change)
}

fn is_of_order(change: &Change) -> bool {
    let facts = change.puts.iter().map(Fact::key);
    let mut keys = facts.chain(change.forgets.iter().cloned());
    let is_kick = change
        .audit
        .as_ref()
        .is_some_and(|audit| audit.action == "kick");
    is_kick || keys.any(|key| matches!(key, FactKey::Sanction { .. }))
}
