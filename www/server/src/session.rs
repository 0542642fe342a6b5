//! Who may have credentials: a browser that has loaded a page from here. Loading a page sets a cookie with a random id and
//! an expiry, signed with a key made at start, so that no list of cookies has to be kept.
//!
//! What is kept for a session is its rate limit and the usernames it was given, since only their owner may revoke them.
//! Both are dropped when they no longer say anything: when every username has expired and the rate limit is at rest.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use ring::hmac;
use ring::rand::SystemRandom;

use crate::hex;

/// How long a cookie is good for. A page open for longer gets 401 and is told to reload.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Requests at once, and a second from then on. Tests with short ttls and many connections stay far below.
const BURST: f64 = 60.0;
const PER_SECOND: f64 = 5.0;

/// Usernames remembered for one session; beyond it those nearest to their expiry are forgotten first.
const MAX_USERNAMES: usize = 1024;

/// How often sessions with nothing left to say are dropped.
const CLEANING: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) String);

pub struct Sessions {
    key: hmac::Key,
    cookie: String,
    states: Mutex<States>,
}

struct States {
    by_id: HashMap<SessionId, State>,
    cleaned: Instant,
}

struct State {
    usernames: HashMap<String, SystemTime>,
    tokens: f64,
    filled: Instant,
}

impl State {
    fn new(now: Instant) -> Self {
        Self {
            usernames: HashMap::new(),
            tokens: BURST,
            filled: now,
        }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * PER_SECOND).min(BURST);
        self.filled = now;
    }
}

impl Sessions {
    /// Cookies do not tell ports apart, so the name does: two servers on one machine must not overwrite each other's.
    pub fn new(port: u16) -> Result<Self, ring::error::Unspecified> {
        Ok(Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
            cookie: format!("turn_demo_{port}"),
            states: Mutex::new(States {
                by_id: HashMap::new(),
                cleaned: Instant::now(),
            }),
        })
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of the `Set-Cookie` header that a page load calls for: none while the session has more than half of its
    /// life before it, else one that starts a session, or continues it under the same id.
    pub fn cookie(
        &self,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<Option<String>, ring::error::Unspecified> {
        let id = match self.find(headers, now) {
            Some(_) if self.find(headers, now + LIFETIME / 2).is_some() => return Ok(None),
            Some(SessionId(id)) => id,
            None => hex::random(16)?,
        };
        Ok(Some(self.sign(&id, now)))
    }

    fn sign(&self, id: &str, now: SystemTime) -> String {
        let expires = (now + LIFETIME)
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let claim = format!("{id}.{expires}");
        let tag = hex::encode(hmac::sign(&self.key, claim.as_bytes()).as_ref());
        let age = LIFETIME.as_secs();
        format!(
            "{}={claim}.{tag}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict",
            self.cookie
        )
    }

    /// The session a request belongs to, if its cookie is ours and still good.
    pub fn find(&self, headers: &HeaderMap, now: SystemTime) -> Option<SessionId> {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.cookie)
            .find_map(|(_, value)| self.verify(value, now))
    }

    fn verify(&self, value: &str, now: SystemTime) -> Option<SessionId> {
        let (claim, tag) = value.rsplit_once('.')?;
        hmac::verify(&self.key, claim.as_bytes(), &hex::decode(tag)?).ok()?;
        let (id, expires) = claim.split_once('.')?;
        let expires = UNIX_EPOCH + Duration::from_secs(expires.parse().ok()?);
        (now < expires).then(|| SessionId(id.to_owned()))
    }

    /// Counts a request against the session's limit; `Err` holds the seconds until the next one is welcome.
    pub fn admit(&self, id: &SessionId, now: Instant) -> Result<(), u64> {
        let mut states = self.states();
        states.clean(now, SystemTime::now());
        let state = states
            .by_id
            .entry(id.clone())
            .or_insert_with(|| State::new(now));
        state.fill(now);
        if state.tokens >= 1.0 {
            state.tokens -= 1.0;
            return Ok(());
        }
        // At one in 200 ms the wait never exceeds a second, the smallest that Retry-After can say.
        Err(1)
    }

    pub fn gave(&self, id: &SessionId, username: &str, expires_at: SystemTime) {
        let mut states = self.states();
        let state = states
            .by_id
            .entry(id.clone())
            .or_insert_with(|| State::new(Instant::now()));
        if state.usernames.len() >= MAX_USERNAMES {
            let now = SystemTime::now();
            state.usernames.retain(|_, expiry| *expiry > now);
        }
        if state.usernames.len() >= MAX_USERNAMES {
            let first = state
                .usernames
                .iter()
                .min_by_key(|(_, expiry)| **expiry)
                .map(|(username, _)| username.clone());
            if let Some(first) = first {
                state.usernames.remove(&first);
            }
        }
        state.usernames.insert(username.to_owned(), expires_at);
    }

