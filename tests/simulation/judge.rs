//! The promises, checked after every turn from what the network saw: which sockets were read, in
//! which order, and what was written to each.
//!
//! The witness of a room is never behind, so what it received in a turn is all that was said in
//! the room in that turn ([`super::ledger`]). Together with the order of the server's reads, that
//! determines what every well-behaved member must have received ([`super::account`]) and how each
//! request must be answered. Limits and deadlines are computed a second time ([`super::limits`]).

use super::client::{COME_BACK, Manner, Seen};
use super::game::{Game, ROOMS, Unsettled, WITNESSED};
use super::ledger::said;
use super::limits::{Allowance, Burden, Consequence, Fate, Passage, Watch};
use super::net::Happened;
use super::person::{Announced, Asked, Person, Stay};
use super::tally::Doubt;
use parlor::id::Tick;
use parlor::net::Signal;
use parlor::server::Turn;
use std::collections::HashMap;

/// The beginning of the last line that a kicked member receives.
const LAST_LINE: &str = "* you were kicked by ";

impl Game {
    /// Judges one turn. `going_on`: the sockets of connections that went on first, after they were
    /// held.
    pub(super) fn judge(&mut self, outcome: Turn, going_on: &[usize]) {
        let log = self.server.net_mut().take_log();
        if self.parts_secure {
            self.find_held(&log);
        }
        self.find_kept(&log);
        self.matched = 0;
        self.kick_asked = false;
        let lines_before: Vec<usize> = self.ledgers.iter().map(|ledger| ledger.len()).collect();
        self.witnesses_hear(&log);
        // What is kept is not handled after a signal to stop.
        let is_stop = |happened: &Happened| matches!(happened, Happened::Signalled(Signal::Stop));
        if !log.iter().any(is_stop) {
            for socket in going_on {
                self.handles(*socket, self.people[*socket].read_upto);
            }
        }
        let mut is_report_wanted = false;
        for happened in log {
            is_report_wanted |= matches!(happened, Happened::Signalled(Signal::Report));
            self.take(happened);
        }
        if self.parts_secure {
            self.parts_with_secure();
        }
        self.settle_the_rest();
        self.check_matched(&lines_before);
        for index in 0..self.people.len() {
            self.check_pause(index);
            self.compare(index);
            self.check_person(index);
        }
        self.check_server();
        self.check_outcome(outcome, is_report_wanted);
    }

    /// Adds the lines that the witnesses received to the ledgers of their rooms.
    fn witnesses_hear(&mut self, log: &[Happened]) {
        for happened in log {
            if let Happened::Wrote { socket, bytes } = happened
                && *socket < WITNESSED
            {
                let before = self.people[*socket].seen.len();
                self.people[*socket].hears(bytes);
                for index in before..self.people[*socket].seen.len() {
                    if let (_, Seen::Line(line)) = &self.people[*socket].seen[index]
                        && !line.starts_with("* welcome to ")
                    {
                        self.ledgers[*socket].hears(line);
                    }
                }
            }
        }
    }

    fn take(&mut self, happened: Happened) {
        let now = self.now();
        match happened {
            Happened::Accepted(socket) => {
                self.tally.accepts();
                self.was_accepted(socket);
                let is_browser = self.people[socket].manner == Manner::Browser;
                self.watches[socket] = Some(Watch::new(is_browser, now));
                // Counted from the beginning, whatever is set before the upgrade.
                self.people[socket].burden = Burden::new(self.excess, now);
            }
            Happened::TurnedAway { exhausted } => self.admission.turned_away(exhausted),
            Happened::Unwatched(socket) => {
                self.admission.unwatched(socket);
                let is_stranger = self.people[socket].origin.announced == Announced::Stranger;
                self.tally.unproxied -= u64::from(is_stranger);
            }
            Happened::Exhausted => self.tally.is_exhausted(),
            Happened::Read { socket, upto } => self.was_read(socket, upto),
            Happened::End(socket) | Happened::Gone(socket) => {
                self.people[socket].may_be_unwritten |= matches!(happened, Happened::Gone(_));
                self.note(|_| format!("{socket} has ended"));
                self.people[socket].has_ended = true;
                if self.is_in(socket) {
                    // What waits for it is sent within the time of a close.
                    if let (Happened::End(_), Some(watch)) = (&happened, &mut self.watches[socket])
                    {
                        watch.was_ended_by_peer(now);
                    }
                    match happened {
                        // Requests before the end are answered, and the room is notified at once.
                        Happened::End(_) if !self.people[socket].was_closed => {
                            self.leaves(socket, " left");
                        }
                        _ => self.people[socket].stay = Stay::Out,
                    }
                }
            }
            Happened::Wrote { socket, bytes } => self.was_written(socket, &bytes),
            Happened::Blocked(socket) => {
                if let Some(watch) = &mut self.watches[socket] {
                    watch.was_blocked(now);
                }
                let person = &mut self.people[socket];
                person.behind_since.get_or_insert(now);
                person.may_be_unwritten = true;
                person.may_be_missing = true;
            }
            Happened::Shut(socket) => {
                if let Some(watch) = &mut self.watches[socket] {
                    watch.was_ended(now);
                }
            }
            Happened::Short(socket) => {
                let person = &mut self.people[socket];
                person.behind_since.get_or_insert(now);
                person.may_be_unwritten = true;
                person.may_be_missing = true;
            }
            Happened::Reset(socket) => {
                self.note(|_| format!("{socket} is reset"));
                assert!(
                    self.people[socket].manner != Manner::Witness,
                    "a witness was reset"
                );
            }
            Happened::Closed(socket) => self.was_dropped(socket),
            Happened::Signalled(Signal::Stop) => {
                self.stop_signals += 1;
                self.stopping_since.get_or_insert(now);
            }
            Happened::Signalled(Signal::Report | Signal::Reload | Signal::Upgrade) => {}
        }
    }

