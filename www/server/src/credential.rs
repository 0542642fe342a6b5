//! The credentials that the emulator has issued, shared with the embedded TURN server.
//!
//! Cloudflare's usernames and credentials are opaque, so nothing can be computed from them: what a username is worth
//! stands here and nowhere else. The store decides about expiry and revocation; the TURN server asks it on every
//! authenticated request. Time is the wall clock, as it is for a real provider: a credential ages while a laptop sleeps.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tracing::info;

use crate::hex;
use crate::secret::Secret;

/// How long an ended credential is remembered, so that a refusal can say "expired" or "revoked" and not just "unknown".
const MEMORY: Duration = Duration::from_secs(600);

/// Ended credentials remembered at most. Beyond it the ones that ended first are forgotten.
const MAX_ENDED: usize = 10_000;

#[derive(Clone, Debug)]
pub struct Credential {
    pub username: String,
    pub credential: Secret,
    pub expires_at: SystemTime,
}

/// What a username is worth at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Live,
    Expired,
    Revoked,
    Unknown,
}

impl Standing {
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Debug)]
struct Entry {
    credential: Secret,
    expires_at: SystemTime,
    revoked: bool,
}

#[derive(Debug, Default)]
struct Entries {
    by_username: HashMap<Arc<str>, Entry>,
    /// Those that have not expired, by when they will.
    live: BTreeSet<(SystemTime, Arc<str>)>,
    /// Those that have, the first to expire in front.
    ended: VecDeque<(SystemTime, Arc<str>)>,
}

#[derive(Debug, Default)]
pub struct CredentialStore {
    entries: Mutex<Entries>,
    /// Woken by a revocation, so that allocations go at once and not at the next sweep.
    pub revocation: Notify,
    minted: AtomicU64,
    revoked: AtomicU64,
    expired: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub minted: u64,
    pub revoked: u64,
    pub expired: u64,
}

impl CredentialStore {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // The store is never left half-changed, so a panic elsewhere does not make it unusable.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn mint(
        &self,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<Credential, ring::error::Unspecified> {
        let credential = Credential {
            username: hex::random(48)?,
            credential: Secret::new(hex::random(48)?),
            expires_at: now + ttl,
        };
        let username: Arc<str> = credential.username.as_str().into();
        let entry = Entry {
            credential: credential.credential.clone(),
            expires_at: credential.expires_at,
            revoked: false,
        };
        let mut entries = self.entries();
        entries
            .live
            .insert((credential.expires_at, Arc::clone(&username)));
        entries.by_username.insert(username, entry);
        drop(entries);
        self.minted.fetch_add(1, Ordering::Relaxed);
        info!(target: "turn", username = %prefix(&credential.username), ttl = ttl.as_secs(), "credential minted");
        Ok(credential)
    }

    /// Ends a credential before its time. False if there is no such username.
    pub fn revoke(&self, username: &str) -> bool {
        let mut entries = self.entries();
        let Some(entry) = entries.by_username.get_mut(username) else {
            return false;
        };
        let newly = !std::mem::replace(&mut entry.revoked, true);
        drop(entries);
        if newly {
            self.revoked.fetch_add(1, Ordering::Relaxed);
            info!(target: "turn", username = %prefix(username), "credential revoked");
            self.revocation.notify_one();
        }
        true
    }

    pub fn standing(&self, username: &str, now: SystemTime) -> Standing {
        self.entries()
            .by_username
            .get(username)
            .map_or(Standing::Unknown, |entry| entry.standing(now))
    }

    pub fn expires_at(&self, username: &str) -> Option<SystemTime> {
        self.entries()
            .by_username
            .get(username)
            .map(|entry| entry.expires_at)
    }

    /// The secret half of a username, or why there is none to be had.
    pub fn live_credential(&self, username: &str, now: SystemTime) -> Result<Secret, Standing> {
        match self.entries().by_username.get(username) {
            None => Err(Standing::Unknown),
            Some(entry) => match entry.standing(now) {
                Standing::Live => Ok(entry.credential.clone()),
                ended => Err(ended),
            },
        }
    }

    /// Notes which credentials have expired by now, and forgets those that ended long ago.
    pub fn settle(&self, now: SystemTime) {
        let expired = self.entries().settle(now);
        self.expired
            .fetch_add(expired.len() as u64, Ordering::Relaxed);
        for username in expired {
            info!(target: "turn", username = %prefix(&username), "credential expired");
        }
    }

    pub fn counts(&self) -> Counts {
        Counts {
            minted: self.minted.load(Ordering::Relaxed),
            revoked: self.revoked.load(Ordering::Relaxed),
            expired: self.expired.load(Ordering::Relaxed),
        }
    }
}

