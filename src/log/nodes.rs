//! What is asked of a shared engine about the servers that share it, and what it answers. Knows no
//! room and no entry.

use crate::id::ConnId;
use smol_str::SmolStr;

/// What is asked of a shared engine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodesRequest {
    /// Which servers are there? Answered by [`NodesAnswer::List`], or by
    /// [`super::Answer::TaskFailed`].
    List { tag: u64 },
    /// Hold nicks for this server. Answered by [`NodesAnswer::Claimed`], unless the link is lost
    /// before: then nothing is known of them.
    Claim(Box<NickClaims>),
}

/// Nicks that a server gives back, and then others that it claims. A nick is its keys, and a server
/// may hold one for several users: which of them has it is its own to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NickClaims {
    /// Returned with the answer.
    pub tag: u64,
    /// Those that this server does not hold are left alone.
    pub released: Vec<SmolStr>,
    pub claimed: Vec<NickClaim>,
}

/// A nick that is claimed for a user. The engine keeps the session with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NickClaim {
    pub keys: Vec<SmolStr>,
    /// The session of the client; 0: it has none.
    pub session: u64,
    /// The client has proved that it goes on from an earlier connection: what another server holds
    /// for this session is granted, and all servers are told by [`NodesAnswer::Resumed`].
    pub resumes: Option<Earlier>,
}

/// The last connection of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The start of a server, in which alone the id names that connection.
    pub start: u32,
    pub connection: ConnId,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodesAnswer {
    /// Servers are gone, or this one was taken for gone. Each holds a lease at the engine, whose
    /// clock alone says when one is over.
    Changed {
        /// Nothing that these hold is theirs any more.
        dead: Vec<u64>,
        /// The lease of this server had ended while the link was there, or the engine has lost
        /// its keys: what it had asked the others to respect must be asked again. The same holds
        /// after each [`super::Answer::Link`] that is up.
        is_lost: bool,
    },
    /// Of each nick that was claimed, whether this server holds it from here on; `None`: the engine
    /// has refused them all.
    Claimed {
        tag: u64,
        granted: Option<Vec<bool>>,
    },
    /// A client of that session goes on, at this server or another: its earlier connection is over.
    Resumed { session: u64, earlier: Earlier },
    /// Keys that this server holds, found among those of all. Some may be of users that have left.
    Held { keys: Vec<SmolStr> },
    /// In the order of their numbers.
    List { tag: u64, nodes: Vec<NodeInfo> },
}

/// A server, as it described itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Another number at each start.
    pub node: u64,
    /// It is the server that asks.
    pub is_own: bool,
    pub description: String,
}
