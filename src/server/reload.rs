//! Settings that are read again while the server runs: who asked, and what holds from here on. What
//! is there already stays: a connection above a lowered limit is not closed, and a message that waits
//! is not dropped. Knows no file.

use super::{Server, lengths, session};
use crate::admin::Answer;
use crate::config::Config;
use crate::http;
use crate::id::{ConnId, Tick, ticks};
use crate::log::Request;
use crate::net::Net;
use crate::options::Change;
use crate::page::Pages;
use crate::reload::{Outcome, Reload, Reloaded};
use crate::wire;
use crate::ws::Spare;
use log::{info, warn};
use serde_json::{Value, json};
use std::mem;

/// Operators that wait for the outcome of one reading. Beyond that they are asked to try again.
const WAITING_MAX: usize = 16;

/// What is under way.
#[derive(Default)]
pub(super) struct Reloading {
    /// `None`: the settings cannot be read again.
    reload: Option<Box<dyn Reload>>,
    is_reading: bool,
    /// It was asked for after the reading began, which may have been too late for it.
    is_wanted: bool,
    /// Operators that are answered with the outcome of the present reading, and of the next.
    waiting: Vec<Waiting>,
    next: Vec<Waiting>,
}

struct Waiting {
    id: ConnId,
    keep_alive: bool,
}

impl Reloading {
    pub(super) const fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// Whether a connection waits for an outcome.
    pub(super) fn has(&self, id: ConnId) -> bool {
        let mut waiting = self.waiting.iter().chain(&self.next);
        waiting.any(|waiting| waiting.id == id)
    }
}

impl<N: Net> Server<N> {
    /// The settings can be read again by this from here on.
    pub fn use_reload(&mut self, reload: Box<dyn Reload>) {
        self.reloading.reload = Some(reload);
    }

    /// Begins to read the settings again. It is the one entry: a signal and operators come here.
    pub(super) fn begin_reload(&mut self) {
        let reloading = &mut self.reloading;
        let Some(reload) = &mut reloading.reload else {
            return;
        };
        if mem::replace(&mut reloading.is_reading, true) {
            reloading.is_wanted = true;
            return;
        }
        reloading.waiting.append(&mut reloading.next);
        reload.begin();
        self.net.reloads(true);
    }

    /// An operator asks for it. `None`: the answer comes with the outcome.
    pub(super) fn reload_for(&mut self, id: ConnId, keep_alive: bool) -> Option<Answer> {
        let reloading = &mut self.reloading;
        if reloading.reload.is_none() {
            return Some(Answer::error(409, "this server has no settings to read"));
        }
        if reloading.next.len() >= WAITING_MAX {
            return Some(Answer::error(409, "the settings are being read; try again"));
        }
        reloading.next.push(Waiting { id, keep_alive });
        self.begin_reload();
        None
    }

    /// A step of the turn: what came of reading.
    pub(super) fn hear_reload(&mut self, now: Tick) {
        self.hear_certificates();
        if !self.reloading.is_reading {
            return;
        }
        let reload = self.reloading.reload.as_mut();
        let Some(outcome) = reload.and_then(|reload| reload.receive()) else {
            return;
        };
        self.reloading.is_reading = false;
        let answer = answer(&outcome);
        match outcome {
            Ok(reloaded) => self.settings_came(*reloaded, now),
            Err(problems) => {
                for problem in problems {
                    warn!(target: "parlor::reload", "{problem}");
                }
                warn!(target: "parlor::reload", "nothing has changed: the settings are wrong");
            }
        }
        for Waiting { id, keep_alive } in mem::take(&mut self.reloading.waiting) {
            self.answer_late(id, keep_alive, &answer, now);
        }
        self.net.reloads(false);
        if mem::take(&mut self.reloading.is_wanted) {
            self.begin_reload();
        }
    }

