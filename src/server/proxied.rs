//! Connections that must begin with a header of the PROXY protocol: the address that it names is the
//! one that limits, bans and logs are about. Knows what a header names (`http`), not how it looks.
//!
//! A receiver must not guess whether there is a header (proxy-protocol.txt §2): with
//! `--proxy-protocol` every connection for clients must have one and come from a trusted proxy, and
//! without it none is understood. A connection that breaks this is closed without an answer, since
//! what would read the answer is not known to speak HTTP.

use super::Server;
use super::connection::{Source, Surplus};
use super::receive::Flow;
use super::request::UNIX_PROXY;
use crate::http::{self, Forwarded, ProxyHeader, Refusal, proxy_header};
use crate::id::{ConnId, Peer, Tick};
use crate::net::Net;
use std::net::IpAddr;

impl<N: Net> Server<N> {
    /// `bytes` is all that came so far of a connection of this trusted proxy.
    pub(super) fn take_proxy_header(
        &mut self,
        id: ConnId,
        proxy: Peer,
        bytes: &[u8],
        now: Tick,
    ) -> Flow {
        let (named, consumed) = match proxy_header(bytes) {
            ProxyHeader::Complete { named, consumed } => (named, consumed),
            ProxyHeader::Partial => {
                self.keep_head(id, bytes);
                return Flow::More;
            }
            ProxyHeader::Wrong(why) => {
                self.unproxied(id, why);
                return Flow::Enough;
            }
        };
        self.name_client(id, proxy, named, now);
        let rest = bytes.get(consumed..).unwrap_or_default();
        if rest.is_empty() || self.begins_tls(id, rest) {
            self.keep_head(id, &[]);
            return Flow::More;
        }
        self.take_head(id, rest, 0, now)
    }

    /// From here on the connection is one of the client that its proxy has named. A client that is a
    /// trusted proxy itself may name its own client in X-Forwarded-For.
    fn name_client(&mut self, id: ConnId, proxy: Peer, named: Forwarded, now: Tick) {
        let address = match (named, proxy) {
            // It is the proxy's own: a health check.
            (Forwarded::Unnamed, _) => return self.becomes(id, Source::Proxy(proxy)),
            (Forwarded::Client(address), _) => address,
            (Forwarded::Unreadable, Peer::Ip(address)) => address,
            (Forwarded::Unreadable, Peer::Unix) => UNIX_PROXY,
        };
        let client = Peer::Ip(address);
        self.log_connection(id, format_args!("is from {client}, says its proxy"));
        let is_proxy = http::is_trusted(client, &self.http.trusted_proxies);
        if is_proxy && named != Forwarded::Unreadable {
            return self.becomes(id, Source::Proxy(client));
        }
        self.count_named(id, address, now);
    }

    fn count_named(&mut self, id: ConnId, address: IpAddr, now: Tick) {
        self.becomes(id, Source::Uncounted);
        if !self.count_for(id, address) {
            self.is_surplus(id, Surplus::OfAddress, now);
        }
    }

    fn becomes(&mut self, id: ConnId, source: Source) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.source = source;
        }
    }

    /// The head is not whole: keeps what came of it.
    fn keep_head(&mut self, id: ConnId, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.state.keep_head(bytes.to_vec());
            self.rearm(id);
        }
    }

    /// What a connection above the limit of all connections asks for, behind the header that it
    /// begins with. One above the limit of its address has had it before.
    pub(super) fn without_proxy_header<'b>(&self, bytes: &'b [u8], why: &Refusal) -> &'b [u8] {
        if !self.http.proxy_protocol || !matches!(why, Refusal::TooManyConnections) {
            return bytes;
        }
        match proxy_header(bytes) {
            ProxyHeader::Complete { consumed, .. } => bytes.get(consumed..).unwrap_or_default(),
            ProxyHeader::Partial | ProxyHeader::Wrong(_) => bytes,
        }
    }

    /// Closes a connection without an answer.
    pub(super) fn unproxied(&mut self, id: ConnId, why: &str) {
        self.stats.unproxied += 1;
        self.log_connection(id, format_args!("is over: {why}"));
        self.connections.end(id);
    }
}
