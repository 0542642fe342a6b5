//! What the TURN server is doing at the moment: who holds an allocation, and what was refused. Writes the log lines that
//! tests read, one for each change.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing::info;

use super::Transport;
use super::nonce::Nonces;
use crate::credential::{CredentialStore, Standing, prefix};

pub struct Live {
    store: Arc<CredentialStore>,
    pub nonces: Nonces,
    /// Allocations that one username may hold at a time.
    quota: usize,
    holders: Mutex<Holders>,
    refused: AtomicU64,
    stopping: AtomicBool,
    began: Instant,
    /// Milliseconds after `began` until which nothing is taken in or sent out.
    silent_until: AtomicU64,
}

#[derive(Default)]
struct Holders {
    by_client: HashMap<(Transport, SocketAddr), String>,
    /// How many each username holds.
    by_username: HashMap<String, usize>,
    peak: usize,
}

impl Holders {
    fn insert(&mut self, client: (Transport, SocketAddr), username: &str) {
        self.remove(client);
        self.by_client.insert(client, username.to_owned());
        *self.by_username.entry(username.to_owned()).or_default() += 1;
        self.peak = self.peak.max(self.by_client.len());
    }

    fn remove(&mut self, client: (Transport, SocketAddr)) {
        let Some(username) = self.by_client.remove(&client) else {
            return;
        };
        if let Some(held) = self.by_username.get_mut(&username) {
            *held -= 1;
            if *held == 0 {
                self.by_username.remove(&username);
            }
        }
    }
}

impl Live {
    pub fn new(store: Arc<CredentialStore>, nonces: Nonces, quota: usize) -> Self {
        Self {
            store,
            nonces,
            quota,
            holders: Mutex::default(),
            refused: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            began: Instant::now(),
            silent_until: AtomicU64::new(0),
        }
    }

    /// From now on allocations end because the server does.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Allocations at the moment.
    pub fn count(&self) -> usize {
        self.holders().by_client.len()
    }

    /// Whether one more allocation would be too many for this username.
    pub fn is_full(&self, username: &str) -> bool {
        let holders = self.holders();
        holders
            .by_username
            .get(username)
            .is_some_and(|held| *held >= self.quota)
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
        holders.insert((transport, client), username);
        let live = holders.by_client.len();
        drop(holders);
        let relay = relay.map(|address| address.to_string()).unwrap_or_default();
        info!(target: "turn", username = %prefix(username), transport = %transport.name(), %client, %relay, live, "allocation created");
    }

    pub fn gone(&self, transport: Transport, client: SocketAddr, username: &str, relayed: usize) {
        let mut holders = self.holders();
        // Told late, when the client may have allocated anew under another username.
        if holders
            .by_client
            .get(&(transport, client))
            .map(String::as_str)
            == Some(username)
        {
            holders.remove((transport, client));
        }
        let live = holders.by_client.len();
        drop(holders);
        let reason = match self.store.standing(username, SystemTime::now()) {
            Standing::Live if self.stopping.load(Ordering::Relaxed) => "shutdown",
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
