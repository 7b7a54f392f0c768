//! Requests of operators over the admin socket. Knows what they ask (`admin`) and hands what is the
//! store's to the log; their connections are ordinary ones that are never upgraded.

use super::Server;
use super::receive::Flow;
use super::scrape::OPERATOR_REQUEST;
use crate::admin::{self, AccountCommand, Answer, Progress, Received, Request, StoreReport};
use crate::carry::{Carrier, Damaged};
use crate::frame::Frame;
use crate::id::{ConnId, Tick};
use crate::log;
use crate::metrics;
use crate::net::Net;

/// The tags of tasks that are not for one connection: no connection has this generation.
const BACKUP: u64 = u64::MAX;
const CHECK: u64 = u64::MAX - 1;

const PLAIN: &str = "text/plain; charset=utf-8";

/// What is known of operators and of what they began.
#[derive(Default)]
pub(super) struct Admin {
    /// Connections from this listener are operators'.
    listener: Option<usize>,
    /// The directory of the store.
    store: Option<String>,
    backup: Progress,
    check: Progress,
    /// Connections that wait for a part of an export.
    exporting: Vec<Export>,
    /// Connections whose answer waits until a change is kept.
    changing: Vec<Changing>,
}

/// An answer that is due when a change of the registry is kept.
struct Changing {
    number: u64,
    id: ConnId,
    keep_alive: bool,
    answer: Answer,
}

/// A part of an export that the store was asked for.
struct Export {
    id: ConnId,
    keep_alive: bool,
}

impl Admin {
    /// What came of the last backup and check.
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.backup)?;
        carrier.field(&mut self.check)
    }

    /// A backup or a check is under way.
    pub(super) const fn is_at_work(&self) -> bool {
        self.backup.is_running() || self.check.is_running()
    }

    /// No operator waits for the store.
    pub(super) fn is_settled(&self) -> bool {
        self.exporting.is_empty() && self.changing.is_empty() && !self.is_at_work()
    }

    pub(super) fn is_at(&self, listener: usize) -> bool {
        self.listener == Some(listener)
    }

    pub(super) const fn listener(&self) -> Option<usize> {
        self.listener
    }
}

impl<N: Net> Server<N> {
    /// Connections from this listener are operators'. `store`: the directory of the history; `None`:
    /// it is in memory.
    pub fn serve_admin(&mut self, listener: usize, store: Option<String>) {
        self.admin.listener = Some(listener);
        self.admin.store = store;
    }

