//! Nonces that need no memory: each holds when it was issued, and a tag over that and the client's address. So nobody can
//! fill the server with challenges, and a nonce is worth nothing to another client or after its time (RFC 8656 section
//! 5: an hour at most).

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;
use ring::rand::SystemRandom;

use crate::hex;

const LIFETIME: Duration = Duration::from_secs(3600);

/// Bytes of the tag that go into the nonce.
const TAG: usize = 16;

pub struct Nonces {
    key: hmac::Key,
}

impl Nonces {
    pub fn new() -> Result<Self, ring::error::Unspecified> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?;
        Ok(Self { key })
    }

    pub fn issue(&self, client: SocketAddr, now: SystemTime) -> String {
        let issued = seconds(now);
        format!("{issued:08x}{}", self.tag(client, issued))
    }

    pub fn is_good(&self, nonce: &str, client: SocketAddr, now: SystemTime) -> bool {
        let Some((issued, tag)) = nonce.split_at_checked(8) else {
            return false;
        };
        let Ok(issued) = u64::from_str_radix(issued, 16) else {
            return false;
        };
        let age = seconds(now).checked_sub(issued);
        age.is_some_and(|age| age < LIFETIME.as_secs()) && tag == self.tag(client, issued)
    }

    fn tag(&self, client: SocketAddr, issued: u64) -> String {
        let tag = hmac::sign(&self.key, format!("{issued} {client}").as_bytes());
        hex::encode(tag.as_ref().get(..TAG).unwrap_or_default())
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_client_for_an_hour() {
        let nonces = Nonces::new().unwrap();
        let now = SystemTime::now();
        let (client, other) = (
            SocketAddr::from(([127, 0, 0, 1], 1)),
            SocketAddr::from(([127, 0, 0, 1], 2)),
        );
        let nonce = nonces.issue(client, now);
        assert!(nonces.is_good(&nonce, client, now));
        assert!(nonces.is_good(&nonce, client, now + LIFETIME - Duration::from_secs(1)));
        assert!(!nonces.is_good(&nonce, client, now + LIFETIME));
        assert!(!nonces.is_good(&nonce, other, now));
        assert!(!Nonces::new().unwrap().is_good(&nonce, client, now));
        assert!(!nonces.is_good(&nonce, client, now - Duration::from_secs(1)));
    }

    #[test]
    fn what_was_never_issued_is_no_nonce() {
        let nonces = Nonces::new().unwrap();
        let now = SystemTime::now();
        let client = SocketAddr::from(([127, 0, 0, 1], 1));
        let good = nonces.issue(client, now);
        for wrong in ["", "stale", "ffffffff", "+0000000", "ÄÄÄÄÄÄ", &good[1..]] {
            assert!(!nonces.is_good(wrong, client, now), "{wrong}");
        }
    }
}