    fn was_accepted(&mut self, socket: usize) {
        let origin = &self.people[socket].origin;
        match origin.announced {
            Announced::Never => {
                let household = origin.household.filter(|_| !origin.is_proxied);
                self.admission.accepted(socket, household);
            }
            // The household is named later, if at all.
            Announced::Household | Announced::Proxy | Announced::Wrong => {
                self.admission.accepted(socket, None);
            }
            Announced::Stranger => {
                self.tally.unproxied += 1;
                self.admission.unproxied(socket);
            }
        }
    }

    /// The server has read the header of the PROXY protocol.
    fn is_announced(&mut self, socket: usize) {
        let is_late = self.watches[socket].is_none_or(|watch| watch.is_late());
        let origin = &self.people[socket].origin;
        if is_late || self.stop_signals > 0 || origin.announced == Announced::Wrong {
            return;
        }
        if let Some(household) = origin.household
            && origin.announced == Announced::Household
        {
            self.admission.named(socket, household);
        }
        self.people[socket].is_announced = true;
    }

    /// Whether the server has closed a connection because it did not begin as it must.
    fn was_unproxied(&self, socket: usize) -> bool {
        let person = &self.people[socket];
        let is_expected = matches!(
            person.origin.announced,
            Announced::Household | Announced::Proxy | Announced::Wrong
        );
        is_expected
            && !person.is_announced
            && !person.has_ended
            && self.stop_signals == 0
            && self.admission.fate(socket) == Fate::Served
    }

    fn was_read(&mut self, socket: usize, upto: u64) {
        let now = self.now();
        if let Some(watch) = &mut self.watches[socket] {
            watch.heard(now);
        }
        self.people[socket].awaits_pong = false;
        self.people[socket].must_answer = false;
        self.people[socket].read_upto = upto;
        self.hears_a_vandal(socket, upto);
        self.check_read(socket);
        self.handles(socket, upto);
    }

    /// A client that is held when it is asked to come back has asked for what is not handled any more,
    /// which is not seen from outside: it was sent more than its outbox takes, or could not be, or was
    /// held before.
    fn find_held(&mut self, log: &[Happened]) {
        let bytes_max = self.config.conn.outbox.bytes_max;
        for index in 0..self.people.len() {
            let written = log.iter().filter_map(|happened| match happened {
                Happened::Wrote { socket, bytes } if *socket == index => Some(bytes.len()),
                _ => None,
            });
            let is_full = written.sum::<usize>() > bytes_max;
            let is_behind = self.server.net().is_behind(index);
            let person = &mut self.people[index];
            let was_held = person.handled_upto != u64::MAX;
            if person.is_secure && (is_full || was_held || is_behind || person.was_behind) {
                person.may_be_held = true;
                person.account = None;
            }
        }
    }

    /// Finds out how much of what the server has read it has handled: all but what it keeps of held
    /// connections.
    fn find_kept(&mut self, log: &[Happened]) {
        for person in &mut self.people {
            person.handled_upto = u64::MAX;
        }
        let net = self.server.net();
        let kept = self.server.kept();
        let kept = kept.filter_map(|(id, bytes)| Some((net.socket_of(id)?, bytes as u64)));
        for (socket, bytes) in kept.collect::<Vec<_>>() {
            let last_read = log.iter().rev().find_map(|happened| match happened {
                Happened::Read { socket: read, upto } if *read == socket => Some(*upto),
                _ => None,
            });
            let person = &mut self.people[socket];
            person.handled_upto = last_read.unwrap_or(person.read_upto) - bytes;
        }
    }

    /// The server handles what it has read up to here, but for what it keeps.
    fn handles(&mut self, socket: usize, upto: u64) {
        let now = self.now();
        let upto = upto.min(self.people[socket].handled_upto);
        while let Some(asked) = self.people[socket].next_asked(upto) {
            if !matches!(asked, Asked::Nothing) {
                self.note(|_| format!("{socket} asks {asked:?}"));
            }
            self.consider(socket, asked);
        }
        let person = &mut self.people[socket];
        // Each message has its own deadline, even if the last one ended in the same read.
        let known = person.half_read;
        person.half_read = person.half_read_from(upto).map(|from| match known {
            Some((earlier, since)) if earlier == from => (from, since),
            // The rest of the message cannot be read during a pause.
            _ => (from, person.burden.paused_until().unwrap_or(now)),
        });
    }

    fn was_written(&mut self, socket: usize, bytes: &[u8]) {
        let now = self.now();
        if let Some(watch) = &mut self.watches[socket] {
            watch.was_written(now);
        }
        if socket >= WITNESSED {
            self.people[socket].hears(bytes);
        }
        let seen = self.people[socket].examined..self.people[socket].seen.len();
        self.people[socket].examined = seen.end;
        for index in seen {
            self.examine(socket, index);
        }
    }

    /// The server has closed its socket.
    fn was_dropped(&mut self, socket: usize) {
        self.note(|_| format!("{socket} is closed"));
        self.tally.unproxied += u64::from(self.was_unproxied(socket));
        self.admission.closed(socket);
        self.tally.closed += 1;
        let is_behind = self.server.net().is_behind(socket);
        let person = &self.people[socket];
        assert!(
            !person.hears_half() || is_behind,
            "{socket} received only part of a frame"
        );
        assert!(
            person.manner != Manner::Witness || person.sent_close || self.stop_signals > 0,
            "a witness was closed"
        );
        let is_certain = !is_behind && !person.was_behind && !person.may_be_unwritten;
        assert!(
            !person.has_ended || !is_certain || !self.server.net().is_unanswered(socket),
            "{socket} has ended TLS and received no close_notify"
        );
        let is_unasked = person.stay == Stay::In && !person.was_closed;
        let was_in = person.stay != Stay::Outside && !person.was_closed && !person.has_ended;
        self.tally.silent += u64::from(was_in && !person.may_be_unwritten);
        if let Some(watch) = self.watches[socket].take()
            && is_unasked
            && person.manner.is_sound()
        {
            self.check_dropped(socket, watch, is_behind);
        }
        self.people[socket].stay = Stay::Out;
    }

