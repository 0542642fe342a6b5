//! The embedded TURN server: the `turn` crate over UDP, TCP and TLS, on loopback unless told otherwise, made as strict as
//! Cloudflare.
//!
//! The crate asks for the credential on every authenticated request, and [`CredentialStore`] says no as soon as a credential
//! has expired or was revoked. What the crate cannot do is end an allocation that nobody refreshes, so a background task
//! deletes the allocations of ended credentials. Answers that differ from RFC 8656 are put right by the `gate` module.

mod gate;
mod live;
mod nonce;
mod relay;
pub mod stream;
mod tls;
mod udp;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tracing::info;
use turn::allocation::AllocationInfo;
use turn::auth::{AuthHandler, generate_auth_key};
use turn::server::Server;
use turn::server::config::{ConnConfig, ServerConfig};
use webrtc_util::Conn;

use crate::credential::{CredentialStore, Standing, prefix};
use crate::options::TurnOptions;
use gate::Gate;
use live::Live;
use nonce::Nonces;
use relay::Relays;
use stream::Stream;
use tls::{Tls, TlsError};

pub const REALM: &str = "turn-demo";

/// How often ended credentials are looked for. Their allocations must be gone within a second.
const SWEEP: Duration = Duration::from_millis(100);

/// A stream costs a descriptor and two tasks; this many are far more than a demo needs and far fewer than would hurt.
const MAX_STREAMS: usize = 1024;

