//! Relayed transport addresses: the server's own address and whatever port the system gives from its ephemeral range. On
//! loopback that means that nobody can use the demo to reach another machine.
//!
//! On request a relay has the limits that Cloudflare documents for an allocation
//! (developers.cloudflare.com/realtime/turn, "Limits"): what goes beyond them is dropped, as it is there.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use tokio::net::UdpSocket;
use turn::Error;
use turn::relay::RelayAddressGenerator;
use webrtc_util::Conn;

use super::udp::{Datagrams, unsupported};
use crate::limit::{Bucket, Limit};

/// Cloudflare drops "more than 5–10 thousand packets per second"; this is the limit that a client may count on least.
const PACKETS: Limit = Limit {
    burst: 5_000.0,
    per_second: 5_000.0,
};
/// "More than 50–100 Mbps", in bytes.
const BYTES: Limit = Limit {
    burst: 6_250_000.0,
    per_second: 6_250_000.0,
};
/// "More than 5 new unique IP addresses per second".
const NEW_ADDRESSES: Limit = Limit {
    burst: 5.0,
    per_second: 5.0,
};

/// Addresses remembered for one relay as not new; beyond it they all are.
const MAX_ADDRESSES: usize = 4_096;

#[derive(Clone, Copy, Debug)]
pub struct Relays {
    address: IpAddr,
    limited: bool,
}

impl Relays {
    pub fn new(address: IpAddr, limited: bool) -> Self {
        Self { address, limited }
    }
}

#[async_trait]
impl RelayAddressGenerator for Relays {
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn allocate_conn(
        &self,
        use_ipv4: bool,
        requested_port: u16,
    ) -> Result<(Arc<dyn Conn + Send + Sync>, SocketAddr), Error> {
        if use_ipv4 != self.address.is_ipv4() {
            return Err(Error::ErrInvalidRequestedFamilyValue);
        }
        let socket = UdpSocket::bind((self.address, requested_port)).await?;
        let address = socket.local_addr()?;
        let socket = Datagrams(socket);
        if self.limited {
            Ok((Arc::new(Limited::new(socket)), address))
        } else {
            Ok((Arc::new(socket), address))
        }
    }
}

/// A relay that drops what is too much.
struct Limited {
    inner: Datagrams,
    outbound: Mutex<Quota>,
    inbound: Mutex<Quota>,
    peers: Mutex<Peers>,
}

struct Quota {
    packets: Bucket,
    bytes: Bucket,
}

struct Peers {
    known: HashSet<IpAddr>,
    fresh: Bucket,
}

impl Quota {
    fn new(now: Instant) -> Self {
        Self {
            packets: Bucket::new(PACKETS, now),
            bytes: Bucket::new(BYTES, now),
        }
    }

    fn allows(&mut self, bytes: usize, now: Instant) -> bool {
        // What one bucket refuses takes nothing from the other.
        let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.packets.has(PACKETS, 1.0, now)
            && self.bytes.take(BYTES, bytes, now).is_ok()
            && self.packets.take(PACKETS, 1.0, now).is_ok()
    }
}

impl Peers {
    fn new(now: Instant) -> Self {
        Self {
            known: HashSet::new(),
            fresh: Bucket::new(NEW_ADDRESSES, now),
        }
    }

    fn allows(&mut self, peer: IpAddr, now: Instant) -> bool {
        if self.known.contains(&peer) {
            return true;
        }
        if self.fresh.take(NEW_ADDRESSES, 1.0, now).is_err() {
            return false;
        }
        if self.known.len() < MAX_ADDRESSES {
            self.known.insert(peer);
        }
        true
    }
}

impl Limited {
    fn new(inner: Datagrams) -> Self {
        let now = Instant::now();
        Self {
            inner,
            outbound: Mutex::new(Quota::new(now)),
            inbound: Mutex::new(Quota::new(now)),
            peers: Mutex::new(Peers::new(now)),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Conn for Limited {
    async fn connect(&self, _: SocketAddr) -> Result<(), webrtc_util::Error> {
        Err(unsupported())
    }

    async fn recv(&self, _: &mut [u8]) -> Result<usize, webrtc_util::Error> {
        Err(unsupported())
    }

    async fn recv_from(
        &self,
        buffer: &mut [u8],
    ) -> Result<(usize, SocketAddr), webrtc_util::Error> {
        loop {
            let (length, peer) = self.inner.recv_from(buffer).await?;
            if locked(&self.inbound).allows(length, Instant::now()) {
                return Ok((length, peer));
            }
        }
    }

    async fn send(&self, _: &[u8]) -> Result<usize, webrtc_util::Error> {
        Err(unsupported())
    }

    async fn send_to(&self, bytes: &[u8], peer: SocketAddr) -> Result<usize, webrtc_util::Error> {
        let now = Instant::now();
        if !locked(&self.peers).allows(peer.ip(), now)
            || !locked(&self.outbound).allows(bytes.len(), now)
        {
            return Ok(bytes.len());
        }
        self.inner.send_to(bytes, peer).await
    }

    fn local_addr(&self) -> Result<SocketAddr, webrtc_util::Error> {
        self.inner.local_addr()
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    async fn close(&self) -> Result<(), webrtc_util::Error> {
        self.inner.close().await
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn allowed(quota: &mut Quota, packets: usize, bytes: usize, now: Instant) -> usize {
        (0..packets).filter(|_| quota.allows(bytes, now)).count()
    }

    #[test]
    fn packets_beyond_5000_a_second_are_dropped() {
        let now = Instant::now();
        let mut quota = Quota::new(now);
        assert_eq!(allowed(&mut quota, 6_000, 100, now), 5_000);
        let later = now + Duration::from_millis(500);
        assert_eq!(allowed(&mut quota, 6_000, 100, later), 2_500);
    }

    #[test]
    fn bytes_beyond_50_megabits_a_second_are_dropped() {
        let now = Instant::now();
        let mut quota = Quota::new(now);
        // 6.25 MB in datagrams of 1250 bytes.
        assert_eq!(allowed(&mut quota, 5_000, 2_500, now), 2_500);
        let later = now + Duration::from_secs(1);
        assert_eq!(allowed(&mut quota, 5_000, 2_500, later), 2_500);
    }

    #[test]
    fn five_new_addresses_a_second_are_reached_and_known_ones_always() {
        let now = Instant::now();
        let mut peers = Peers::new(now);
        let address = |n: u8| IpAddr::from([127, 0, 0, n]);
        let reached = |peers: &mut Peers, now: Instant| {
            (1..=20).filter(|n| peers.allows(address(*n), now)).count()
        };
        assert_eq!(reached(&mut peers, now), 5);
        assert_eq!(reached(&mut peers, now), 5, "the five that are known");
        assert_eq!(reached(&mut peers, now + Duration::from_secs(1)), 10);
    }
}