    /// A well-behaved member was disconnected without a close frame. That is right only if the
    /// member did not react to a ping, or if a close frame could not be delivered.
    fn check_dropped(&self, socket: usize, watch: Watch, is_behind: bool) {
        let now = self.now();
        let person = &self.people[socket];
        let is_past =
            |since: Option<Tick>, length| since.is_some_and(|since| now >= since + length);
        let is_silent = now >= watch.heard_at() + self.lengths.silent;
        let is_unreachable = (is_behind || person.was_behind)
            && (is_silent
                // Or kicked in a room without a witness.
                || person.room >= WITNESSED
                || is_past(person.behind_since, self.lengths.stall)
                || person.was_too_slow);
        assert!(
            is_silent && person.awaits_pong || is_unreachable,
            "{socket} behaved and was disconnected: {watch:?}"
        );
    }

    // Requests and their consequences

    fn consider(&mut self, socket: usize, asked: Asked) {
        match asked {
            Asked::Header => return self.is_announced(socket),
            Asked::Upgrade => return self.upgrades(socket),
            Asked::Nothing => return,
            _ => {}
        }
        self.kick_asked |= matches!(asked, Asked::Kick { .. });
        if asked.is_message() {
            self.counts_message(socket);
        }
        if !self.is_in(socket) || self.people[socket].was_closed || self.stop_signals > 0 {
            return;
        }
        if !self.passes(socket, &asked) {
            self.causes(socket, 10);
            return;
        }
        let is_too_much = match asked {
            Asked::Ping(_) | Asked::Pong => !self.causes(socket, 10),
            Asked::Fragment => !self.causes(socket, 1),
            _ => false,
        };
        if is_too_much {
            return;
        }
        match asked {
            Asked::Header
            | Asked::Upgrade
            | Asked::Message
            | Asked::Pong
            | Asked::Fragment
            | Asked::Nothing => {}
            Asked::Ping(payload) => self.people[socket].last_ping = Some(payload),
            Asked::Say(number) => self.says(socket, number),
            Asked::Nick { wanted, is_own } => self.renames(socket, wanted, is_own),
            Asked::Op => {
                self.people[socket].is_operator = true;
                self.must_be_answered(socket, "* you are an operator now");
            }
            Asked::Kick { tag } => self.kicks(socket, &tag),
            Asked::Reply(begins) => self.must_be_answered(socket, &begins),
            Asked::Quit { tag } => self.leaves(socket, &format!("({tag})")),
            Asked::Close => self.leaves(socket, " left"),
        }
    }

    /// The server has read a whole message. It counts unless the server had ended the membership
    /// before, which is not always known.
    fn counts_message(&mut self, socket: usize) {
        let person = &mut self.people[socket];
        let is_in = person.stay == Stay::In && !person.was_closed;
        // Behind many replies a flooder's messages wait until it has accepted these.
        let may_wait = person.manner == Manner::Flooder;
        if person.stay == Stay::Outside || self.stop_signals > 0 {
        } else if person.may_be_unwritten || person.may_be_held || may_wait {
            self.tally.messages.perhaps(1);
        } else if is_in && (person.room >= WITNESSED || person.nick.is_none()) {
            // A kick is not seen before the end of the turn.
            person.unsure_messages += 1;
        } else if is_in {
            self.tally.messages.one();
        }
    }

    /// The server has read something that costs work, other than a message within the rate.
    /// Returns false if it exceeded the limit, so that the server closes the connection.
    fn causes(&mut self, socket: usize, tenths: u32) -> bool {
        let now = self.now();
        let person = &mut self.people[socket];
        match person.burden.causes(tenths, self.excess, now) {
            Consequence::Nothing => true,
            Consequence::Paused(until) => {
                if let Some((_, since)) = &mut person.half_read {
                    *since = *since + until.since(now);
                }
                person.unsure_pauses += 1;
                self.note(|_| format!("{socket} is paused until {}", until.0));
                true
            }
            Consequence::Closed => {
                self.note(|_| format!("{socket} has exceeded its limit on work"));
                self.leaves(socket, " left");
                false
            }
        }
    }

    /// Whether the client at this socket is a member for certain.
    fn is_surely_in(&self, socket: usize) -> bool {
        let person = &self.people[socket];
        let is_known = person.manner != Manner::Vandal && !person.may_be_unwritten;
        is_known && person.stay == Stay::In && !person.was_closed && self.stop_signals == 0
    }

    /// Checks that the server reads no connection during its pause.
    fn check_read(&self, socket: usize) {
        let person = &self.people[socket];
        let burden = &person.burden;
        // A kick in a room without a witness is not seen before the end of the turn.
        let is_seen = !self.kick_asked || person.room < WITNESSED && person.nick.is_some();
        assert!(
            burden.paused_until().is_none() || !is_seen || !self.is_surely_in(socket),
            "{socket} was read during a pause"
        );
    }

