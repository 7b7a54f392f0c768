//! The head of a request: a page, a refusal, or the upgrade by which a connection becomes a member.
//! Knows what `http` makes of a head, not how a head looks.

use super::Server;
use super::connection::Source;
use super::opening::{Past, Waiter, shown_password};
use super::receive::Flow;
use super::terms::LOGIN_TICKS;
use crate::chat::{AccountPolicy, Refused, RoomName};
use crate::frame::Frame;
use crate::http::{self, DEFAULT_ROOM, Forwarded, Get, Method, Refusal, Request, Upgrade};
use crate::id::{ConnId, Peer, Tick};
use crate::net::Net;
use crate::token::TokenRefused;
use crate::wire::{Problem, Protocol};
use crate::ws::CloseReason;
use std::net::{IpAddr, Ipv6Addr};

pub(super) const ROOM_NAME_RULE: &str =
    "A room's name has 1 to 32 letters, digits, hyphens, underscores or full stops.";

const ROOM_IS_NOT_JOINED: &str =
    "With this subprotocol the URL names no room: open /ws, and join rooms with requests.";

/// What connections count for that come through a Unix socket and whose client the proxy names by
/// something that is no address. No client has this address.
pub(super) const UNIX_PROXY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// How a new user goes on.
pub(super) struct Entrance {
    /// The nick was wished for, and not made up.
    pub(super) has_wished: bool,
    /// Why it is not the one that was wished for.
    refused: Option<Refused>,
    room: RoomName,
    /// Of a client of lines: it joins that room.
    waiter: Option<Waiter>,
}

impl Entrance {
    /// The user has a made-up nick in the place of the one before. There is one reason at most, for
    /// the nick that was wished for, with the nick that the user has in the end.
    pub(super) fn has_another(&mut self, why: Refused) {
        if self.has_wished {
            self.refused = Some(why);
            self.has_wished = false;
        } else if let (Some(Refused::Nick { kept, .. }), Refused::Nick { kept: new, .. }) =
            (&mut self.refused, why)
        {
            *kept = new;
        }
    }
}

impl<N: Net> Server<N> {
    /// `bytes` is all that came of the head so far, of which `searched` were looked at before.
    pub(super) fn take_head(
        &mut self,
        id: ConnId,
        bytes: &[u8],
        searched: usize,
        now: Tick,
    ) -> Flow {
        let Some(connection) = self.connections.get_mut(id) else {
            return Flow::Enough;
        };
        match connection.source {
            Source::Admin => return self.take_admin(id, bytes, now),
            Source::Monitor => return self.take_scrape(id, bytes, searched, now),
            Source::Unnamed(proxy) => return self.take_proxy_header(id, proxy, bytes, now),
            Source::Uncounted | Source::Proxy(_) | Source::Counted(_) | Source::Surplus(_) => {}
        }
        if let Source::Surplus(limit) = connection.source {
            return self.turn_away_request(id, bytes, &limit.refusal(), now);
        }
        let from_proxy = matches!(connection.source, Source::Proxy(_));
        match http::receive(bytes, searched, from_proxy, &self.http) {
            Request::Partial => {
                connection.state.keep_head(bytes.to_vec());
                self.rearm(id);
                Flow::More
            }
            Request::Get { get, consumed } => {
                self.answer(id, &get, bytes.get(consumed..).unwrap_or_default(), now)
            }
            Request::Upgrade { upgrade, consumed } => {
                self.open(id, upgrade, now);
                self.take_frames(id, bytes.get(consumed..).unwrap_or_default(), now)
            }
            Request::Refused { why, to_head } => {
                self.refuse_request(id, &why, to_head, now);
                Flow::More
            }
        }
    }