    /// `bytes` is all that came of an operator's request so far.
    pub(super) fn take_admin(&mut self, id: ConnId, bytes: &[u8], now: Tick) -> Flow {
        let is_changing = self.admin.changing.iter().any(|changing| changing.id == id);
        let is_ordering = self.orders.has(id) || self.reloading.has(id) || self.upgrading.has(id);
        if is_changing || is_ordering || self.admin.exporting.iter().any(|export| export.id == id) {
            let answer = Answer::error(409, "the answer to the last request is under way");
            return self.answer_admin(id, &answer, None, now);
        }
        match admin::receive(bytes) {
            Received::Partial => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.state.keep_head(bytes.to_vec());
                    self.rearm(id);
                }
                Flow::More
            }
            Received::Request {
                request,
                consumed,
                keep_alive,
                to_head,
            } => {
                self.stats.answered += 1;
                let rest = bytes.get(consumed..).unwrap_or_default();
                match self.admin_asks(request, id, keep_alive, now) {
                    Some(answer) => {
                        let answer = if to_head {
                            answer.without_body()
                        } else {
                            answer
                        };
                        self.answer_admin(id, &answer, keep_alive.then_some(rest), now)
                    }
                    None => self.await_answer(id, rest, now),
                }
            }
            Received::Refused {
                answer,
                consumed,
                keep_alive,
            } => {
                self.count_operator_refusal();
                let rest = bytes.get(consumed..).unwrap_or_default();
                self.answer_admin(id, &answer, keep_alive.then_some(rest), now)
            }
            Received::Broken { answer } => {
                self.count_operator_refusal();
                self.answer_admin(id, &answer, None, now)
            }
        }
    }

    fn count_operator_refusal(&mut self) {
        self.stats.refused += 1;
        self.tallies.refusals.count(OPERATOR_REQUEST);
    }

    /// The answer; `None`: it comes from the store.
    fn admin_asks(
        &mut self,
        request: Request,
        id: ConnId,
        keep_alive: bool,
        now: Tick,
    ) -> Option<Answer> {
        Some(match request {
            Request::Health => Answer::text(200, PLAIN, String::from("ok\n")),
            Request::Readiness => match self.readiness() {
                Ok(()) => Answer::text(200, PLAIN, String::from("ok\n")),
                Err(why) => Answer::text(503, PLAIN, format!("{why}\n")),
            },
            Request::Metrics => Answer::text(200, metrics::CONTENT_TYPE, self.exposition()),
            Request::Status => {
                let store = StoreReport {
                    directory: self.admin.store.as_deref(),
                    fault: self.log.failing().map(|(_, why)| why),
                    unstored_bytes: self.log.summary().unstored_bytes,
                };
                Answer::status_report(&store, &self.summary())
            }
            Request::Drain => match self.begin_drain() {
                Some(drain) => Answer::draining(drain.members, drain.ticks.div_ceil(10)),
                None => Answer::error(409, "the server is stopping already"),
            },
            Request::Backup => Answer::progress(&self.admin.backup),
            Request::Check => Answer::progress(&self.admin.check),
            Request::BeginBackup { file: path } => {
                if self.admin.backup.is_running() {
                    return Some(Answer::error(409, "a backup is under way already"));
                }
                if !self.log.task(log::Request::Backup { tag: BACKUP, path }) {
                    return Some(self.without_store());
                }
                self.admin.backup = Progress::BEGUN;
                Answer::begun()
            }
            Request::BeginCheck => {
                if self.admin.check.is_running() {
                    return Some(Answer::error(409, "a check is under way already"));
                }
                if !self.log.task(log::Request::Check { tag: CHECK }) {
                    return Some(self.without_store());
                }
                self.admin.check = Progress::BEGUN;
                Answer::begun()
            }
            Request::Audit { room, before } => {
                let audit = log::Request::AuditExport {
                    tag: id.to_u64(),
                    room: room.map(Into::into),
                    before,
                };
                if !self.log.task(audit) {
                    return Some(self.without_store());
                }
                self.admin.exporting.push(Export { id, keep_alive });
                return None;
            }
            Request::Export { room, after } => {
                let export = log::Request::Export {
                    tag: id.to_u64(),
                    name: room.into(),
                    after,
                };
                if !self.log.task(export) {
                    return Some(self.without_store());
                }
                self.admin.exporting.push(Export { id, keep_alive });
                return None;
            }
            Request::Operate(operation) => return self.operate(operation, id, keep_alive, now),
            Request::Order { body } => return self.take_order(id, keep_alive, &body, now),
            Request::Account(command) => {
                let before = self.talk.chat().registry().changes();
                let answer = self.carry_out_account(&command, now);
                let number = self.talk.chat().registry().changes();
                let is_later = self.log.keeps_later() || self.log.is_shared();
                // What goes with an entry is not answered here.
                let is_nothing = self.log.is_shared() && number == before;
                if !is_later || is_nothing || self.is_change_kept(number) {
                    return Some(answer);
                }
                self.admin.changing.push(Changing {
                    number,
                    id,
                    keep_alive,
                    answer,
                });
                return None;
            }
        })
    }

    fn carry_out_account(&mut self, command: &AccountCommand, now: Tick) -> Answer {
        if !self.can_change() {
            return Answer::error(503, "the store cannot keep a change at the moment");
        }
        if let Some(account) = command.ends(self.talk.chat()) {
            self.settle_account(account, now);
        }
        let moment = (now, self.net.wall());
        match self.chat_step(now, |chat, effects| {
            command.carry_out(chat, moment, effects)
        }) {
            Ok(answer) => Answer::account(answer),
            Err(why) => Answer::error(409, &why),
        }
    }

    /// All changes up to this one are kept: operators that wait for one are answered.
    pub(super) fn admin_changed(&mut self, upto: u64, now: Tick) {
        let changing = &mut self.admin.changing;
        let (due, later) = std::mem::take(changing)
            .into_iter()
            .partition(|changing| changing.number <= upto);
        *changing = later;
        for Changing {
            id,
            keep_alive,
            answer,
            ..
        } in due
        {
            self.answer_late(id, keep_alive, &answer, now);
        }
    }

    /// A change was refused: an operator that waits for it is told.
    pub(super) fn admin_not_changed(&mut self, number: u64, now: Tick) {
        let changing = &mut self.admin.changing;
        let Some(place) = changing.iter().position(|one| one.number == number) else {
            return;
        };
        let Changing { id, keep_alive, .. } = changing.swap_remove(place);
        let why = "another server has changed accounts meanwhile, or the engine takes no change: try again";
        self.answer_late(id, keep_alive, &Answer::error(503, why), now);
    }

    /// Nothing is read until the store has answered, or the deadline of a response has come.
    fn await_answer(&mut self, id: ConnId, rest: &[u8], now: Tick) -> Flow {
        if let Some(connection) = self.connections.get_mut(id) {
            let rest = rest.to_vec();
            connection.state.answered(rest, &self.deadlines, now);
            self.rearm(id);
        }
        Flow::Enough
    }

    /// Queues an answer. `rest` came after the request; `None`: the connection ends with it.
    fn answer_admin(
        &mut self,
        id: ConnId,
        answer: &Answer,
        rest: Option<&[u8]>,
        now: Tick,
    ) -> Flow {
        self.log_connection(id, format_args!("is answered with {}", answer.status()));
        let response = answer.render(rest.is_some());
        self.connections.push_control(id, Frame::http(&response));
        match rest {
            Some(rest) => self.await_answer(id, rest, now),
            None => {
                self.drain(id, now);
                Flow::More
            }
        }
    }

    /// The store has got on with a task.
    pub(super) fn task_answered(&mut self, answer: log::Answer, now: Tick) {
        match answer {
            log::Answer::Copied { done, pages, .. } if done == pages => {
                self.admin.backup = Progress::Done {
                    problems: Vec::new(),
                };
            }
            log::Answer::Copied { done, pages, .. } => {
                self.admin.backup = Progress::Running { done, total: pages };
            }
            log::Answer::Checked { problems, .. } => {
                self.admin.check = Progress::Done { problems };
            }
            log::Answer::Exported { tag, lines, next } => {
                let next = next.map(|seq| seq.0.into());
                self.answer_export(tag, &Answer::lines(lines, next), now);
            }
            log::Answer::AuditExported { tag, lines, next } => {
                self.answer_export(tag, &Answer::lines(lines, next), now);
            }
            log::Answer::Audited { tag, rows, more } => {
                self.audited(ConnId::from_u64(tag), rows, more, now);
            }
            log::Answer::TaskFailed { tag: BACKUP, why } => {
                self.admin.backup = Progress::Failed { why };
            }
            log::Answer::TaskFailed { tag: CHECK, why } => {
                self.admin.check = Progress::Failed { why };
            }
            log::Answer::TaskFailed { tag, why } => {
                self.audit_fails(ConnId::from_u64(tag), now);
                self.answer_export(tag, &Answer::error(404, &why), now);
            }
            // The log keeps the others for itself.
            _ => {}
        }
    }

    /// The answer to this operator comes from the store.
    pub(super) fn awaits_store(&mut self, id: ConnId, keep_alive: bool) {
        self.admin.exporting.push(Export { id, keep_alive });
    }

    pub(super) fn answer_export(&mut self, tag: u64, answer: &Answer, now: Tick) {
        let id = ConnId::from_u64(tag);
        let exporting = &mut self.admin.exporting;
        let Some(at) = exporting.iter().position(|export| export.id == id) else {
            return;
        };
        let export = exporting.swap_remove(at);
        self.answer_late(id, export.keep_alive, answer, now);
    }

    pub(super) fn answer_late(&mut self, id: ConnId, keep_alive: bool, answer: &Answer, now: Tick) {
        self.log_connection(id, format_args!("is answered with {}", answer.status()));
        // Nothing happens if the connection is gone.
        let response = answer.render(keep_alive);
        self.connections.push_control(id, Frame::http(&response));
        if !keep_alive {
            self.drain(id, now);
        }
    }

    fn without_store(&self) -> Answer {
        let why = if self.log.is_shared() {
            "that is not offered with --engine: Redis keeps the history, and its files are what to back up"
        } else {
            "the server keeps its history in memory only: start it with --store PATH"
        };
        Answer::error(409, why)
    }
}