    /// Ends pauses that are over, and informs the network which connections the server may leave
    /// unread.
    fn check_pause(&mut self, socket: usize) {
        let now = self.now();
        let person = &mut self.people[socket];
        let is_held = person.handled_upto != u64::MAX;
        // It may go on since, which is not seen before the upgrade.
        let stands_still = self.server.net().is_settling;
        if is_held
            && !stands_still
            && let Some(watch) = &mut self.watches[socket]
        {
            // Its silence is not counted.
            watch.heard(now);
        }
        match std::mem::take(&mut person.unsure_pauses) {
            0 => {}
            count if person.was_closed || person.may_be_unwritten => {
                self.tally.paused.perhaps(count);
            }
            count => (0..count).for_each(|_| self.tally.paused.one()),
        }
        assert!(
            !person.burden.is_too_much() || person.was_closed || person.may_be_unwritten,
            "{socket} has exceeded its limit on work and was not closed"
        );
        if person.burden.turn_ends(self.excess, now)
            && let Some(watch) = &mut self.watches[socket]
        {
            watch.heard(now);
        }
        let is_leaving = person.was_closed || person.stay == Stay::Out;
        let is_exempt = match person.manner.is_sound() {
            true => is_leaving && person.burden.was_ever_paused(),
            false => is_leaving || person.manner == Manner::Vandal,
        };
        let until = match person.burden.paused_until() {
            _ if is_exempt || is_held => Tick(u32::MAX),
            Some(until) => until,
            None => Tick(0),
        };
        self.server.net_mut().may_leave_unread(socket, until);
    }

    /// A vandal's random bytes may by chance be valid messages.
    fn hears_a_vandal(&mut self, socket: usize, upto: u64) {
        let person = &self.people[socket];
        if person.manner == Manner::Vandal && person.is_nonsense != Some(true) {
            self.tally.messages.perhaps(upto);
            self.tally.paused.perhaps(1);
        }
    }

    /// The difference that is possible between the tally and the server's counters.
    fn doubt(&self) -> Doubt {
        let count = |has: fn(&Person) -> bool| {
            self.people.iter().filter(|person| has(person)).count() as u64
        };
        let missing = count(|person| person.may_be_missing);
        let is_open = |person: &&Person| {
            // A queued report of missed messages may be written after the member has left.
            person.may_be_missing && self.watches[person.socket].is_some()
        };
        let open = self.people.iter().filter(is_open).count() as u64;
        Doubt {
            unwritten: count(|person| person.may_be_unwritten),
            missing: open,
            missing_for_ever: missing - open,
        }
    }

    /// Whether a message is within the rate.
    fn passes(&mut self, socket: usize, asked: &Asked) -> bool {
        let now = self.now();
        let (rate, burst) = (
            self.config.chat.message_rate,
            self.config.chat.message_burst,
        );
        let allowance = &mut self.people[socket].allowance;
        if !asked.is_counted() {
            return true;
        }
        match allowance.message(rate, burst, now) {
            Passage::Passes => true,
            Passage::IsTooFast => {
                self.must_be_answered(socket, "* that was too fast");
                false
            }
            Passage::Dropped => false,
        }
    }

    fn upgrades(&mut self, socket: usize) {
        let now = self.now();
        let is_late = self.watches[socket].is_none_or(|watch| watch.is_late());
        if is_late || self.stop_signals > 0 || self.people[socket].was_parted {
            return;
        }
        let origin = &self.people[socket].origin;
        if origin.announced != Announced::Never && !self.people[socket].is_announced {
            return;
        }
        let fate = match origin.household {
            Some(household) if origin.is_proxied => self.admission.named(socket, household),
            _ => self.admission.fate(socket),
        };
        if fate != Fate::Served {
            return;
        }
        if let Some(watch) = &mut self.watches[socket] {
            watch.was_upgraded();
        }
        self.tally.upgraded += 1;
        let person = &mut self.people[socket];
        person.stay = Stay::In;
        person.allowance = Allowance::new(self.config.chat.message_burst, now);
        if person.manner != Manner::Witness {
            self.granted[person.room] += 1;
            if person.room < WITNESSED && person.manner.is_sound() {
                self.welcomes(socket);
            }
        }
    }

    /// The member is in the room: from here on it must receive the lines of the room. The notice of
    /// its own joining goes to the other members only.
    fn welcomes(&mut self, socket: usize) {
        let room = self.people[socket].room;
        let joined = self.people[socket].nick.as_ref().and_then(|nick| {
            let joined = format!("* {nick} joined");
            self.ledgers[room].find(|line| line == joined)
        });
        let account = match joined {
            Some(line) => {
                self.settle(room, line);
                super::account::Account::new(line + 1, line + 1)
            }
            None => {
                self.unsettled[room].push(Unsettled::Beginning { person: socket });
                let ledger = &self.ledgers[room];
                super::account::Account::new(ledger.cursor, ledger.len())
            }
        };
        self.people[socket].account = Some(account);
        self.must_be_answered(socket, "* welcome to ");
        if self.people[socket].is_nick_refused {
            self.must_be_answered(socket, "* you cannot be called a b");
        }
    }

    fn must_be_answered(&mut self, socket: usize, begins: &str) {
        let person = &mut self.people[socket];
        if let Some(account) = &mut person.account {
            let reply = account.expects(begins, self.ledgers[person.room].cursor);
            self.unsettled[person.room].push(Unsettled::Reply {
                person: socket,
                reply,
            });
        }
    }

    fn says(&mut self, socket: usize, number: u32) {
        let is_theirs = |line: &str| {
            said(line).is_some_and(|said| (said.socket, said.number) == (socket, number))
        };
        let Some(line) = self.finds(socket, is_theirs) else {
            return self.was_not_heard(socket);
        };
        let person = &self.people[socket];
        let nick = said(&self.ledgers[person.room].lines()[line]).map(|said| said.nick);
        assert!(
            person.nick.is_none() || person.nick.as_deref() == nick,
            "{:?} was heard as {nick:?}",
            person.nick
        );
        self.matched += 1;
    }

