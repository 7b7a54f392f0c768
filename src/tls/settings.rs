//! What an operator sets about TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where TLS is spoken, and the files of its certificates. Without an address there is no TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub listen: Vec<SocketAddr>,
    /// Chains in PEM, the server's own certificate first. The first chain is the default.
    pub certs: Vec<PathBuf>,
    /// Their private keys in PEM, in the same order.
    pub keys: Vec<PathBuf>,
}
