//! The embedded TURN server: the `turn` crate on loopback, with UDP and TCP on the same port, made as strict as Cloudflare.
//!
//! The crate asks for the credential on every authenticated request, and [`CredentialStore`] says no as soon as a credential
//! has expired or was revoked. What the crate cannot do is end an allocation that nobody refreshes, so a background task
//! deletes the allocations of ended credentials. Answers that differ from RFC 8656 are put right by the `gate` module.

mod gate;
mod live;
mod relay;
pub mod stream;
mod udp;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tracing::info;
use turn::allocation::AllocationInfo;
use turn::auth::{AuthHandler, generate_auth_key};
use turn::server::Server;
use turn::server::config::{ConnConfig, ServerConfig};
use webrtc_util::Conn;

use crate::credential::{CredentialStore, Standing, prefix};
use gate::Gate;
use live::Live;
use relay::LoopbackRelays;

pub const REALM: &str = "turn-demo";

/// How often ended credentials are looked for. Their allocations must be gone within a second.
const SWEEP: Duration = Duration::from_millis(100);

/// A stream costs a descriptor and two tasks; this many are far more than a demo needs and far fewer than would hurt.
const MAX_STREAMS: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    #[error(
        "port {port} for TURN is taken; choose another with --turn-port, or leave it out for any free one ({source})"
    )]
    Taken { port: u16, source: io::Error },
    #[error("no port was free for both UDP and TCP; choose one with --turn-port ({0})")]
    NonePaired(io::Error),
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

pub struct TurnServer {
    address: SocketAddr,
    live: Arc<Live>,
    udp: Server,
    /// One server a stream: when a stream ends, its server closes what was allocated over it and nothing else.
    streams: Mutex<HashMap<SocketAddr, Arc<Server>>>,
}

impl TurnServer {
    /// Binds 127.0.0.1 (`port` 0: any port) and serves until the process ends.
    pub async fn start(store: Arc<CredentialStore>, port: u16) -> Result<Arc<Self>, TurnError> {
        let (udp, tcp, address) = bind_pair(port).await?;
        let live = Arc::new(Live::new(store));

        let gone = watch_gone(Arc::clone(&live), Transport::Udp);
        let conn = Arc::new(Gate::new(
            Arc::new(udp::Datagrams(udp)),
            Transport::Udp,
            Arc::clone(&live),
        ));
        let server = start_server(conn, Arc::clone(&live), gone).await?;

        let turn = Arc::new(Self {
            address,
            live,
            udp: server,
            streams: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&turn).accept(tcp));
        tokio::spawn(Arc::clone(&turn).sweep());
        Ok(turn)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests refused, and the most allocations there were at once.
    pub fn refused_and_peak(&self) -> (u64, usize) {
        (self.live.refused(), self.live.peak())
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

    fn streams(&self) -> MutexGuard<'_, HashMap<SocketAddr, Arc<Server>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn infos(&self) -> Vec<(Transport, AllocationInfo)> {
        let mut infos = Vec::new();
        // A server that is being closed has nothing to report.
        if let Ok(found) = self.udp.get_allocations_info(None).await {
            infos.extend(found.into_values().map(|info| (Transport::Udp, info)));
        }
        let streams: Vec<_> = self.streams().values().cloned().collect();
        for stream in streams {
            if let Ok(found) = stream.get_allocations_info(None).await {
                infos.extend(found.into_values().map(|info| (Transport::Tcp, info)));
            }
        }
        infos
    }

    async fn sweep(self: Arc<Self>) {
        let store = Arc::clone(self.live.store());
        loop {
            // A revocation wakes the sweep at once.
            let _ = tokio::time::timeout(SWEEP, store.revocation.notified()).await;
            let now = SystemTime::now();
            store.settle(now);
            let infos = self.infos().await;
            for (transport, info) in &infos {
                if store.standing(&info.username, now) == Standing::Live {
                    continue;
                }
                self.delete(*transport, info).await;
            }
        }
    }

    /// Ends the allocations of one allocation's username on the same listener or stream.
    async fn delete(&self, transport: Transport, info: &AllocationInfo) {
        // An error means that the server is closing, which deletes the allocation as well.
        match transport {
            Transport::Udp => {
                let _ = self
                    .udp
                    .delete_allocations_by_username(info.username.clone())
                    .await;
            }
            Transport::Tcp => {
                let stream = self.streams().get(&info.five_tuple.src_addr).cloned();
                if let Some(stream) = stream {
                    let _ = stream
                        .delete_allocations_by_username(info.username.clone())
                        .await;
                }
            }
        }
    }

    /// What clients see of a restart: every allocation is gone, every stream ends. Credentials live on, as they do when
    /// they stand in a database or are computed from a secret.
    pub async fn restart(&self) {
        for (transport, info) in &self.infos().await {
            self.delete(*transport, info).await;
        }
        let streams = std::mem::take(&mut *self.streams());
        for stream in streams.into_values() {
            // An error means that it is closed already.
            let _ = stream.close().await;
        }
        info!(target: "turn", "restarted for a demonstration");
    }

    /// Takes in and sends out nothing for so long from now on, as if the network between were gone. Zero ends it.
    pub fn silence(&self, time: Duration) {
        self.live.silence(time);
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let gone = watch_gone(Arc::clone(&self.live), Transport::Tcp);
        loop {
            let (tcp, client) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: wait for some to come back.
                    tracing::warn!(target: "turn", %error, "stream not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if self.streams().len() >= MAX_STREAMS {
                continue;
            }
            let (stream, ended) = stream::Stream::new(tcp, client, self.address);
            let conn = Arc::new(Gate::new(
                Arc::new(stream),
                Transport::Tcp,
                Arc::clone(&self.live),
            ));
            match start_server(conn, Arc::clone(&self.live), gone.clone()).await {
                Ok(server) => {
                    self.streams().insert(client, Arc::new(server));
                    let turn = Arc::clone(&self);
                    tokio::spawn(async move {
                        // Either way the stream is over: told so, or dropped with its server.
                        let _ = ended.await;
                        turn.streams().remove(&client);
                    });
                }
                Err(error) => tracing::warn!(target: "turn", %error, "stream not served"),
            }
        }
    }
}

async fn start_server(
    conn: Arc<dyn Conn + Send + Sync>,
    live: Arc<Live>,
    gone: mpsc::Sender<AllocationInfo>,
) -> Result<Server, turn::Error> {
    Server::new(ServerConfig {
        conn_configs: vec![ConnConfig {
            conn,
            relay_addr_generator: Box::new(LoopbackRelays),
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
async fn bind_pair(port: u16) -> Result<(UdpSocket, TcpListener, SocketAddr), TurnError> {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..32 {
        let pair = async {
            let tcp = TcpListener::bind((ip, port)).await?;
            let address = tcp.local_addr()?;
            io::Result::Ok((UdpSocket::bind(address).await?, tcp, address))
        };
        match pair.await {
            Ok(pair) => return Ok(pair),
            Err(source) if port != 0 => return Err(TurnError::Taken { port, source }),
            Err(source) => last = source,
        }
    }
    Err(TurnError::NonePaired(last))
}