    fn renames(&mut self, socket: usize, wanted: String, is_own: bool) {
        let person = &self.people[socket];
        if person.nick.as_ref() == Some(&wanted) {
            return;
        }
        let now_known = format!(" is now known as {wanted}");
        let old = person.nick.as_ref().map(|nick| format!("* {nick}"));
        let is_theirs = |line: &str| {
            let before = line.strip_suffix(&now_known);
            before.is_some_and(|before| match &old {
                Some(old) => before == old,
                None => before.starts_with("* guest-"),
            })
        };
        if self.finds(socket, is_theirs).is_some() {
            self.people[socket].nick = Some(wanted);
        } else if is_own {
            self.was_not_heard(socket);
        } else {
            self.must_be_answered(socket, &format!("* you cannot be called {wanted}"));
        }
    }

    fn kicks(&mut self, socket: usize, tag: &str) {
        if let Some(line) = self.finds(socket, |line| line.ends_with(tag)) {
            return self.was_kicked(self.people[socket].room, line);
        }
        let answer = if self.people[socket].is_operator {
            // No operator kicks another, or itself.
            "* nobody called \n* you may not do that to "
        } else {
            "* only an operator"
        };
        self.must_be_answered(socket, answer);
    }

    fn was_kicked(&mut self, room: usize, line: usize) {
        let kicked = self.ledgers[room].lines()[line]
            .trim_start_matches("* ")
            .split(' ')
            .next()
            .map(str::to_owned);
        let is_kicked = |person: &&mut Person| {
            person.room == room && person.stay == Stay::In && person.nick == kicked
        };
        if let Some(person) = self.people.iter_mut().find(is_kicked) {
            person.stay = Stay::Out;
            person.farewell = Some((line, line));
            if let Some(account) = &mut person.account {
                account.expects_at_last(LAST_LINE, line);
            }
        }
    }

    /// The member leaves of its own accord. `notice` is the end of the line that reports it, unless
    /// the notice is part of a sum.
    fn leaves(&mut self, socket: usize, notice: &str) {
        self.people[socket].stay = Stay::Out;
        let nick = self.people[socket].nick.clone();
        let left = nick.map(|nick| format!("* {nick} left"));
        let is_theirs = |line: &str| {
            line.ends_with(notice) && left.as_ref().is_some_and(|left| line.starts_with(left))
        };
        let found = self.finds(socket, is_theirs);
        let person = &mut self.people[socket];
        if let Some(ledger) = self.ledgers.get(person.room) {
            person.farewell = Some(match found {
                Some(line) => (line, line),
                None => (ledger.cursor, ledger.len()),
            });
        }
    }

    /// An upgrade has asked all clients that speak TLS to come back: members by a close frame in this
    /// very turn, one after another in the order of their slots. Of others nothing counts any more.
    fn parts_with_secure(&mut self) {
        let net = self.server.net();
        let secure = self.people.iter().filter(|person| person.is_secure);
        let id_of = |person: &Person| Some((net.id_of(person.socket)?, person.socket));
        let mut secure: Vec<_> = secure.filter_map(id_of).collect();
        secure.sort_unstable_by_key(|(id, _)| id.slot());
        let before: Vec<usize> = self.ledgers.iter().map(|ledger| ledger.cursor).collect();
        let secure = secure.into_iter().map(|(_, socket)| socket);
        let gone: Vec<usize> = secure.filter(|socket| self.was_parted(*socket)).collect();
        for (room, before) in before.into_iter().enumerate() {
            self.part_together(room, before, &gone);
        }
    }

    /// No client that is asked to come back in one turn is shown that the others have left: all that
    /// came before the first of these notices, and nothing else, is for those clients.
    fn part_together(&mut self, room: usize, before: usize, gone: &[usize]) {
        let lines = self.ledgers[room].lines();
        let gone = gone
            .iter()
            .filter(|socket| self.people[**socket].room == room);
        let gone: Vec<usize> = gone.copied().collect();
        let found = |socket: &usize| match self.people[*socket].farewell {
            Some((earliest, latest)) if earliest == latest => Some(latest),
            _ => None,
        };
        let is_leaving = |line: &String| line.starts_with("* ") && line.ends_with(" left");
        let first = gone.iter().filter_map(found).min();
        let range = first.map_or((before, lines.len()), |first| {
            // Some of them may have a nick that is not known.
            let others = lines[before..first].iter().rev();
            let others = others.take_while(|line| is_leaving(line)).count();
            (first - others, first)
        });
        for socket in gone {
            self.people[socket].farewell = Some(range);
        }
    }

    /// Returns whether it was a member, and has left by that.
    fn was_parted(&mut self, socket: usize) -> bool {
        let is_behind = self.server.net().is_behind(socket);
        let person = &mut self.people[socket];
        person.was_parted = true;
        let is_up_to_date = !is_behind && !person.was_behind && person.behind_since.is_none();
        let last = person.seen.last().map(|(_, seen)| seen);
        let is_asked_back =
            matches!(last, Some(Seen::Close { code, .. }) if *code == Some(COME_BACK));
        match person.stay {
            Stay::In => {
                assert!(
                    person.was_closed || !is_up_to_date,
                    "{socket} speaks TLS and was not asked to come back at an upgrade"
                );
                let has_left = is_asked_back || !person.was_closed;
                if has_left {
                    self.leaves(socket, " left");
                }
                return has_left;
            }
            Stay::Outside => assert!(
                !is_up_to_date
                    || person.has_ended
                    || person.manner == Manner::Browser
                    || self.watches[socket].is_none_or(|watch| !watch.is_handshake()),
                "{socket} speaks TLS and waits for a response at an upgrade"
            ),
            Stay::Out => {}
        }
        false
    }