    /// Refuses a connection above a limit: its request decides whether by a status or by a close
    /// frame. A head that comes in parts is not waited for, so that nothing is kept of it.
    fn turn_away_request(&mut self, id: ConnId, bytes: &[u8], why: &Refusal, now: Tick) -> Flow {
        let bytes = self.without_proxy_header(bytes, why);
        match http::receive(bytes, 0, false, &self.http) {
            Request::Upgrade { upgrade, .. } => self.refuse_upgrade(id, &upgrade, why, now),
            Request::Get { get, .. } => {
                self.refuse_request(id, why, get.method == Method::Head, now);
            }
            Request::Refused { to_head, .. } => self.refuse_request(id, why, to_head, now),
            Request::Partial => self.refuse(id, why, now),
        }
        Flow::More
    }

    /// Answers a plain request. `rest` came after it.
    fn answer(&mut self, id: ConnId, get: &Get<'_>, rest: &[u8], now: Tick) -> Flow {
        if self.may_read_metrics(get) {
            self.answer_with_metrics(id, get, rest, now)
        } else {
            self.answer_page(id, get, rest, now)
        }
    }

    pub(super) fn answer_page(
        &mut self,
        id: ConnId,
        get: &Get<'_>,
        rest: &[u8],
        now: Tick,
    ) -> Flow {
        let readiness = self.readiness();
        let date = self.date.at(self.net.wall());
        let response = match self.pages.answer(get, readiness, date) {
            Ok(response) => response,
            Err(why) => {
                self.refuse_request(id, &why, get.method == Method::Head, now);
                return Flow::More;
            }
        };
        self.respond(id, &response, get.keep_alive, rest, now)
    }

    /// Queues the response to a plain request that is granted. `rest` came after it.
    pub(super) fn respond(
        &mut self,
        id: ConnId,
        response: &[u8],
        keep_alive: bool,
        rest: &[u8],
        now: Tick,
    ) -> Flow {
        self.stats.answered += 1;
        self.log_connection(id, format_args!("is answered"));
        self.connections.push_control(id, Frame::http(response));
        if !keep_alive {
            self.drain(id, now);
            return Flow::More;
        }
        if let Some(connection) = self.connections.get_mut(id) {
            let rest = rest.to_vec();
            connection.state.answered(rest, &self.deadlines, now);
            self.rearm(id);
        }
        // Read on when the response was accepted (drained.rs).
        Flow::Enough
    }

    /// The address that an upgraded connection of a trusted proxy counts for. `None`: it counts for
    /// none, or is counted already.
    fn client_address(&mut self, id: ConnId, forwarded: Forwarded) -> Option<IpAddr> {
        let Source::Proxy(proxy) = self.connections.get_mut(id)?.source else {
            return None;
        };
        match (forwarded, proxy) {
            (Forwarded::Unnamed, _) => None,
            (Forwarded::Client(address), _) => Some(address),
            (Forwarded::Unreadable, Peer::Ip(address)) => Some(address),
            (Forwarded::Unreadable, Peer::Unix) => Some(UNIX_PROXY),
        }
    }

