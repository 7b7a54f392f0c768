//! Nicks that servers hold at Redis: claims of this server, and what is removed of those that are
//! gone. Knows keys of nicks, and no user.

use super::super::link::{Fault, Which};
use super::super::report::Report;
use super::super::resp::Value;
use super::super::scripts;
use super::{Ask, Engine, by_name};
use crate::id::{ConnId, Tick};
use crate::log::{Answer, Earlier, NickClaims, NodesAnswer};
use smol_str::SmolStr;

/// Keys that are looked at in one step of a sweep, about, and the pause between two steps: 100 ms.
const SWEEP_KEYS: u32 = 512;
const SWEEP_TICKS: u32 = 1;
/// A sweep begins so long after what it is for: 2 s. Claims that follow it are made by then.
const SWEEP_AFTER_TICKS: u32 = 20;

/// What is looked for among the nicks of all servers.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// The next step, and where it goes on.
    next: Option<(Tick, SmolStr)>,
    is_asked: bool,
    /// From the start again after this one.
    is_again: bool,
}

impl Sweep {
    /// Nicks may be there that no server has.
    pub(super) fn begin(&mut self, now: Tick) {
        if self.is_asked || self.next.is_some() {
            self.is_again = true;
        } else {
            self.next = Some((now + SWEEP_AFTER_TICKS, SmolStr::new_static("0")));
        }
    }

    /// The link was lost.
    pub(super) fn cut(&mut self) {
        *self = Self::default();
    }
}

impl Engine {
    pub(super) fn claim(&mut self, claims: Box<NickClaims>, with_text: bool) {
        if !self.is_up {
            return; // They are asked again when the link is back.
        }
        let (node, now) = (self.node, self.now);
        let link = &mut self.links[Which::Commands as usize];
        let mut bytes = Vec::new();
        scripts::claim(&mut bytes, by_name(&link.loaded, with_text), node, &claims);
        link.ask(Ask::Claim(claims), now, |out, _| {
            out.extend_from_slice(&bytes);
        });
    }

    pub(super) fn has_claimed(
        &mut self,
        claims: &NickClaims,
        value: Value<'_>,
    ) -> Result<(), Fault> {
        let unclear = || Fault::Broken(String::from("the script of nicks answers unclearly"));
        let list = value.list().ok_or_else(unclear)?;
        let granted: Vec<bool> = list.map(|flag| flag.text() == Some(b"1")).collect();
        if granted.len() != claims.claimed.len() {
            return Err(unclear());
        }
        let (tag, granted) = (claims.tag, Some(granted));
        self.answers
            .push(Answer::Nodes(NodesAnswer::Claimed { tag, granted }));
        Ok(())
    }

    /// Redis has refused them all, as where its memory is full.
    pub(super) fn claim_failed(&mut self, claims: &NickClaims, why: String) {
        self.answers.push(Answer::Nodes(NodesAnswer::Claimed {
            tag: claims.tag,
            granted: None,
        }));
        let what = "hold nicks of users";
        self.reports.push(Report::Refused { what, why });
    }

    /// A session goes on: `S<session> <start> <connection>`. False: it says nothing of that kind.
    pub(super) fn session_published(&mut self, message: &[u8]) -> bool {
        let Some(resumed) = message.strip_prefix(b"S").map(resumed) else {
            return false;
        };
        self.answers.extend(resumed.map(Answer::Nodes));
        true
    }

    // Sweeps

    pub(super) fn sweep_due(&self) -> Option<Tick> {
        let (due, _) = self.sweep.next.as_ref()?;
        (self.is_up && !self.sweep.is_asked).then_some(*due)
    }

    pub(super) fn sweep(&mut self, with_text: bool) {
        let Some((_, cursor)) = &self.sweep.next else {
            return;
        };
        self.sweep.is_asked = true;
        let (node, now) = (self.node, self.now);
        let link = &mut self.links[Which::Commands as usize];
        link.ask(Ask::Sweep, now, |out, loaded| {
            scripts::sweep(
                out,
                by_name(loaded, with_text),
                node,
                (cursor.as_str(), SWEEP_KEYS),
            );
        });
    }

    pub(super) fn has_swept(&mut self, value: Value<'_>) -> Result<(), Fault> {
        let unclear = || Fault::Broken(String::from("the script of sweeps answers unclearly"));
        let text = |value: Value<'_>| value.text().map(String::from_utf8_lossy).map(SmolStr::from);
        let mut list = value.list().ok_or_else(unclear)?;
        let cursor = list.next().and_then(text).ok_or_else(unclear)?;
        let keys: Vec<SmolStr> = list.filter_map(text).collect();
        if !keys.is_empty() {
            self.answers.push(Answer::Nodes(NodesAnswer::Held { keys }));
        }
        self.sweep.is_asked = false;
        let is_over = cursor == "0";
        self.sweep.next = (!is_over).then_some((self.now + SWEEP_TICKS, cursor));
        if is_over && std::mem::take(&mut self.sweep.is_again) {
            self.sweep.begin(self.now);
        }
        Ok(())
    }

    /// Redis has refused it: it is left for the next occasion.
    pub(super) fn sweep_failed(&mut self, why: String) {
        self.sweep.cut();
        let what = "remove nicks of servers that are gone";
        self.reports.push(Report::Refused { what, why });
    }
}

fn resumed(words: &[u8]) -> Option<NodesAnswer> {
    let mut words = str::from_utf8(words).ok()?.split(' ');
    let mut number = || u64::from_str_radix(words.next()?, 16).ok();
    let (session, start, connection) = (number()?, number()?, number()?);
    let earlier = Earlier {
        start: u32::try_from(start).ok()?,
        connection: ConnId::from_u64(connection),
    };
    Some(NodesAnswer::Resumed { session, earlier })
}