    /// Whether an upgrade has ended what a client began, in this turn or before.
    fn is_parted(&self, socket: usize) -> bool {
        let person = &self.people[socket];
        person.is_secure && (self.parts_secure || person.was_parted)
    }

    /// Finds the line that a member's request led to. Every request that was read earlier has its
    /// place before that line.
    fn finds(&mut self, socket: usize, is_theirs: impl Fn(&str) -> bool) -> Option<usize> {
        let room = self.people[socket].room;
        let line = self.ledgers.get(room)?.find(is_theirs)?;
        self.settle(room, line);
        Some(line)
    }

    /// Everything that the server read before the request for this line has its place before it.
    fn settle(&mut self, room: usize, line: usize) {
        for unsettled in self.unsettled[room].drain(..) {
            let (Unsettled::Beginning { person } | Unsettled::Reply { person, .. }) = unsettled;
            let Some(account) = &mut self.people[person].account else {
                continue;
            };
            match unsettled {
                Unsettled::Beginning { .. } => account.began_by(line),
                Unsettled::Reply { reply, .. } => account.comes_by(reply, line),
            }
        }
        self.ledgers[room].cursor = line + 1;
    }

    fn settle_the_rest(&mut self) {
        for room in 0..WITNESSED {
            let end = self.ledgers[room].len();
            self.settle(room, end);
            self.ledgers[room].cursor = end;
        }
    }

    /// The server read a message that the room did not receive. That is right only if the server
    /// has ended the membership and the close frame could not be written because the member is
    /// behind.
    fn was_not_heard(&mut self, socket: usize) {
        let person = &mut self.people[socket];
        if person.room >= WITNESSED {
            return;
        }
        assert!(
            person.was_behind || person.may_be_held,
            "a message of {socket} was not delivered to the room"
        );
        person.stay = Stay::Out;
    }

    /// Each line of a well-behaved sender was requested by that sender, and read in this turn.
    fn check_matched(&self, before: &[usize]) {
        let is_sound = |line: &&String| {
            said(line).is_some_and(|said| self.people[said.socket].manner.is_sound())
        };
        let heard: usize = self
            .ledgers
            .iter()
            .zip(before)
            .map(|(ledger, before)| ledger.lines()[*before..].iter().filter(is_sound).count())
            .sum();
        let matched = self.matched;
        assert_eq!(
            heard, matched,
            "the room received lines that their senders did not send in this turn"
        );
    }

    // Frames and responses that were written

    /// Checks one written frame or response on its own, without the room.
    fn examine(&mut self, socket: usize, index: usize) {
        let seen = self.people[socket].seen[index].1.clone();
        self.note(|_| format!("    {socket} is sent {seen:?}"));
        if self.people[socket].is_refused_page {
            return self.check_refused_page(socket, &seen);
        }
        match seen {
            Seen::Status(status) => self.check_status(socket, status),
            Seen::Close { code, has_reason } => {
                let before = index
                    .checked_sub(1)
                    .map(|last| &self.people[socket].seen[last].1);
                let is_kicked =
                    matches!(before, Some(Seen::Line(line)) if line.starts_with(LAST_LINE));
                match code {
                    // A reply repeats the code of the peer, which broke no rule.
                    _ if !has_reason => {}
                    Some(1002 | 1003 | 1007 | 1009) => self.tally.violations += 1,
                    Some(1008) => self.tally.violations += u64::from(!is_kicked),
                    Some(1013) => self.tally.stalled += 1,
                    _ => {}
                }
                self.check_close(socket, code);
            }
            Seen::Ping(_) => self.check_ping(socket),
            Seen::Pong(payload) => self.check_pong(socket, payload),
            Seen::Line(line) => {
                self.tally.missed += missed(&line).unwrap_or(0) as u64;
                let person = &mut self.people[socket];
                if person.nick.is_none()
                    && let Some(welcome) = line.strip_prefix("* welcome to ")
                {
                    let nick = welcome.split([' ', '.']).nth(1);
                    person.nick = nick.map(str::to_owned);
                }
            }
        }
    }

    fn check_status(&mut self, socket: usize, status: u16) {
        let now = self.now();
        let fate = self.admission.fate(socket);
        let is_stopping = self.stop_signals > 0;
        let is_sound = self.people[socket].manner.is_sound();
        let is_over = self.watches[socket]
            .is_none_or(|watch| watch.is_late() || watch.is_handshake_over(now, &self.lengths));
        let is_outside = self.people[socket].stay == Stay::Outside;
        let is_refused_page = status == 101
            && is_outside
            && self.people[socket].is_page
            && (fate == Fate::Refused || !is_sound);
        let is_right = match status {
            101 => is_refused_page || !is_outside,
            // A page that was read slowly may leave no time for the next request.
            408 => is_over || !is_sound,
            503 => fate != Fate::Served || is_stopping || self.is_parted(socket),
            _ => fate == Fate::Served && !is_sound,
        };
        assert!(
            is_right,
            "{socket} received status {status}, expected fate: {fate:?}"
        );
        self.people[socket].is_refused_page = is_refused_page;
        match status {
            101 if !is_refused_page => {}
            200 | 304 => self.tally.answered += 1,
            _ => self.tally.refused += u64::from(fate == Fate::Served),
        }
        if let Some(watch) = &mut self.watches[socket] {
            match status {
                101 if !is_refused_page => {}
                200 | 304 => watch.was_answered(now),
                _ => watch.was_ended(now),
            }
        }
    }

