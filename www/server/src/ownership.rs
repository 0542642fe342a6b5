//! Which client was given which username, since only its owner may revoke it.
//!
//! Kept in memory, and where instances share a secret also in a signed cookie for each username, which goes to the
//! credential endpoints only: so an instance knows what another one gave, with no store between them. One cookie each,
//! and not one for all, because two answers at the same time must not undo each other.
//!
//! What is kept ends with the credential, and neither place holds the username itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::authentication::ClientId;
use crate::hex;
use crate::session::cookies;
use crate::signing::Signing;

/// Usernames remembered for one client; beyond it those nearest to their expiry are forgotten first.
const MAX_USERNAMES: usize = 1024;

/// Cookies of one client, about 150 bytes each in its requests; browsers keep some 180 for a site.
const MAX_COOKIES: usize = 32;

/// How often what has expired is dropped.
const CLEANING: Duration = Duration::from_secs(10);

/// Where these cookies are sent: minting, which keeps their number small, and revoking.
const PATH: &str = "/api/turn-credentials";

/// The first half of a username's SHA-256.
type Fingerprint = [u8; 16];

pub struct Owners {
    shared: Option<Cookies>,
    memory: Mutex<Memory>,
}

struct Memory {
    by_client: HashMap<ClientId, HashMap<Fingerprint, SystemTime>>,
    cleaned: Instant,
}

