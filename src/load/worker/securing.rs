//! What only connections with TLS do: the beginning and the end of a handshake, and opening the
//! records that arrive.

use super::super::client::Phase;
use super::super::tally::Count;
use super::super::tls::Shaken;
use super::Worker;
use crate::id::ConnId;
use crate::net::dial::Micros;
use std::mem;

impl Worker {
    /// With `wss://`: what waits to be sent goes behind a handshake.
    pub(super) fn begin_tls(&mut self, id: ConnId) {
        let (Some(connector), Some(client)) = (&self.connector, self.slots.get_mut(id)) else {
            return;
        };
        match connector.connect() {
            Ok(mut tls) => {
                let request = mem::take(&mut client.unsent);
                tls.seal(&request, &mut client.unsent);
                client.tls = Some(tls);
            }
            Err(error) => {
                self.tally.add_tls_error(&error.to_string(), 1);
                self.fail(id, Count::Unsecured);
            }
        }
    }

    pub(super) fn take_records(&mut self, id: ConnId, records: &[u8], now: Micros) {
        let Some(client) = self.slots.get_mut(id) else {
            return;
        };
        let Some(tls) = &mut client.tls else { return };
        let mut opened = mem::take(&mut self.opened);
        opened.clear();
        opened.extend_from_slice(client.reader.rest());
        let outcome = tls.open(records, &mut opened, &mut client.unsent);
        let shaken = tls.shaken();
        self.note_shaken(shaken);
        self.flush(id);
        self.take_bytes(id, &opened, now);
        self.opened = opened;
        if let Err(error) = outcome {
            self.refuse_records(id, &error.to_string());
        }
    }

    fn note_shaken(&mut self, shaken: Option<Shaken>) {
        let Some(shaken) = shaken else { return };
        self.tally.counts.add(Count::Shaken, 1);
        if shaken == Shaken::Resumed {
            self.tally.counts.add(Count::Resumed, 1);
        }
    }

    /// The server has sent what is no TLS, or has no certificate that is trusted, or has refused
    /// the connection with an alert.
    fn refuse_records(&mut self, id: ConnId, error: &str) {
        let Some(client) = self.slots.get(id) else {
            return;
        };
        self.tally.add_tls_error(error, 1);
        if client.phase == Phase::Upgrading {
            self.fail(id, Count::Unsecured);
        } else {
            self.end(id, Count::Garbled);
        }
    }
}
