//! TURN from the client's side, over UDP, TCP and TLS: the `turn` crate's client for whole relays, and single requests for what
//! exactly comes back on the wire.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use stun::agent::TransactionId;
use stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME};
use stun::error_code::ErrorCodeAttribute;
use stun::integrity::MessageIntegrity;
use stun::message::{CLASS_REQUEST, Getter, Message, MessageType, Method, Setter};
use stun::textattrs::TextAttribute;
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;
use turn::client::Client;
use turn::proto::reqtrans::RequestedTransport;
use turn_demo_server::turn::Transport;
use turn_demo_server::turn::stream::Stream;
use webrtc_util::Conn;

use super::{Credential, SOON};

pub const ALL: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// Has the server hand out its `turns:` URL, where [`Credential::at`] finds it.
pub const WITH_TLS: [&str; 1] = ["--turn-tls"];

pub async fn connect(transport: Transport, server: SocketAddr) -> Arc<dyn Conn + Send + Sync> {
    match transport {
        Transport::Udp => Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()),
        Transport::Tcp => {
            let tcp = TcpStream::connect(server).await.unwrap();
            let local = tcp.local_addr().unwrap();
            Arc::new(Stream::new(tcp, server, local).0)
        }
        Transport::Tls => {
            let tcp = TcpStream::connect(server).await.unwrap();
            let local = tcp.local_addr().unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let tls = any_certificate().connect(name, tcp).await.unwrap();
            Arc::new(Stream::over_tls(tls, server, local).0)
        }
    }
}

fn any_certificate() -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Minds no certificate, as a browser that was told so.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// An allocation that lives as long as this value.
pub struct Relay {
    client: Client,
    pub conn: Arc<dyn Conn + Send + Sync>,
}

impl Relay {
    pub async fn allocate(
        transport: Transport,
        credential: &Credential,
    ) -> Result<Self, turn::Error> {
        let server = credential.at(transport);
        let conn = connect(transport, server).await;
        let client = Client::new(turn::client::ClientConfig {
            stun_serv_addr: server.to_string(),
            turn_serv_addr: server.to_string(),
            username: credential.username.clone(),
            password: credential.password.clone(),
            realm: String::new(),
            software: String::new(),
            rto_in_ms: 0,
            conn,
            vnet: None,
        })
        .await?;
        client.listen().await?;
        let conn = match tokio::time::timeout(SOON, client.allocate()).await {
            Ok(allocated) => Arc::new(allocated?),
            Err(_) => panic!("no answer to an Allocate request"),
        };
        Ok(Self { client, conn })
    }

    pub fn address(&self) -> SocketAddr {
        self.conn.local_addr().unwrap()
    }

    pub async fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 2000];
        let (length, from) = tokio::time::timeout(SOON, self.conn.recv_from(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        buffer.truncate(length);
        (buffer, from)
    }

    pub async fn close(self) {
        self.conn.close().await.unwrap();
        self.client.close().await.unwrap();
    }
}

/// One socket from which single requests are sent.
pub struct Asker {
    pub conn: Arc<dyn Conn + Send + Sync>,
    server: SocketAddr,
}

impl Asker {
    pub async fn new(transport: Transport, server: SocketAddr) -> Self {
        Self {
            conn: connect(transport, server).await,
            server,
        }
    }

    pub fn message(method: Method, more: Vec<Box<dyn Setter>>) -> Message {
        let mut setters: Vec<Box<dyn Setter>> = vec![
            Box::new(TransactionId::new()),
            Box::new(MessageType::new(method, CLASS_REQUEST)),
        ];
        setters.extend(more);
        let mut message = Message::new();
        message.build(&setters).unwrap();
        message
    }

    pub async fn ask(&self, message: Message) -> Message {
        self.conn.send_to(&message.raw, self.server).await.unwrap();
        let mut buffer = vec![0; 2000];
        loop {
            let received = tokio::time::timeout(SOON, self.conn.recv_from(&mut buffer)).await;
            let (length, _) = received.expect("no answer to a request").unwrap();
            let mut answer = Message {
                raw: buffer[..length].to_vec(),
                ..Message::default()
            };
            answer.decode().unwrap();
            if answer.transaction_id == message.transaction_id {
                return answer;
            }
        }
    }

    /// The REALM and NONCE that an unauthenticated Allocate request brings back.
    pub async fn challenge(&self) -> (String, String) {
        let answer = self
            .ask(Self::message(
                stun::message::METHOD_ALLOCATE,
                vec![transport_wanted()],
            ))
            .await;
        assert_eq!(code(&answer), Some(401));
        (
            text(&answer, ATTR_REALM).unwrap(),
            text(&answer, ATTR_NONCE).unwrap(),
        )
    }

    /// A request as a client makes it that knows the realm and a nonce.
    pub async fn ask_as(
        &self,
        credential: &Credential,
        method: Method,
        more: Vec<Box<dyn Setter>>,
    ) -> Message {
        let (realm, nonce) = self.challenge().await;
        self.ask_with(credential, &realm, &nonce, method, more)
            .await
    }

    pub async fn ask_with(
        &self,
        credential: &Credential,
        realm: &str,
        nonce: &str,
        method: Method,
        more: Vec<Box<dyn Setter>>,
    ) -> Message {
        let mut setters = more;
        setters.push(Box::new(TextAttribute::new(
            ATTR_USERNAME,
            credential.username.clone(),
        )));
        setters.push(Box::new(TextAttribute::new(ATTR_REALM, realm.to_owned())));
        setters.push(Box::new(TextAttribute::new(ATTR_NONCE, nonce.to_owned())));
        setters.push(Box::new(MessageIntegrity::new_long_term_integrity(
            credential.username.clone(),
            realm.to_owned(),
            credential.password.clone(),
        )));
        self.ask(Self::message(method, setters)).await
    }

    pub async fn allocate(&self, credential: &Credential) -> Message {
        self.ask_as(
            credential,
            stun::message::METHOD_ALLOCATE,
            vec![transport_wanted()],
        )
        .await
    }
}

pub fn transport_wanted() -> Box<dyn Setter> {
    Box::new(RequestedTransport {
        protocol: turn::proto::PROTO_UDP,
    })
}

/// The error code of an answer; `None` for success.
pub fn code(answer: &Message) -> Option<u16> {
    let mut code = ErrorCodeAttribute::default();
    code.get_from(answer).ok().map(|()| code.code.0)
}

pub fn text(answer: &Message, attribute: stun::attributes::AttrType) -> Option<String> {
    TextAttribute::get_from_as(answer, attribute)
        .ok()
        .map(|attribute| attribute.text)
}
