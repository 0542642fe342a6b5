//! TLS for the TURN server, with a certificate made at start: self-signed, so clients have to be told not to mind. Its key
//! is never written anywhere.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::hex;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no certificate could be made ({0})")]
    Certificate(#[from] rcgen::Error),
    #[error("the certificate does not serve ({0})")]
    Config(#[from] rustls::Error),
}

pub struct Tls {
    pub acceptor: TlsAcceptor,
    /// SHA-256 of the certificate, for clients that want to know it.
    pub fingerprint: String,
}

impl Tls {
    /// For `localhost`, loopback's addresses and this one.
    pub fn new(address: IpAddr) -> Result<Self, TlsError> {
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        let own = address.to_string();
        if !names.contains(&own) {
            names.push(own);
        }
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.self_signed(&key)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate.der());
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            fingerprint: hex::encode(digest.as_ref()),
        })
    }
}