impl Owners {
    pub fn new(signing: &Signing, secure: bool) -> Self {
        Self {
            shared: signing.is_shared().then(|| Cookies {
                key: signing.key("owner"),
                prefix: format!("{}_", signing.cookie()),
                secure,
            }),
            memory: Mutex::new(Memory {
                by_client: HashMap::new(),
                cleaned: Instant::now(),
            }),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `username` is this client's until then. Returns the values of the `Set-Cookie` headers that tell the
    /// other instances; `headers` are the request's.
    pub fn gave(
        &self,
        client: &ClientId,
        username: &str,
        expires_at: SystemTime,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Vec<String> {
        let mut memory = self.memory();
        memory.clean(now);
        let usernames = memory.by_client.entry(client.clone()).or_default();
        if usernames.len() >= MAX_USERNAMES {
            usernames.retain(|_, expiry| *expiry > now);
        }
        if usernames.len() >= MAX_USERNAMES
            && let Some(first) = usernames
                .iter()
                .min_by_key(|(_, expiry)| **expiry)
                .map(|(username, _)| *username)
        {
            usernames.remove(&first);
        }
        usernames.insert(fingerprint(username), expires_at);
        drop(memory);
        self.shared.as_ref().map_or_else(Vec::new, |shared| {
            shared.set(client, username, expires_at, headers, now)
        })
    }

    pub fn owns(
        &self,
        client: &ClientId,
        username: &str,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> bool {
        let remembered = self
            .memory()
            .by_client
            .get(client)
            .is_some_and(|usernames| usernames.contains_key(&fingerprint(username)));
        remembered
            || self
                .shared
                .as_ref()
                .is_some_and(|shared| shared.tell(client, username, headers, now))
    }
}

impl Memory {
    fn clean(&mut self, now: SystemTime) {
        if self.cleaned.elapsed() < CLEANING {
            return;
        }
        self.cleaned = Instant::now();
        self.by_client.retain(|_, usernames| {
            usernames.retain(|_, expiry| *expiry > now);
            !usernames.is_empty()
        });
    }
}

fn fingerprint(username: &str) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    let digest = digest(&SHA256, username.as_bytes());
    for (to, from) in fingerprint.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    fingerprint
}

/// The cookies that say what a client was given: named after the username's fingerprint, holding the expiry and a tag over
/// client, username and expiry.
struct Cookies {
    key: hmac::Key,
    prefix: String,
    secure: bool,
}

impl Cookies {
    fn name(&self, username: &str) -> String {
        format!("{}{}", self.prefix, hex::encode(&fingerprint(username)))
    }

    fn claim(client: &ClientId, username: &str, expires: u64) -> String {
        // Lengths first: no two different claims read the same.
        let client = client.as_str();
        format!(
            "{}.{}.{client}.{username}.{expires}",
            client.len(),
            username.len()
        )
    }

    fn set(
        &self,
        client: &ClientId,
        username: &str,
        expires_at: SystemTime,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Vec<String> {
        let expires = expires_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let tag = hmac::sign(&self.key, Self::claim(client, username, expires).as_bytes());
        let age = expires_at.duration_since(now).unwrap_or_default().as_secs();
        let value = format!("{expires}.{}", hex::encode(tag.as_ref()));
        let mut headers = self.surplus(headers);
        headers.push(self.header(&self.name(username), &value, age));
        headers
    }

    fn header(&self, name: &str, value: &str, age: u64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{name}={value}; Path={PATH}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
    }

    /// Headers that make room for one more: those nearest to their expiry go.
    fn surplus(&self, headers: &HeaderMap) -> Vec<String> {
        let mut held: Vec<(u64, &str)> = cookies(headers)
            .filter(|(name, _)| name.starts_with(&self.prefix))
            .map(|(name, value)| {
                let expires = value.split_once('.').and_then(|(at, _)| at.parse().ok());
                (expires.unwrap_or_default(), name)
            })
            .collect();
        held.sort_unstable();
        let surplus = (held.len() + 1).saturating_sub(MAX_COOKIES);
        held.iter()
            .take(surplus)
            .map(|(_, name)| self.header(name, "", 0))
            .collect()
    }

    /// Whether a cookie of this request says that the client was given the username, and has it still.
    fn tell(
        &self,
        client: &ClientId,
        username: &str,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> bool {
        let name = self.name(username);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        cookies(headers)
            .filter(|(held, _)| *held == name)
            .filter_map(|(_, value)| value.split_once('.'))
            .filter_map(|(expires, tag)| Some((expires.parse().ok()?, hex::decode(tag)?)))
            .any(|(expires, tag)| {
                let claim = Self::claim(client, username, expires);
                now < expires && hmac::verify(&self.key, claim.as_bytes(), &tag).is_ok()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use axum::http::header::COOKIE;

    const TTL: Duration = Duration::from_secs(60);

    fn alone() -> Owners {
        Owners::new(&Signing::random(1).unwrap(), false)
    }

    fn instance() -> Owners {
        Owners::new(&Signing::shared(&Secret::new("secret")), false)
    }

    fn client(id: &str) -> ClientId {
        ClientId::new(id)
    }

    fn none() -> HeaderMap {
        HeaderMap::new()
    }

    /// What a browser sends that was told to set these cookies.
    fn sent<'a>(set_cookies: impl IntoIterator<Item = &'a String>) -> HeaderMap {
        let pairs: Vec<&str> = set_cookies
            .into_iter()
            .map(|cookie| cookie.split(';').next().unwrap())
            .collect();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, pairs.join("; ").parse().unwrap());
        headers
    }

    #[test]
    fn one_client_does_not_own_what_another_was_given() {
        let owners = alone();
        let now = SystemTime::now();
        let cookies = owners.gave(&client("a"), "user", now + TTL, &none(), now);
        assert!(cookies.is_empty(), "no other instance has to be told");
        assert!(owners.owns(&client("a"), "user", &none(), now));
        assert!(!owners.owns(&client("b"), "user", &none(), now));
    }

    #[test]
    fn another_instance_knows_the_owner_by_a_cookie_until_it_expires() {
        let now = SystemTime::now();
        let set = instance().gave(&client("a"), "user", now + TTL, &none(), now);
        assert_eq!(set.len(), 1);
        let (other, cookies) = (instance(), sent(&set));
        assert!(other.owns(&client("a"), "user", &cookies, now));
        assert!(!other.owns(&client("a"), "user", &none(), now));
        assert!(!other.owns(&client("b"), "user", &cookies, now));
        assert!(!other.owns(&client("a"), "other", &cookies, now));
        assert!(!other.owns(&client("a"), "user", &cookies, now + TTL));
        let stranger = Owners::new(&Signing::shared(&Secret::new("other")), false);
        assert!(!stranger.owns(&client("a"), "user", &cookies, now));
    }

    #[test]
    fn a_cookie_cannot_be_given_a_longer_life_or_another_name() {
        let now = SystemTime::now();
        let set = instance().gave(&client("a"), "user", now + TTL, &none(), now);
        let pair = set[0].split(';').next().unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        let (expires, tag) = value.split_once('.').unwrap();
        let later = expires.parse::<u64>().unwrap() + 1;
        let other = instance();
        let longer = sent(&[format!("{name}={later}.{tag}")]);
        assert!(!other.owns(&client("a"), "user", &longer, now));
        let renamed = sent(&[format!(
            "{}={value}",
            other.shared.as_ref().unwrap().name("x")
        )]);
        assert!(!other.owns(&client("a"), "x", &renamed, now));
    }

    #[test]
    fn a_cookie_holds_no_username_and_goes_to_the_credential_endpoints_alone() {
        let now = SystemTime::now();
        let set = instance().gave(&client("client"), "username", now + TTL, &none(), now);
        assert!(!set[0].contains("username") && !set[0].contains("client"));
        for part in [
            "; Path=/api/turn-credentials;",
            "; Max-Age=60;",
            "; HttpOnly;",
            "; SameSite=Strict",
        ] {
            assert!(set[0].contains(part), "{}", set[0]);
        }
    }

    #[test]
    fn beyond_32_cookies_those_nearest_to_their_expiry_are_taken_back() {
        let owners = instance();
        let now = SystemTime::now();
        let mut held: HashMap<String, String> = HashMap::new();
        for n in 0..40 {
            let expires = now + TTL + Duration::from_secs(n);
            let headers = sent(held.values());
            for set in owners.gave(&client("a"), &n.to_string(), expires, &headers, now) {
                let name = set.split('=').next().unwrap().to_owned();
                if set.contains("Max-Age=0;") {
                    held.remove(&name).unwrap();
                } else {
                    held.insert(name, set);
                }
            }
        }
        assert_eq!(held.len(), MAX_COOKIES);
        let (other, headers) = (instance(), sent(held.values()));
        let owned = |n: u32| other.owns(&client("a"), &n.to_string(), &headers, now);
        assert!(!owned(7) && owned(8) && owned(39));
    }

    #[test]
    fn a_client_whose_usernames_have_all_expired_is_forgotten() {
        let owners = alone();
        let now = SystemTime::now();
        owners.gave(&client("a"), "user", now + TTL, &none(), now);
        let mut memory = owners.memory();
        memory.cleaned -= CLEANING;
        memory.clean(now + TTL);
        assert!(memory.by_client.is_empty());
    }

    #[test]
    fn a_bounded_number_of_usernames_is_remembered() {
        let owners = alone();
        let now = SystemTime::now();
        for n in 0..MAX_USERNAMES + 10 {
            let expires = now + TTL + Duration::from_secs(n as u64);
            owners.gave(&client("a"), &n.to_string(), expires, &none(), now);
        }
        let usernames = owners.memory().by_client[&client("a")].len();
        assert_eq!(usernames, MAX_USERNAMES);
        assert!(!owners.owns(&client("a"), "0", &none(), now));
        let last = (MAX_USERNAMES + 9).to_string();
        assert!(owners.owns(&client("a"), &last, &none(), now));
    }
}