    /// Behind the 101 of a page that is refused comes one close frame, and nothing else.
    fn check_refused_page(&mut self, socket: usize, seen: &Seen) {
        let expected = match self.admission.fate(socket) {
            Fate::Refused => 1013,
            Fate::Served => 4403,
            Fate::Away => unreachable!("it was sent something"),
        };
        let close = Seen::Close {
            code: Some(expected),
            has_reason: true,
        };
        assert_eq!(*seen, close, "{socket} is a page that was refused");
        self.people[socket].was_closed = true;
    }

    /// A client that broke no rule receives no close code that says it did.
    fn check_close(&mut self, socket: usize, code: Option<u16>) {
        let now = self.now();
        assert!(
            code != Some(COME_BACK) || self.is_parted(socket),
            "{socket} was asked to come back, and there is no upgrade"
        );
        if let Some(watch) = &mut self.watches[socket] {
            watch.was_ended(now);
        }
        let lengths = &self.lengths;
        let person = &mut self.people[socket];
        person.was_closed = true;
        // A part of a record counts as one of a message.
        let has_slow_record = self.server.net().may_be_too_slow(socket, lengths.message);
        let is_too_slow =
            has_slow_record || person.was_too_slow || person.is_too_slow(now, lengths.message);
        if !person.manner.is_sound() || person.farewell.is_some() {
            return;
        }
        let is_right = match code {
            // The member left of its own accord, or was kicked in a room without a witness.
            None | Some(1000) => person.room >= WITNESSED || person.stay == Stay::Out,
            Some(1001) => self.stop_signals > 0 || person.stay == Stay::Out,
            // Of a client that speaks TLS, at an upgrade.
            Some(COME_BACK) => true,
            Some(1008) => is_too_slow || person.burden.is_too_much() || person.room >= WITNESSED,
            Some(1013) => person
                .behind_since
                .is_some_and(|since| now >= since + lengths.stall),
            Some(_) => false,
        };
        assert!(is_right, "{socket} behaved and was closed with {code:?}");
    }

    /// The server sends a ping only after silence, and no second one before it has read something.
    fn check_ping(&mut self, socket: usize) {
        let now = self.now();
        let person = &mut self.people[socket];
        if let Some(watch) = &self.watches[socket]
            && !person.was_behind
        {
            assert!(!person.must_answer, "{socket} was pinged twice");
            assert!(
                now >= watch.heard_at() + self.lengths.ping_after,
                "{socket} was pinged too early"
            );
            person.must_answer = true;
        }
        person.awaits_pong = true;
    }

    /// Each pong answers a ping of the client, and no pong answers an earlier ping than the last.
    fn check_pong(&mut self, socket: usize, payload: Vec<u8>) {
        let person = &mut self.people[socket];
        if !person.manner.is_sound() {
            return;
        }
        let number = |payload: &[u8]| {
            let text = str::from_utf8(payload).ok()?;
            text.strip_prefix("ping ")?.parse::<u32>().ok()
        };
        let this = number(&payload);
        assert!(this.is_some(), "{socket} never sent a ping {payload:?}");
        let last = person.last_pong.as_deref().and_then(number);
        assert!(last < this, "{socket} received an old pong, {payload:?}");
        person.last_pong = Some(payload);
    }

    // After the turn

    /// Compares the lines that a member was sent with the lines that it must receive.
    fn compare(&mut self, index: usize) {
        let person = &mut self.people[index];
        let seen = person.compared..person.seen.len();
        person.compared = person.seen.len();
        let may_miss = person.is_late || person.was_behind || person.behind_since.is_some();
        let Some(account) = &mut person.account else {
            return;
        };
        let room = self.ledgers[person.room].lines();
        for (_, seen) in &person.seen[seen] {
            let Seen::Line(line) = seen else { continue };
            let is_right = match missed(line) {
                Some(count) => account.missed(count, room),
                None => account.sees(line, room, may_miss),
            };
            assert!(
                is_right,
                "{index} was sent {line:?} instead of {}",
                account.describe(room)
            );
        }
    }

