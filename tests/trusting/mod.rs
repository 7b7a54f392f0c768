//! A client of TLS that accepts any certificate and keeps it, for all tests and fuzz targets that are
//! about records and handshakes. Looks at no signature.
#![allow(dead_code, reason = "each test binary and fuzz target uses a part")]

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Mutex;

#[derive(Debug)]
pub(crate) struct Trusting {
    schemes: Vec<SignatureScheme>,
    shown: Mutex<Vec<u8>>,
}

impl Trusting {
    /// The client offers these kinds of signatures.
    pub(crate) const fn with(schemes: Vec<SignatureScheme>) -> Self {
        Self {
            schemes,
            shown: Mutex::new(Vec::new()),
        }
    }

    /// The certificate of the last handshake.
    pub(crate) fn shown(&self) -> Vec<u8> {
        self.shown.lock().expect("no panic before").clone()
    }
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        first: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.shown.lock().expect("no panic before") = first.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