impl Entries {
    /// The usernames that have expired since the last time, and not been revoked before.
    fn settle(&mut self, now: SystemTime) -> Vec<Arc<str>> {
        let mut expired = Vec::new();
        while let Some((at, username)) = self.live.pop_first() {
            if at > now {
                self.live.insert((at, username));
                break;
            }
            let entry = self.by_username.get(&username);
            if entry.is_some_and(|entry| !entry.revoked) {
                expired.push(Arc::clone(&username));
            }
            self.ended.push_back((at, username));
        }
        let remembered = |(at, _): &(SystemTime, Arc<str>)| *at + MEMORY > now;
        while self.ended.len() > MAX_ENDED || !self.ended.front().is_none_or(remembered) {
            if let Some((_, username)) = self.ended.pop_front() {
                self.by_username.remove(&username);
            }
        }
        expired
    }
}

impl Entry {
    fn standing(&self, now: SystemTime) -> Standing {
        if self.revoked {
            Standing::Revoked
        } else if now >= self.expires_at {
            Standing::Expired
        } else {
            Standing::Live
        }
    }
}

/// What a log may show of a username: its first eight characters. Usernames also come from strangers' packets, so
/// anything that could break or forge a log line is replaced.
pub fn prefix(username: &str) -> String {
    username
        .chars()
        .take(8)
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '?' })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    fn store_with_one(now: SystemTime) -> (CredentialStore, Credential) {
        let store = CredentialStore::default();
        let credential = store.mint(TTL, now).unwrap();
        (store, credential)
    }

    #[test]
    fn a_credential_is_live_until_the_very_moment_it_expires() {
        let now = SystemTime::now();
        let (store, credential) = store_with_one(now);
        assert_eq!(
            store.standing(&credential.username, now + TTL - Duration::from_millis(1)),
            Standing::Live
        );
        assert_eq!(
            store.standing(&credential.username, now + TTL),
            Standing::Expired
        );
        assert_eq!(
            store.live_credential(&credential.username, now + TTL),
            Err(Standing::Expired)
        );
    }

    #[test]
    fn usernames_and_credentials_are_96_hex_characters() {
        let (_, credential) = store_with_one(SystemTime::now());
        for text in [credential.username.as_str(), credential.credential.reveal()] {
            assert_eq!(text.len(), 96);
            assert!(text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
        }
    }

    #[test]
    fn a_revoked_credential_stays_revoked_after_its_expiry() {
        let now = SystemTime::now();
        let (store, credential) = store_with_one(now);
        assert!(store.revoke(&credential.username));
        assert_eq!(store.standing(&credential.username, now), Standing::Revoked);
        assert_eq!(
            store.standing(&credential.username, now + TTL),
            Standing::Revoked
        );
    }

    #[test]
    fn revoking_twice_counts_once_and_an_unknown_username_is_reported() {
        let (store, credential) = store_with_one(SystemTime::now());
        assert!(store.revoke(&credential.username));
        assert!(store.revoke(&credential.username));
        assert!(!store.revoke("nobody"));
        assert_eq!(store.counts().revoked, 1);
    }

    #[test]
    fn ended_credentials_are_forgotten_after_a_while() {
        let now = SystemTime::now();
        let (store, credential) = store_with_one(now);
        store.settle(now + TTL);
        assert_eq!(store.counts().expired, 1);
        assert_eq!(
            store.standing(&credential.username, now + TTL),
            Standing::Expired
        );
        store.settle(now + TTL + MEMORY);
        assert_eq!(
            store.standing(&credential.username, now + TTL + MEMORY),
            Standing::Unknown
        );
        assert!(store.entries().ended.is_empty());
    }

    #[test]
    fn a_bounded_number_of_ended_credentials_is_remembered() {
        let now = SystemTime::now();
        let (store, first) = store_with_one(now);
        for _ in 0..MAX_ENDED {
            store.mint(TTL, now + Duration::from_millis(1)).unwrap();
        }
        let then = now + TTL * 2;
        store.settle(then);
        assert_eq!(store.counts().expired, MAX_ENDED as u64 + 1);
        assert_eq!(store.entries().by_username.len(), MAX_ENDED);
        assert_eq!(store.standing(&first.username, then), Standing::Unknown);
    }

    #[test]
    fn a_log_shows_eight_harmless_characters_of_a_username() {
        assert_eq!(prefix("0123456789abcdef"), "01234567");
        assert_eq!(prefix("a\nINFO x"), "a?INFO?x");
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let (store, credential) = store_with_one(SystemTime::now());
        assert!(!format!("{store:?}{credential:?}").contains(credential.credential.reveal()));
    }
}