/// For the TLS handshake, and for a stream that holds no allocation to say something.
const IDLE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    #[error(
        "port {port} for TURN is taken; choose another with {option}, or leave it out for any free one ({source})"
    )]
    Taken {
        port: u16,
        option: &'static str,
        source: io::Error,
    },
    #[error("--turn-address {address} is no address of this machine ({source})")]
    Address { address: IpAddr, source: io::Error },
    #[error("no port was free for both UDP and TCP; choose one with --turn-port ({0})")]
    NonePaired(io::Error),
    #[error("TURN over TLS did not start: {0}")]
    Tls(#[from] TlsError),
    #[error("the system gave no random numbers")]
    Random,
    #[error("the TURN server did not start: {0}")]
    Start(#[from] turn::Error),
}

/// One allocation as the crate reports it, with the transport between client and server that the crate does not know.
#[derive(Clone, Debug)]
pub struct Allocation {
    pub username: String,
    pub transport: Transport,
    pub relayed_bytes: usize,
}

/// A client of a stream: the two listeners may have clients with the same address.
type StreamId = (Transport, SocketAddr);

pub struct TurnServer {
    address: SocketAddr,
    tls_address: SocketAddr,
    /// Whether clients are told of TLS.
    tls_offered: bool,
    relays: Relays,
    live: Arc<Live>,
    udp: Server,
    /// One server a stream: when a stream ends, its server closes what was allocated over it and nothing else.
    streams: Mutex<HashMap<StreamId, Arc<Server>>>,
    /// For streams, those in their handshake included.
    room: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl TurnServer {
    /// Binds as the options say (port 0: any port) and serves until it is stopped or the process ends.
    pub async fn start(
        store: Arc<CredentialStore>,
        options: &TurnOptions,
    ) -> Result<Arc<Self>, TurnError> {
        let ip = options.turn_address;
        let (udp, tcp, address) = bind_pair(ip, options.turn_port).await?;
        let tls_port = options.turn_tls_port;
        let tls_listener =
            TcpListener::bind((ip, tls_port))
                .await
                .map_err(|source| TurnError::Taken {
                    port: tls_port,
                    option: "--turn-tls-port",
                    source,
                })?;
        let tls_address = tls_listener.local_addr().map_err(TurnError::NonePaired)?;
        let tls = Tls::new(ip)?;
        let nonces = Nonces::new().map_err(|_| TurnError::Random)?;
        let live = Arc::new(Live::new(store, nonces, options.turn_quota));
        let relays = Relays::new(ip, options.cloudflare_limits);

        let gone = watch_gone(Arc::clone(&live), Transport::Udp);
        let conn = Arc::new(Gate::new(
            Arc::new(udp::Datagrams(udp)),
            Transport::Udp,
            Arc::clone(&live),
            IDLE,
        ));
        let server = start_server(conn, Arc::clone(&live), relays, gone).await?;
        info!(target: "turn", %address, tls = %tls_address, certificate = %tls.fingerprint, "embedded TURN server listening");

        let turn = Arc::new(Self {
            address,
            tls_address,
            tls_offered: options.turn_tls,
            relays,
            live,
            udp: server,
            streams: Mutex::default(),
            room: Arc::new(Semaphore::new(MAX_STREAMS)),
            stopping: watch::Sender::new(false),
        });
        tokio::spawn(Arc::clone(&turn).accept(tcp, Transport::Tcp, None));
        tokio::spawn(Arc::clone(&turn).accept(tls_listener, Transport::Tls, Some(tls)));
        tokio::spawn(Arc::clone(&turn).sweep());
        Ok(turn)
    }

    /// Of UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients are told to find STUN, and TURN over each transport.
    pub fn urls(&self) -> ServerUrls {
        let mut urls = ServerUrls::of(self.address);
        if self.tls_offered {
            // By a name, which is what browsers compare a certificate with.
            let port = self.tls_address.port();
            urls.turn.push(if self.address.ip().is_loopback() {
                format!("turns:localhost:{port}?transport=tcp")
            } else {
                format!("turns:{}?transport=tcp", self.tls_address)
            });
        }
        urls
    }

    /// Requests refused, and the most allocations there were at once.
    pub fn refused_and_peak(&self) -> (u64, usize) {
        (self.live.refused(), self.live.peak())
    }

    /// Allocations at the moment.
    pub fn count(&self) -> usize {
        self.live.count()
    }

    pub async fn allocations(&self) -> Vec<Allocation> {
        self.infos()
            .await
            .into_iter()
            .map(|(transport, info)| Allocation {
                username: info.username,
                transport,
                relayed_bytes: info.relayed_bytes,
            })
            .collect()
    }

    /// Ends all allocations and all streams; says how many allocations there were.
    async fn clear(&self) -> usize {
        let infos = self.infos().await;
        for (transport, info) in &infos {
            self.delete(*transport, info).await;
        }
        let streams = std::mem::take(&mut *self.streams());
        for stream in streams.into_values() {
            // An error means that it is closed already.
            let _ = stream.close().await;
        }
        infos.len()
    }

    /// Ends everything and closes all sockets.
    pub async fn stop(&self) {
        self.live.stop();
        self.stopping.send_replace(true);
        let allocations = self.clear().await;
        let _ = self.udp.close().await;
        info!(target: "turn", allocations, "embedded TURN server stopped");
    }

    /// What clients see of a restart: every allocation is gone, every stream ends. Credentials live on, as they do when
    /// they stand in a database or are computed from a secret.
    pub async fn restart(&self) {
        self.clear().await;
        info!(target: "turn", "restarted for a demonstration");
    }

    /// Takes in and sends out nothing for so long from now on, as if the network between were gone. Zero ends it.
    pub fn silence(&self, time: Duration) {
        self.live.silence(time);
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<StreamId, Arc<Server>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn infos(&self) -> Vec<(Transport, AllocationInfo)> {
        let mut infos = Vec::new();
        // A server that is being closed has nothing to report.
        if let Ok(found) = self.udp.get_allocations_info(None).await {
            infos.extend(found.into_values().map(|info| (Transport::Udp, info)));
        }
        let streams: Vec<_> = self
            .streams()
            .iter()
            .map(|((transport, _), server)| (*transport, Arc::clone(server)))
            .collect();
        for (transport, stream) in streams {
            if let Ok(found) = stream.get_allocations_info(None).await {
                infos.extend(found.into_values().map(|info| (transport, info)));
            }
        }
        infos
    }

    /// An error means that the server is closing, which deletes the allocation as well.
    async fn delete(&self, transport: Transport, info: &AllocationInfo) {
        let username = info.username.clone();
        if transport == Transport::Udp {
            let _ = self.udp.delete_allocations_by_username(username).await;
            return;
        }
        let id = (transport, info.five_tuple.src_addr);
        let stream = self.streams().get(&id).cloned();
        if let Some(stream) = stream {
            let _ = stream.delete_allocations_by_username(username).await;
        }
    }

    async fn sweep(self: Arc<Self>) {
        let store = Arc::clone(self.live.store());
        while !*self.stopping.borrow() {
            // A revocation wakes the sweep at once.
            let _ = tokio::time::timeout(SWEEP, store.revocation.notified()).await;
            let now = SystemTime::now();
            store.settle(now);
            if self.live.count() == 0 {
                continue;
            }
            for (transport, info) in &self.infos().await {
                if store.standing(&info.username, now) != Standing::Live {
                    self.delete(*transport, info).await;
                }
            }
        }
    }

    async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        transport: Transport,
        tls: Option<Tls>,
    ) {
        let gone = watch_gone(Arc::clone(&self.live), transport);
        let mut stopping = self.stopping.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            let (tcp, client) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: wait for some to come back.
                    tracing::warn!(target: "turn", %error, "stream not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
                continue;
            };
            let acceptor = tls.as_ref().map(|tls| tls.acceptor.clone());
            let (turn, gone) = (Arc::clone(&self), gone.clone());
            tokio::spawn(async move {
                let (stream, ended) = match acceptor {
                    None => Stream::new(tcp, client, turn.address),
                    Some(acceptor) => {
                        match shake_hands(acceptor, tcp, client, turn.tls_address).await {
                            Some(shaken) => shaken,
                            None => return,
                        }
                    }
                };
                turn.serve(stream, ended, transport, client, gone).await;
                drop(room);
            });
        }
    }

    /// Serves one stream to its end.
    async fn serve(
        &self,
        stream: Stream,
        ended: oneshot::Receiver<()>,
        transport: Transport,
        client: SocketAddr,
        gone: mpsc::Sender<AllocationInfo>,
    ) {
        let conn = Arc::new(Gate::new(
            Arc::new(stream),
            transport,
            Arc::clone(&self.live),
            IDLE,
        ));
        match start_server(conn, Arc::clone(&self.live), self.relays, gone).await {
            Ok(server) => {
                self.streams().insert((transport, client), Arc::new(server));
                // Either way the stream is over: told so, or dropped with its server.
                let _ = ended.await;
                self.streams().remove(&(transport, client));
            }
            Err(error) => tracing::warn!(target: "turn", %error, "stream not served"),
        }
    }
}

/// The URLs of a provider's answer.
#[derive(Clone, Debug)]
pub struct ServerUrls {
    pub stun: String,
    pub turn: Vec<String>,
}

impl ServerUrls {
    /// Over UDP and TCP at this address.
    pub fn of(address: SocketAddr) -> Self {
        Self {
            stun: format!("stun:{address}"),
            turn: ["udp", "tcp"]
                .map(|transport| format!("turn:{address}?transport={transport}"))
                .into(),
        }
    }
}

/// Nothing, if the client does not come to its end in time, or refuses the certificate.
async fn shake_hands(
    acceptor: tokio_rustls::TlsAcceptor,
    tcp: TcpStream,
    client: SocketAddr,
    local: SocketAddr,
) -> Option<(Stream, oneshot::Receiver<()>)> {
    let _ = tcp.set_nodelay(true);
    match tokio::time::timeout(IDLE, acceptor.accept(tcp)).await {
        Ok(Ok(stream)) => Some(Stream::over_tls(stream, client, local)),
        Ok(Err(error)) => {
            info!(target: "turn", %client, %error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

async fn start_server(
    conn: Arc<dyn Conn + Send + Sync>,
    live: Arc<Live>,
    relays: Relays,
    gone: mpsc::Sender<AllocationInfo>,
) -> Result<Server, turn::Error> {
    Server::new(ServerConfig {
        conn_configs: vec![ConnConfig {
            conn,
            relay_addr_generator: Box::new(relays),
        }],
        realm: REALM.to_owned(),
        auth_handler: Arc::new(Authenticator(live)),
        channel_bind_timeout: Duration::ZERO, // the crate's default: the RFC's 10 minutes
        alloc_close_notify: Some(gone),
    })
    .await
}

/// Notes each allocation that the crate reports as closed. The crate holds a lock while it reports, so nothing here may
/// ask it anything.
fn watch_gone(live: Arc<Live>, transport: Transport) -> mpsc::Sender<AllocationInfo> {
    let (sender, mut receiver) = mpsc::channel::<AllocationInfo>(64);
    tokio::spawn(async move {
        while let Some(info) = receiver.recv().await {
            live.gone(
                transport,
                info.five_tuple.src_addr,
                &info.username,
                info.relayed_bytes,
            );
        }
    });
    sender
}

struct Authenticator(Arc<Live>);

impl AuthHandler for Authenticator {
    fn auth_handle(
        &self,
        username: &str,
        realm: &str,
        _client: SocketAddr,
    ) -> Result<Vec<u8>, turn::Error> {
        match self.0.store().live_credential(username, SystemTime::now()) {
            Ok(credential) => Ok(generate_auth_key(username, realm, credential.reveal())),
            Err(standing) => Err(turn::Error::Other(format!(
                "{} {}",
                prefix(username),
                standing.name()
            ))),
        }
    }
}

/// The same port for UDP and TCP, as TURN URIs that differ in their transport only expect it.
async fn bind_pair(
    ip: IpAddr,
    port: u16,
) -> Result<(UdpSocket, TcpListener, SocketAddr), TurnError> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..32 {
        let pair = async {
            let tcp = TcpListener::bind((ip, port)).await?;
            let address = tcp.local_addr()?;
            io::Result::Ok((UdpSocket::bind(address).await?, tcp, address))
        };
        match pair.await {
            Ok(pair) => return Ok(pair),
            Err(source) if source.kind() == io::ErrorKind::AddrNotAvailable => {
                return Err(TurnError::Address {
                    address: ip,
                    source,
                });
            }
            Err(source) if port != 0 => {
                return Err(TurnError::Taken {
                    port,
                    option: "--turn-port",
                    source,
                });
            }
            Err(source) => last = source,
        }
    }
    Err(TurnError::NonePaired(last))
}
