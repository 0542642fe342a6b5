//! The HTTP connections: how many there may be, how long each may take to say what it wants, and their end.
//!
//! `axum::serve` has no limit on the time that a request's head may take, so that anybody could hold connections for ever
//! by sending nothing. This is the same in essence, with that limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt as _;
use tracing::{info, warn};

use crate::metrics::Metrics;

/// For the head of a request, and between two requests of a connection.
pub const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// For the requests that are being answered when the server ends.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// Room for a head: a cookie for each username takes the most.
const MAX_HEAD: usize = 32 * 1024;

/// Connections at a time, fewer if the system allows fewer descriptors. An idle one takes some kilobytes.
const MAX_CONNECTIONS: usize = 20_000;

/// Descriptors that are not for HTTP connections: the TURN server's streams and relays, files, upstream.
const OTHER_DESCRIPTORS: usize = 4_096;

/// Raises the number of descriptors as far as the system lets this process, and says how many connections that allows.
pub fn capacity() -> usize {
    let descriptors = descriptors().unwrap_or(MAX_CONNECTIONS + OTHER_DESCRIPTORS);
    let others = OTHER_DESCRIPTORS.min(descriptors / 2);
    MAX_CONNECTIONS.min(descriptors - others)
}

#[cfg(unix)]
fn descriptors() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = (MAX_CONNECTIONS + OTHER_DESCRIPTORS) as u64;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current?;
    if current < wanted {
        let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        // Not allowed in some sandboxes; then what there is has to do.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(raised),
                maximum: limit.maximum,
            },
        );
    }
    usize::try_from(getrlimit(Resource::Nofile).current?).ok()
}

#[cfg(not(unix))]
fn descriptors() -> Option<usize> {
    None
}

/// Serves until `ending` turns true; then finishes the requests that are being answered, within a limit.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    capacity: usize,
    metrics: Arc<Metrics>,
    mut ending: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(capacity));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // The client is gone already, or descriptors are; then wait for some to come back.
                warn!(target: "http", %error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            metrics.connections.refused.add();
            continue;
        };
        metrics.connections.accepted.add();
        let open = Open {
            _permit: permit,
            metrics: Arc::clone(&metrics),
        };
        tokio::spawn(converse(stream, peer, router.clone(), ending.clone(), open));
    }
    drop(listener);
    let all = u32::try_from(capacity).unwrap_or(u32::MAX);
    match tokio::time::timeout(LAST_PATIENCE, room.acquire_many(all)).await {
        Ok(_) => info!(target: "http", "all requests answered"),
        Err(_) => warn!(target: "http", "requests left unanswered"),
    }
}

/// A place among the connections, given back when the connection ends, however it does.
struct Open {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connections.closed.add();
    }
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut ending: watch::Receiver<bool>,
    _open: Open,
) {
    // Answers are small and complete; waiting for more to send only makes them late.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    // An error is the client's doing: gone, too slow, or no HTTP. What could be answered has been.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = ending.wait_for(|ending| *ending) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
