//! What servers that share an engine tell operators of each other, and the list of them. Knows no
//! key of the engine.

use super::Server;
use crate::admin::Answer;
use crate::id::{ConnId, Millis, Tick};
use crate::log::{NodeInfo, NodesRequest};
use crate::net::Net;
use crate::version;
use serde_json::{Value, json};

/// A server as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    started: Millis,
    connections: usize,
    rooms: usize,
    version: String,
    host: String,
}

impl Described {
    pub(super) fn new(started: Millis, (connections, rooms): (usize, usize), host: &str) -> Self {
        Self {
            started,
            connections,
            rooms,
            version: version::version(),
            host: host.to_owned(),
        }
    }

    /// As other servers read it. What is added by a later version comes behind.
    pub(super) fn line(&self) -> String {
        let Self {
            started,
            connections,
            rooms,
            version,
            host,
        } = self;
        format!("{}\t{connections}\t{rooms}\t{version}\t{host}", started.0)
    }

    /// The other way. What is missing is empty.
    fn read(line: &str) -> Self {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let started = Millis(next().parse().unwrap_or(0));
        let connections = next().parse().unwrap_or(0);
        let rooms = next().parse().unwrap_or(0);
        Self {
            started,
            connections,
            rooms,
            version: next().to_owned(),
            host: next().to_owned(),
        }
    }

    fn row(&self, id: Option<&str>) -> Value {
        json!({
            "id": id,
            "host": self.host,
            "version": self.version,
            "started": self.started.to_rfc3339(),
            "connections": self.connections,
            "rooms": self.rooms,
        })
    }
}

impl<N: Net> Server<N> {
    pub(super) fn described(&self) -> Described {
        let started = self.net.process().started.unwrap_or_default();
        let counts = (self.connections.len(), self.talk.chat().room_count());
        Described::new(started, counts, self.host())
    }

    /// The answer; `None`: the engine is asked.
    pub(super) fn list_nodes(&mut self, id: ConnId, keep_alive: bool) -> Option<Answer> {
        if !self.log.is_shared() {
            let own = self.described().row(None);
            return Some(answer(&[own]));
        }
        let tag = id.to_u64();
        self.log.ask_of_nodes(NodesRequest::List { tag });
        self.awaits_store(id, keep_alive);
        None
    }

    pub(super) fn nodes_listed(&mut self, tag: u64, nodes: &[NodeInfo], now: Tick) {
        let row = |node: &NodeInfo| {
            let mut row = Described::read(&node.description).row(Some(&node_id(node.node)));
            row["own"] = node.is_own.into();
            row
        };
        let rows: Vec<Value> = nodes.iter().map(row).collect();
        self.answer_export(tag, &answer(&rows), now);
    }
}

/// A server as operators see it.
pub(super) fn node_id(node: u64) -> String {
    format!("{node:016x}")
}

fn answer(rows: &[Value]) -> Answer {
    Answer::done(json!({ "nodes": rows, "next": null }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_is_read_as_it_was_written() {
        let described = Described::new(Millis(1_795_676_645_000), (12, 3), "web1");
        assert_eq!(Described::read(&described.line()), described);
    }

    #[test]
    fn description_of_another_version_is_read_as_far_as_it_is_known() {
        let described = Described::read("1795676645000\t12\t3\t9.0\tweb1\tmore");
        assert_eq!(
            (described.connections, described.host.as_str()),
            (12, "web1")
        );
        assert_eq!(Described::read("").connections, 0);
    }
}