    /// What must be true of each client after every turn.
    fn check_person(&mut self, index: usize) {
        let now = self.now();
        let is_behind = self.server.net().is_behind(index);
        // Before an upgrade no deadline is looked at: what came in time is read first.
        let stands_still = self.server.net().is_settling;
        if let Some(watch) = &mut self.watches[index]
            && !stands_still
        {
            watch.check(index, now, &self.lengths);
        }
        let stops_in_this_turn = self.stopping_since == Some(now) && self.stop_signals == 1;
        let person = &mut self.people[index];
        // Not behind at any moment of this turn: a member that leaves need not receive a report of
        // what it missed during the turn.
        let is_up_to_date = !is_behind && !person.was_behind && person.behind_since.is_none();
        if is_up_to_date && self.stop_signals > 0 && stops_in_this_turn {
            check_goodbye(person, self.watches[index].as_ref());
        }
        person.is_late |= !is_up_to_date;
        if is_up_to_date && person.is_late {
            let room = self.ledgers.get(person.room);
            let account = person.account.as_mut().zip(room);
            person.is_late =
                account.is_some_and(|(account, room)| !account.catches_up(room.lines()));
        } else if is_up_to_date && let Some(account) = &person.account {
            let room = &self.ledgers[person.room];
            let due = match person.farewell {
                Some(farewell) => Some(farewell),
                None => (person.stay == Stay::In && !person.was_closed)
                    .then(|| (room.len(), room.len())),
            };
            assert!(
                due.is_none_or(|(earliest, latest)| account.ends_between(earliest, latest)),
                "{index} did not receive {} (leaving: {:?})",
                account.describe(room.lines()),
                person.farewell
            );
        }
        // A server that has given up the handshake discards what comes, also the end of TLS.
        let is_sent_away = person.was_parted || self.stop_signals > 0;
        let is_late = self.watches[index].is_some_and(|watch| watch.is_late());
        let is_given_up = is_sent_away || is_late;
        let may_be_unheard = person.is_secure && is_given_up && person.seen.is_empty();
        assert!(
            !person.had_ended
                || is_behind
                || person.was_behind
                || may_be_unheard
                || self.watches[index].is_none(),
            "{index} has ended, was sent everything, and is still open"
        );
        person.had_ended = person.has_ended;
        // A bulky client sends many messages at once, each with its own deadline.
        let stands_still = self.server.net().is_settling;
        let is_slow = person.is_too_slow(now, self.lengths.message)
            && person.manner.is_sound()
            && person.manner != Manner::Bulky;
        assert!(
            !is_slow
                || stands_still
                || !is_up_to_date
                || person.stay != Stay::In
                || person.was_closed,
            "an unfinished message of {index} is past its deadline"
        );
        let must_be_answered = is_up_to_date && person.stay == Stay::In && !person.was_closed;
        assert!(
            !must_be_answered || person.last_ping == person.last_pong || !person.manner.is_sound(),
            "{index} was not sent a pong"
        );
        if (self.stop_signals > 0 || person.was_closed) && person.stay == Stay::In {
            person.stay = Stay::Out;
        }
        match std::mem::take(&mut person.unsure_messages) {
            0 => {}
            count if person.was_closed || person.may_be_unwritten => {
                self.tally.messages.perhaps(count);
            }
            count => (0..count).for_each(|_| self.tally.messages.one()),
        }
        if !is_behind && self.watches[index].is_some() {
            person.may_be_unwritten = false;
            person.may_be_missing &= person.stay != Stay::In || person.was_closed;
        }
        person.was_behind = is_behind;
        person.was_too_slow |= person.is_too_slow(now, self.lengths.message);
        if !is_behind {
            person.behind_since = None;
        }
        if person.farewell.is_some() || person.was_closed {
            // The member has left, and its lines were compared for the last time.
            person.account = None;
        }
    }

    fn check_server(&mut self) {
        self.server.check_invariants();
        self.tally.turned_away = self.admission.turned_away_count();
        let (stats, doubt) = (self.server.stats(), self.doubt());
        self.tally.check(&stats, doubt);
        let open = self.admission.open();
        assert_eq!(open, self.server.net().open(), "open connections");
        let held = self.server.held_bytes();
        let held_max = self.held_bytes_max();
        assert!(held <= held_max, "{held} bytes are held by {open}");
    }

    /// The server reports at each report signal. It stops after a stop signal, exactly when every
    /// connection is closed or the grace period is over.
    fn check_outcome(&self, outcome: Turn, is_report_wanted: bool) {
        let is_over = self.stopping_since.is_some_and(|since| {
            self.server.is_empty() || self.now() >= since + self.lengths.grace
        });
        let is_right = match outcome {
            Turn::Aborted => self.stop_signals > 1,
            Turn::Report => is_report_wanted && self.stop_signals < 2,
            Turn::Stopped => is_over && self.stop_signals == 1,
            // The game lets another server take over before, and there is no engine.
            Turn::Upgrade | Turn::Unfit => false,
            Turn::Again => !is_over && !is_report_wanted && self.stop_signals < 2,
        };
        let signals = self.stop_signals;
        assert!(is_right, "{outcome:?} after {signals} signals to stop");
    }

    /// All clients but the witnesses have gone: each joining and leaving must have been reported.
    pub(super) fn check_sums(&self) {
        for (room, ledger) in self.ledgers.iter().enumerate() {
            let granted = self.granted[room];
            // A witness does not receive the notice of its own joining, unless it is summed up.
            let own = u64::from(self.config.chat.notice_members == 0);
            assert_eq!(
                (ledger.joined, ledger.left),
                (granted + own, granted),
                "notices of joining and leaving in {}",
                ROOMS[room]
            );
        }
    }

    /// In a room without a witness, too, all members see the same messages in the same order: each
    /// message has the same successor for every member that saw both without a gap.
    pub(super) fn check_without_witness(&self) {
        let mut next: HashMap<&str, &str> = HashMap::new();
        for person in self.people.iter().filter(|person| person.room >= WITNESSED) {
            let mut last = None;
            for (_, seen) in &person.seen {
                let Seen::Line(line) = seen else { continue };
                if missed(line).is_some() {
                    last = None;
                } else if said(line).is_some() {
                    let before = last.replace(line.as_str());
                    let known = before.map(|before| *next.entry(before).or_insert(line.as_str()));
                    assert!(
                        known.is_none_or(|known| known == line),
                        "after {before:?} two members saw {known:?} and {line:?}"
                    );
                }
            }
        }
    }
}

/// A member that is not behind receives the close frame of a server that stops in the same turn.
fn check_goodbye(person: &Person, watch: Option<&Watch>) {
    let (socket, last) = (person.socket, person.seen.last().map(|(_, seen)| seen));
    match person.stay {
        Stay::In => assert!(
            matches!(
                last,
                Some(Seen::Close {
                    code: Some(1001),
                    ..
                })
            ),
            "{socket} received no close frame of a server that stops"
        ),
        Stay::Outside => assert!(
            watch.is_none_or(|watch| !watch.is_handshake()) || person.manner == Manner::Browser,
            "{socket} waits for a response of a server that stops"
        ),
        Stay::Out => {}
    }
}

/// The number of missed messages that a line reports.
fn missed(line: &str) -> Option<usize> {
    let count = line.strip_prefix("* you missed ")?;
    count.split(' ').next()?.parse().ok()
}
