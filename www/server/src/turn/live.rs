//! What the TURN server is doing at the moment: who holds an allocation, and what was refused. Writes the log lines that
//! tests read, one for each change.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing::info;

use super::Transport;
use crate::credential::{CredentialStore, Standing, prefix};

pub struct Live {
    store: Arc<CredentialStore>,
    holders: Mutex<Holders>,
    refused: AtomicU64,
    began: Instant,
    /// Milliseconds after `began` until which nothing is taken in or sent out.
    silent_until: AtomicU64,
}

#[derive(Default)]
struct Holders {
    by_client: HashMap<(Transport, SocketAddr), String>,
    peak: usize,
}

impl Live {
    pub fn new(store: Arc<CredentialStore>) -> Self {
        Self {
            store,
            holders: Mutex::default(),
            refused: AtomicU64::new(0),
            began: Instant::now(),
            silent_until: AtomicU64::new(0),
        }
    }

    pub fn store(&self) -> &Arc<CredentialStore> {
        &self.store
    }

    fn age(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub fn silence(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.silent_until
            .store(self.age().saturating_add(time), Ordering::Relaxed);
    }

    pub fn is_silent(&self) -> bool {
        self.age() < self.silent_until.load(Ordering::Relaxed)
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn created(
        &self,
        transport: Transport,
        client: SocketAddr,
        username: &str,
        relay: Option<SocketAddr>,
    ) {
        let mut holders = self.holders();
        holders
            .by_client
            .insert((transport, client), username.to_owned());
        holders.peak = holders.peak.max(holders.by_client.len());
        let live = holders.by_client.len();
        drop(holders);
        let relay = relay.map(|address| address.to_string()).unwrap_or_default();
        info!(target: "turn", username = %prefix(username), transport = %transport.name(), %client, %relay, live, "allocation created");
    }

    pub fn gone(&self, transport: Transport, client: SocketAddr, username: &str, relayed: usize) {
        let mut holders = self.holders();
        holders.by_client.remove(&(transport, client));
        let live = holders.by_client.len();
        drop(holders);
        let reason = match self.store.standing(username, SystemTime::now()) {
            // Given back by the client, timed out for want of a refresh, or its stream closed.
            Standing::Live => "released",
            ended => ended.name(),
        };
        info!(target: "turn", username = %prefix(username), transport = %transport.name(), %client, reason = %reason, relayed, live, "allocation gone");
    }

    /// The username under which this client allocated.
    pub fn holder(&self, transport: Transport, client: SocketAddr) -> Option<String> {
        self.holders().by_client.get(&(transport, client)).cloned()
    }

    pub fn refused_request(
        &self,
        transport: Transport,
        client: SocketAddr,
        username: &str,
        method: &str,
        code: u16,
        reason: &str,
    ) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        info!(target: "turn", username = %prefix(username), transport = %transport.name(), %client, method = %method, code, reason = %reason, "request refused");
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub fn peak(&self) -> usize {
        self.holders().peak
    }
}
