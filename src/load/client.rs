//! One connection to the server under test: its socket, how far it is, and what is half received
//! or half sent. Knows no other connection.

use super::reader::Reader;
use super::request::Request;
use super::tls::Tls;
use crate::net::dial::Micros;
use crate::net::mio::Stream;
use std::mem;

pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) phase: Phase,
    /// The moment at which the connection was due to be opened.
    pub(super) due: Micros,
    pub(super) reader: Reader,
    /// With `wss://`.
    pub(super) tls: Option<Box<Tls>>,
    /// Bytes that the socket has not accepted: with TLS, records.
    pub(super) unsent: Vec<u8>,
}

impl Client {
    /// What must stand before the next bytes from the socket. With TLS these are records, which
    /// have nothing before them.
    pub(super) fn rest(&self) -> &[u8] {
        match self.tls {
            None => self.reader.rest(),
            Some(_) => &[],
        }
    }

    /// One whose request is still to be sent.
    pub(super) fn new(stream: Stream, due: Micros, mut request: Request) -> Self {
        Self {
            stream,
            phase: Phase::Dialing,
            due,
            tls: None,
            unsent: mem::take(&mut request.bytes),
            reader: Reader::new(request),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The system connects.
    Dialing,
    /// The request is sent.
    Upgrading,
    /// With `parlor.v1.json`: the request to join is sent.
    Joining,
    Open,
    /// Our close frame is sent; the server ends the connection. Since: the moment at which a
    /// churn step was due.
    Leaving {
        since: Option<Micros>,
    },
    /// The server's close frame is answered; the server ends the connection.
    Dismissed,
}

impl Phase {
    pub(super) const fn is_pending(self) -> bool {
        matches!(self, Self::Dialing | Self::Upgrading | Self::Joining)
    }

    /// A close frame is sent, and the server must end the connection.
    pub(super) const fn is_ending(self) -> bool {
        matches!(self, Self::Leaving { .. } | Self::Dismissed)
    }
}
