//! The client's side of TLS, for `wss://`: plaintext in, records out, and the other way round. Reads
//! the file of certificates that are trusted. Knows no socket, no HTTP and no WebSocket.
//!
//! Every handshake is a full one, since the many clients that the tester plays are different
//! clients, unless `--tls-resume` says that they return.

mod session;
#[cfg(test)]
pub(super) mod tests;
mod verifier;

use super::options::Options;
use super::url::Place;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Error, HandshakeKind, RootCertStore,
    SupportedCipherSuite,
};
use session::Sessions;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use verifier::Lenient;

/// What all connections have in common.
pub(super) struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// One connection.
pub(super) struct Tls {
    connection: ClientConnection,
    /// The end of the handshake was reported.
    is_reported: bool,
}

/// How a handshake has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shaken {
    Full,
    /// With the keys of an earlier connection, without a certificate.
    Resumed,
}

impl Connector {
    /// What the URL wants; `None`: no TLS.
    ///
    /// # Errors
    /// The certificates cannot be read, or the host cannot be in one.
    pub(super) fn of(options: &Options) -> io::Result<Option<Self>> {
        let Place::Host { name, .. } = &options.url.place else {
            return Ok(None);
        };
        if !options.url.is_secure {
            return Ok(None);
        }
        let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
            .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        let config = config(options).map_err(io::Error::other)?;
        Ok(Some(Self {
            config: Arc::new(config),
            name,
        }))
    }

    /// A new connection, whose first records [`Tls::seal`] has.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn connect(&self) -> Result<Box<Tls>, Error> {
        let mut connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone())?;
        // The caller bounds what it sends.
        connection.set_buffer_limit(None);
        Ok(Box::new(Tls {
            connection,
            is_reported: false,
        }))
    }
}

fn config(options: &Options) -> Result<ClientConfig, String> {
    let mut provider = rustls::crypto::ring::default_provider();
    // As browsers do where the processor has AES: with 128 bits before 256.
    let is_other =
        |suite: &SupportedCipherSuite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(is_other);
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if options.insecure {
        let verifier = Arc::new(Lenient::new(&provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
    } else {
        builder.with_webpki_verifier(verifier(&options.ca, provider)?)
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = if options.tls_resume {
        Resumption::store(Arc::new(Sessions::default()))
    } else {
        Resumption::disabled()
    };
    Ok(config)
}

fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let wrong = |why: &dyn std::fmt::Display| {
        format!(
            "{}: {why}; --ca names a file with the certificates to trust, in PEM",
            path.display()
        )
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&error))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(wrong(&"there is no certificate in it"));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| wrong(&error))
}

impl Tls {
    /// Appends the records of `bytes` to `records`, and those of the handshake. Until the handshake
    /// is over the bytes are kept, and are in the records of a later call.
    pub(super) fn seal(&mut self, bytes: &[u8], records: &mut Vec<u8>) {
        self.connection
            .writer()
            .write_all(bytes)
            .expect("its buffer has no limit");
        self.take_records(records);
    }

    /// Opens records that have arrived: appends their plaintext to `bytes`, and what must be
    /// answered to `records`.
    ///
    /// # Errors
    /// The connection is useless. The alert that says why is in `records`.
    pub(super) fn open(
        &mut self,
        mut arrived: &[u8],
        bytes: &mut Vec<u8>,
        records: &mut Vec<u8>,
    ) -> Result<(), Error> {
        while !arrived.is_empty() {
            let taken = self.connection.read_tls(&mut arrived);
            // Zero: what follows the server's close_notify means nothing.
            if taken.map_err(|error| Error::General(error.to_string()))? == 0 {
                break;
            }
            let state = self.connection.process_new_packets();
            if state.is_err() {
                self.take_records(records);
            }
            let len = state?.plaintext_bytes_to_read();
            let kept = bytes.len();
            bytes.resize(kept + len, 0);
            self.connection
                .reader()
                .read_exact(&mut bytes[kept..])
                .expect("so many bytes are there");
        }
        self.take_records(records);
        Ok(())
    }

    /// The outcome of the handshake, once.
    pub(super) fn shaken(&mut self) -> Option<Shaken> {
        if self.is_reported || self.connection.is_handshaking() {
            return None;
        }
        self.is_reported = true;
        Some(match self.connection.handshake_kind()? {
            HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest => Shaken::Full,
            HandshakeKind::Resumed => Shaken::Resumed,
        })
    }

    fn take_records(&mut self, records: &mut Vec<u8>) {
        while self.connection.wants_write() {
            self.connection
                .write_tls(records)
                .expect("a vector takes everything");
        }
    }
}
