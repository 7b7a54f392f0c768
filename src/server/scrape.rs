//! Who may read the metrics: operators, monitors at a listener of their own, and clients with a token.
//! Also what is counted for them alone. What they are is in `families.rs`.

use super::Server;
use super::receive::Flow;
use crate::http::{self, Content, Get, Method, Refusal, Request, Response};
use crate::id::{ConnId, Tick};
use crate::metrics::CONTENT_TYPE;
use crate::net::Net;
use crate::stats::{Counted, Tallies};
use crate::tls::{Failure, Handshake};
use crate::ws::{CLIENT_CODES, CloseReason};
use subtle::ConstantTimeEq;

/// The path of the metrics.
const PATH: &str = "/metrics";

/// What an operator's request that is not granted counts as.
pub(super) const OPERATOR_REQUEST: &str = "operator_request";

/// Who may read the metrics, besides operators.
#[derive(Default)]
pub(super) struct Scrape {
    /// Connections from this listener may read them, and ask for nothing else but health.
    listener: Option<usize>,
    /// What clients must show.
    token: Option<String>,
    /// The free space of the store's disk below which the log has a warning.
    low_disk_bytes: u64,
}

impl Scrape {
    pub(super) fn new(low_disk_bytes: u64) -> Self {
        Self {
            low_disk_bytes,
            ..Self::default()
        }
    }

    pub(super) const fn low_disk_bytes(&self) -> u64 {
        self.low_disk_bytes
    }

    pub(super) const fn set_low_disk(&mut self, bytes: u64) {
        self.low_disk_bytes = bytes;
    }

    pub(super) fn is_at(&self, listener: usize) -> bool {
        self.listener == Some(listener)
    }

    pub(super) const fn listener(&self) -> Option<usize> {
        self.listener
    }

    /// Whether a client shows the token (RFC 6750 §2.1). How much of it is right is not to be seen
    /// from the time that this takes.
    fn admits(&self, get: &Get<'_>) -> bool {
        let (Some(token), Some(shown)) = (&self.token, get.bearer()) else {
            return false;
        };
        token.as_bytes().ct_eq(shown).into()
    }
}

pub(super) fn tallies() -> Tallies {
    let mut refusals = Refusal::LABELS.to_vec();
    refusals.push(OPERATOR_REQUEST);
    let mut tallies = Tallies::new(&refusals, &CloseReason::CODES, &CLIENT_CODES);
    tallies.handshakes = Counted::new(&Handshake::LABELS);
    tallies.tls_failures = Counted::new(&Failure::LABELS);
    tallies
}

impl<N: Net> Server<N> {
    /// Shows the metrics to the connections from this listener. To be called before the first turn.
    pub fn serve_metrics(&mut self, listener: usize) {
        self.scrape.listener = Some(listener);
    }

    /// Shows the metrics to clients that have this token.
    pub fn show_metrics_to(&mut self, token: String) {
        self.scrape.token = Some(token);
    }

    /// Counts a request that is not granted.
    pub(super) fn count_refusal(&mut self, why: &Refusal) {
        match why {
            Refusal::TooManyConnections | Refusal::TooManyFromAddress => {
                self.stats.turned_away += 1;
            }
            _ => self.stats.refused += 1,
        }
        self.tallies.refusals.count(why.label());
    }

    /// The work of the last turn.
    pub(super) fn count_turn(&mut self) {
        if let Some(worked) = self.net.worked() {
            let micros = u64::try_from(worked.as_micros()).unwrap_or(u64::MAX);
            self.tallies.turns.record(micros);
        }
    }

    /// A request at the listener of the metrics. `bytes` is all that came of the head so far, of
    /// which `searched` were looked at before.
    pub(super) fn take_scrape(
        &mut self,
        id: ConnId,
        bytes: &[u8],
        searched: usize,
        now: Tick,
    ) -> Flow {
        match http::receive(bytes, searched, false, &self.http) {
            Request::Partial => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.state.keep_head(bytes.to_vec());
                    self.rearm(id);
                }
            }
            Request::Get { get, consumed } => {
                let rest = bytes.get(consumed..).unwrap_or_default();
                return match get.path {
                    PATH => self.answer_with_metrics(id, &get, rest, now),
                    "/healthz" | "/readyz" => self.answer_page(id, &get, rest, now),
                    _ => {
                        let to_head = get.method == Method::Head;
                        self.refuse_request(id, &Refusal::NoSuchPath, to_head, now);
                        Flow::More
                    }
                };
            }
            Request::Upgrade { .. } => self.refuse(id, &Refusal::NoWebSocketHere, now),
            Request::Refused { why, to_head } => self.refuse_request(id, &why, to_head, now),
        }
        Flow::More
    }

    /// Whether this is a client's request for the metrics that is to be granted. Others are answered
    /// as for any path where nothing is.
    pub(super) fn may_read_metrics(&self, get: &Get<'_>) -> bool {
        get.path == PATH && self.scrape.admits(get)
    }

    pub(super) fn answer_with_metrics(
        &mut self,
        id: ConnId,
        get: &Get<'_>,
        rest: &[u8],
        now: Tick,
    ) -> Flow {
        let date = self.date.at(self.net.wall());
        let text;
        let response = if get.method == Method::Options {
            Response {
                status: 204,
                fields: &[("Allow", http::PLAIN_METHODS)],
                content: None,
            }
        } else {
            text = self.exposition();
            Response {
                status: 200,
                fields: &[
                    ("Cache-Control", "no-store"),
                    ("X-Content-Type-Options", "nosniff"),
                ],
                content: Some(Content {
                    content_type: CONTENT_TYPE,
                    body: text.as_bytes(),
                }),
            }
        };
        let response = response.render(get, date);
        self.respond(id, &response, get.keep_alive, rest, now)
    }
}
