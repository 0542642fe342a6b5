//! Usernames that a page has replaced and wants revoked, once it has moved its calls over. They wait here for a grace time
//! and are then revoked at the provider, one after the other. What is lost with the process ends with its ttl, as it
//! would have without.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::cloudflare::TurnKey;
use crate::credential::prefix;
use crate::metrics::Metrics;

/// Usernames that wait at a time.
const MAX_WAITING: usize = 10_000;

#[derive(Debug, Default)]
pub struct Superseded {
    waiting: Mutex<Waiting>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    by_time: BTreeMap<(Instant, u64), String>,
    next: u64,
}

impl Superseded {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the username revoked when `grace` is over.
    pub fn revoke_after(&self, grace: Duration, username: String) {
        let mut waiting = self.waiting();
        if waiting.by_time.len() >= MAX_WAITING {
            drop(waiting);
            warn!(target: "api", username = %prefix(&username), "too many superseded usernames; this one ends with its ttl");
            return;
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting
            .by_time
            .insert((Instant::now() + grace, number), username);
        drop(waiting);
        self.earlier.notify_one();
    }

    pub fn count(&self) -> usize {
        self.waiting().by_time.len()
    }

    fn due(&self, now: Instant) -> Result<String, Option<Instant>> {
        let mut waiting = self.waiting();
        match waiting.by_time.first_entry() {
            Some(first) if first.key().0 <= now => Ok(first.remove()),
            Some(first) => Err(Some(first.key().0)),
            None => Err(None),
        }
    }

    /// Revokes what is due, for as long as it is polled.
    pub async fn work(&self, key: &TurnKey, metrics: &Arc<Metrics>) {
        loop {
            match self.due(Instant::now()) {
                Ok(username) => match key.revoke(&username).await {
                    Ok(()) => {
                        metrics.revocations.add("superseded");
                        info!(target: "api", username = %prefix(&username), "superseded username revoked");
                    }
                    Err(error) => {
                        warn!(target: "api", username = %prefix(&username), %error, "superseded username not revoked; it ends with its ttl");
                    }
                },
                Err(Some(at)) => {
                    let _ = tokio::time::timeout_at(at, self.earlier.notified()).await;
                }
                Err(None) => self.earlier.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_come_due_in_the_order_of_their_grace() {
        let superseded = Superseded::default();
        let start = Instant::now();
        superseded.revoke_after(Duration::from_secs(60), "late".into());
        superseded.revoke_after(Duration::ZERO, "early".into());
        let soon = start + Duration::from_secs(30);
        assert_eq!(superseded.due(soon), Ok("early".to_owned()));
        assert!(matches!(superseded.due(soon), Err(Some(at)) if at > soon));
        let later = start + Duration::from_secs(90);
        assert_eq!(superseded.due(later), Ok("late".to_owned()));
        assert_eq!(superseded.due(later), Err(None));
    }

    #[test]
    fn a_bounded_number_of_usernames_waits() {
        let superseded = Superseded::default();
        for n in 0..MAX_WAITING + 10 {
            superseded.revoke_after(Duration::from_secs(60), n.to_string());
        }
        assert_eq!(superseded.count(), MAX_WAITING);
    }
}