    fn hear_certificates(&mut self) {
        let reload = self.reloading.reload.as_mut();
        match reload.and_then(|reload| reload.renewed()) {
            None => {}
            Some(Ok(identities)) => {
                info!(target: "parlor::reload", "the certificates have changed and are in use");
                self.set_identities(identities);
            }
            Some(Err(why)) => warn!(target: "parlor::reload",
                "the certificates have changed, and those before stay in use: {why}"),
        }
    }

    fn settings_came(&mut self, reloaded: Reloaded, now: Tick) {
        let Reloaded {
            config,
            max_connections,
            verifier,
            identities,
            changes,
        } = reloaded;
        report(&changes);
        self.listeners.set_max_connections(max_connections);
        self.set_verifier(verifier);
        if let Some(identities) = identities {
            self.set_identities(identities);
        }
        self.apply_settings(config, now);
    }

    /// The same fields as in [`Server::new`], but for what is only read at the start.
    fn apply_settings(&mut self, config: Config, now: Tick) {
        let Config {
            conn,
            http,
            page,
            ws,
            chat,
            budget,
            log: history,
            store,
            max_connections_per_address,
            grace_timeout,
            drain_timeout,
            // What takes a restart, is the owner's, or comes with the contents of files.
            net: _,
            tls: _,
            max_connections: _,
            log_filters: _,
            log_format: _,
            store_place: _,
            engine: _,
            admin_socket: _,
            token_key: _,
            token_audience: _,
            metrics_listen: _,
            metrics_token_file: _,
            operators: _,
            word_filter: _,
            echo: _,
        } = config;
        self.http = http::Settings {
            subprotocols: wire::SUBPROTOCOLS,
            ..http
        };
        self.pages = Pages::new(&page);
        let dedupe_millis = self.limits.dedupe_millis;
        self.limits = session::limits(&ws, &chat, &history, dedupe_millis);
        self.message_bytes_max = ws.max_message_bytes;
        self.spare = Spare::new(&ws);
        self.budgets.set(budget.with_messages(chat.message_rate));
        self.per_address_max = max_connections_per_address;
        self.grace_ticks = ticks(grace_timeout);
        self.drain_ticks = ticks(drain_timeout);
        self.scrape.set_low_disk(store.low_disk_bytes);
        self.catch_up_max = history.catch_up_max;
        self.history_lines = history.history_lines;
        self.rooms_max = history.rooms_max as usize;
        self.log.set_rooms_max(self.rooms_max);
        let _ = self.log.task(Request::Bounds(store.bounds()));
        self.accounts.policy = chat.accounts;
        self.connections.set_limits(conn.outbox);
        self.deadlines = lengths(&conn, &chat, self.echoes);
        self.rearm_all();
        self.chat_step(now, |before, _| before.set(chat));
    }

    /// Deadlines may come earlier than they were armed for. The only work of a reload that grows with
    /// the number of connections; an operator asks for it, and at most one reading is under way.
    fn rearm_all(&mut self) {
        for id in self.connections.ids() {
            self.rearm(id);
        }
    }
}

fn report(changes: &[Change]) {
    if changes.is_empty() {
        info!(target: "parlor::reload", "the settings were read again; nothing has changed");
    }
    for Change {
        name,
        old,
        new,
        is_reloadable,
    } in changes
    {
        if *is_reloadable {
            info!(target: "parlor::reload", "{name}: {old} -> {new}");
        } else {
            warn!(target: "parlor::reload",
                "{name}: {old} -> {new} takes effect after a restart");
        }
    }
}

fn answer(outcome: &Outcome) -> Answer {
    let change = |change: &Change| {
        json!({
            "name": change.name,
            "old": change.old,
            "new": change.new,
            "restart": !change.is_reloadable,
        })
    };
    match outcome {
        Ok(reloaded) => {
            let changes: Vec<Value> = reloaded.changes.iter().map(change).collect();
            Answer::done(json!({ "changes": changes }))
        }
        Err(problems) => Answer::wrong(problems),
    }
}