    /// The upgrade: the one response, and from here on a user.
    fn open(&mut self, id: ConnId, upgrade: Upgrade, now: Tick) {
        let protocol = if self.echoes {
            Protocol::Echo
        } else {
            Protocol::named(upgrade.subprotocol)
        };
        let room = match wanted_room(&upgrade, protocol) {
            Ok(room) => room,
            Err(why) => return self.refuse_upgrade(id, &upgrade, &why, now),
        };
        if let Some(address) = self.client_address(id, upgrade.forwarded_for)
            && !self.count_for(id, address)
        {
            return self.refuse_upgrade(id, &upgrade, &Refusal::TooManyFromAddress, now);
        }
        // A room that is joined later refuses by itself.
        let wanted = Some(room.as_str()).filter(|_| protocol == Protocol::Plain);
        let nick = upgrade.nick.as_deref();
        if protocol != Protocol::Echo
            && let Some(sentence) = self.turned_away(id, nick, wanted, now)
        {
            return self.refuse_banned(id, &upgrade, sentence, now);
        }
        let claims = match upgrade
            .token
            .as_ref()
            .map(|token| self.verify_token(token.as_str()))
        {
            None | Some(Err(None)) => None,
            Some(Ok(claims)) => Some(claims),
            Some(Err(Some(why))) => {
                let why = match why {
                    TokenRefused::Expired => Refusal::TokenExpired,
                    _ => Refusal::BadToken,
                };
                return self.refuse_upgrade(id, &upgrade, &why, now);
            }
        };
        self.connections
            .push_control(id, Frame::http(&upgrade.response));
        if let Some(connection) = self.connections.get_mut(id) {
            connection.state.upgraded();
            connection.protocol = protocol;
            self.rearm(id);
        }
        self.stats.upgraded += 1;
        self.log_connection(id, format_args!("is upgraded"));
        if protocol == Protocol::Echo {
            return;
        }
        let nick = upgrade.nick.as_deref().filter(|_| claims.is_none());
        let refused = self.user_enters(id, nick, protocol.index(), now);
        if let Some(refused) = &refused {
            self.nick_refused(id, refused);
        }
        let lines = upgrade.history.unwrap_or(self.history_lines);
        let waiter = (protocol == Protocol::Plain).then(|| Waiter {
            id,
            request: None,
            past: Past::Newest(lines),
            refused: None,
            password: upgrade
                .password
                .as_ref()
                .and_then(|password| shown_password(password.as_str())),
            pass: None,
        });
        if let Some(claims) = &claims {
            self.enter_by_token(id, claims, false, now);
        }
        let entrance = Entrance {
            has_wished: nick.is_some() && refused.is_none(),
            refused,
            room,
            waiter,
        };
        self.enters(id, entrance, now);
    }

    /// A new user is greeted, or joins the room of its URL, or is asked to log in.
    pub(super) fn goes_in(&mut self, id: ConnId, entrance: Entrance, now: Tick) {
        let Entrance {
            refused,
            room,
            mut waiter,
            ..
        } = entrance;
        if let Some(waiter) = &mut waiter {
            waiter.refused.clone_from(&refused);
        }
        let is_guest = self.talk.chat().account_of(id).is_none();
        let must_log_in = is_guest && self.accounts.policy == AccountPolicy::Required;
        match waiter {
            Some(waiter) if must_log_in => {
                self.fail(id, None, Problem::LoginRequired, now);
                self.must_log_in_within(id, Some((room, waiter)), now);
            }
            Some(waiter) if !self.accounts.terms.may_enter(id, &room) => {
                let why = CloseReason::BadName {
                    rule: Problem::RoomNotAllowed.to_string(),
                };
                self.part(waiter.id, &why, now);
            }
            Some(waiter) => {
                self.greet_account(id, now);
                self.join(room, waiter, now);
            }
            None => {
                self.greet(id, refused, now);
                self.greet_account(id, now);
                if must_log_in {
                    self.must_log_in_within(id, None, now);
                }
            }
        }
    }

    fn must_log_in_within(&mut self, id: ConnId, then: Option<(RoomName, Waiter)>, now: Tick) {
        self.accounts.terms.must_log_in(id, now + LOGIN_TICKS, then);
    }
}

/// The room that the URL names, or that a client enters that names none.
fn wanted_room(upgrade: &Upgrade, protocol: Protocol) -> Result<RoomName, Refusal> {
    if let Some(why) = &upgrade.wrong {
        return Err(*why);
    }
    if protocol == Protocol::Json && upgrade.room.is_some() {
        return Err(Refusal::RoomName {
            reason: ROOM_IS_NOT_JOINED,
        });
    }
    let name = upgrade.room.as_deref().unwrap_or(DEFAULT_ROOM);
    RoomName::parse(name).map_err(|_| Refusal::RoomName {
        reason: ROOM_NAME_RULE,
    })
}
