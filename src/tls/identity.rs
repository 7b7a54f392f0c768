//! Certificates with their keys, and which of them a client gets. Comes in: PEM. Goes out: what a
//! handshake presents. Knows no file.

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;

/// The longest chain in DER, so that the flight of a handshake stays far below what an outbox counts
/// of sealed bytes. Chains of public authorities have 2 to 5 KB.
const CHAIN_BYTES_MAX: usize = 32 * 1024;

/// A certificate chain and the private key of its first certificate.
#[derive(Clone, Debug)]
pub struct Identity(Arc<CertifiedKey>);

/// Why files are no certificate with its key.
#[derive(Debug)]
pub enum IdentityError {
    NoCertificate,
    /// The PEM of the chain cannot be read.
    BadChain(String),
    ChainTooLong,
    NoKey(String),
    /// A key of a kind that is not supported, or no key.
    BadKey(String),
    Mismatch,
}

impl IdentityError {
    /// It is the file of the key that is wrong, and not that of the certificate.
    pub const fn is_of_key(&self) -> bool {
        matches!(self, Self::NoKey(_) | Self::BadKey(_) | Self::Mismatch)
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str(
                "there is no certificate in it; expected PEM with the server's certificate first, \
                 then the intermediate ones (fullchain.pem)",
            ),
            Self::BadChain(why) => write!(f, "the certificates cannot be read: {why}"),
            Self::ChainTooLong => write!(
                f,
                "the chain has more than {CHAIN_BYTES_MAX} bytes; expected the server's certificate \
                 and the intermediate ones alone"
            ),
            Self::NoKey(why) => write!(
                f,
                "there is no private key in it ({why}); expected one in PEM without a passphrase"
            ),
            Self::BadKey(why) => write!(
                f,
                "this private key cannot be used ({why}); expected ECDSA (P-256 or P-384), Ed25519 \
                 or RSA (2048 bits or more)"
            ),
            Self::Mismatch => f.write_str("this private key is not the one of the certificate"),
        }
    }
}

impl Identity {
    /// Reads a chain and its key from PEM.
    ///
    /// # Errors
    /// What is wrong, and with which of them.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let provider = rustls::crypto::ring::default_provider();
        Self::parse_with(chain, key, &provider)
    }

    fn parse_with(
        chain: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, IdentityError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| IdentityError::BadChain(error.to_string()))?;
        let Some(first) = chain.first() else {
            return Err(IdentityError::NoCertificate);
        };
        if chain.iter().map(|der| der.len()).sum::<usize>() > CHAIN_BYTES_MAX {
            return Err(IdentityError::ChainTooLong);
        }
        if let Err(error) = ParsedCertificate::try_from(first) {
            return Err(IdentityError::BadChain(error.to_string()));
        }
        let key = PrivateKeyDer::from_pem_slice(key);
        let key = key.map_err(|error| IdentityError::NoKey(error.to_string()))?;
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|error| IdentityError::BadKey(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Self(Arc::new(certified))),
            Err(_) => Err(IdentityError::Mismatch),
        }
    }

    fn is_for(&self, name: &ServerName<'_>) -> bool {
        let first = self.0.end_entity_cert().ok();
        let parsed = first.and_then(|first| ParsedCertificate::try_from(first).ok());
        parsed.is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }

    /// Whether the key can sign in a way that the client understands.
    fn is_understood(&self, hello: &ClientHello<'_>) -> bool {
        let schemes = hello.signature_schemes();
        self.0.key.choose_scheme(schemes).is_some()
    }
}

/// All of a server's, the default first.
#[derive(Clone, Debug)]
pub struct Identities(Vec<Identity>);

impl Identities {
    /// `None`: there are none.
    pub fn new(all: Vec<Identity>) -> Option<Self> {
        (!all.is_empty()).then_some(Self(all))
    }

    /// The first that is for the name and that the client understands; else the first that it
    /// understands. A name that no certificate has gets the default and not an error: the client
    /// says better than the server what is wrong with it.
    fn find(&self, hello: &ClientHello<'_>) -> Option<&Identity> {
        let [only] = &self.0[..] else {
            let name = hello.server_name();
            let name = name.and_then(|name| ServerName::try_from(name).ok());
            let understood = || self.0.iter().filter(|one| one.is_understood(hello));
            let named = name.and_then(|name| understood().find(|one| one.is_for(&name)));
            return named.or_else(|| understood().next());
        };
        Some(only)
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(&hello).map(|identity| identity.0.clone())
    }
}