    pub fn owns(&self, id: &SessionId, username: &str) -> bool {
        self.states()
            .by_id
            .get(id)
            .is_some_and(|state| state.usernames.contains_key(username))
    }
}

impl States {
    fn clean(&mut self, now: Instant, wall: SystemTime) {
        if now.saturating_duration_since(self.cleaned) < CLEANING {
            return;
        }
        self.cleaned = now;
        self.by_id.retain(|_, state| {
            state.fill(now);
            state.usernames.retain(|_, expiry| *expiry > wall);
            !state.usernames.is_empty() || state.tokens < BURST
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(sessions: &Sessions, now: SystemTime) -> String {
        sessions.cookie(&HeaderMap::new(), now).unwrap().unwrap()
    }

    fn sent(set_cookie: &str) -> HeaderMap {
        let pair = set_cookie.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, format!("other=1; {pair}").parse().unwrap());
        headers
    }

    #[test]
    fn a_cookie_names_its_session_until_it_expires() {
        let sessions = Sessions::new(1).unwrap();
        let now = SystemTime::now();
        let headers = sent(&start(&sessions, now));
        let id = sessions.find(&headers, now).unwrap();
        assert_eq!(sessions.find(&headers, now).unwrap(), id);
        assert_eq!(sessions.find(&headers, now + LIFETIME), None);
    }

    #[test]
    fn loading_a_page_late_in_a_session_continues_it_under_the_same_id() {
        let sessions = Sessions::new(1).unwrap();
        let now = SystemTime::now();
        let headers = sent(&start(&sessions, now));
        let id = sessions.find(&headers, now).unwrap();
        assert_eq!(sessions.cookie(&headers, now + LIFETIME / 3).unwrap(), None);
        let late = now + LIFETIME * 2 / 3;
        let renewed = sent(&sessions.cookie(&headers, late).unwrap().unwrap());
        assert_eq!(sessions.find(&renewed, now + LIFETIME), Some(id));
    }

    #[test]
    fn a_changed_cookie_and_one_of_another_server_are_refused() {
        let now = SystemTime::now();
        let (ours, other) = (Sessions::new(1).unwrap(), Sessions::new(1).unwrap());
        let cookie = start(&other, now);
        assert_eq!(ours.find(&sent(&cookie), now), None);
        let cookie = start(&ours, now);
        let (name, value) = cookie.split_once('=').unwrap();
        let flipped = if value.starts_with('0') { '1' } else { '0' };
        assert_eq!(
            ours.find(&sent(&format!("{name}={flipped}{}", &value[1..])), now),
            None
        );
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites() {
        let cookie = start(&Sessions::new(1).unwrap(), SystemTime::now());
        assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"));
    }

    #[test]
    fn sixty_requests_at_once_are_admitted_and_then_five_a_second() {
        let sessions = Sessions::new(1).unwrap();
        let id = SessionId("a".into());
        let start = Instant::now();
        let admitted = |after: u64, tries: usize| {
            let now = start + Duration::from_millis(after);
            (0..tries)
                .filter(|_| sessions.admit(&id, now).is_ok())
                .count()
        };
        assert_eq!(admitted(0, 100), 60);
        assert_eq!(admitted(1000, 100), 5);
        assert_eq!(admitted(60_000, 100), 60);
    }

    #[test]
    fn one_session_does_not_own_what_another_was_given() {
        let sessions = Sessions::new(1).unwrap();
        let (one, two) = (SessionId("a".into()), SessionId("b".into()));
        sessions.gave(&one, "user", SystemTime::now() + LIFETIME);
        assert!(sessions.owns(&one, "user"));
        assert!(!sessions.owns(&two, "user"));
    }

    #[test]
    fn a_session_with_nothing_left_to_say_is_dropped() {
        let sessions = Sessions::new(1).unwrap();
        let (old, new) = (SessionId("a".into()), SessionId("b".into()));
        let start = Instant::now();
        sessions.admit(&old, start).unwrap();
        sessions.gave(&old, "user", SystemTime::now() - Duration::from_secs(1));
        sessions.admit(&new, start + CLEANING * 10).unwrap();
        assert_eq!(sessions.states().by_id.len(), 1);
    }

    #[test]
    fn a_session_remembers_a_bounded_number_of_usernames() {
        let sessions = Sessions::new(1).unwrap();
        let id = SessionId("a".into());
        let now = SystemTime::now();
        for n in 0..MAX_USERNAMES + 10 {
            sessions.gave(
                &id,
                &n.to_string(),
                now + Duration::from_secs(1000 + n as u64),
            );
        }
        assert_eq!(sessions.states().by_id[&id].usernames.len(), MAX_USERNAMES);
        assert!(!sessions.owns(&id, "0"));
        assert!(sessions.owns(&id, &(MAX_USERNAMES + 9).to_string()));
    }
}
