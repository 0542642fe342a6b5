//! The demo's authentication: a browser that has loaded a page from here. Loading a page sets a cookie with a random id and
//! an expiry, signed, so that no list of cookies has to be kept and every instance with the same secret knows the session.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use ring::hmac;

use crate::api_error::ApiError;
use crate::authentication::{Authentication, Client, ClientId, unauthorized};
use crate::hex;
use crate::signing::Signing;

/// How long a cookie is good for. A page open for longer gets 401 and is told to reload.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

pub struct Sessions {
    key: hmac::Key,
    cookie: String,
    secure: bool,
}

impl Sessions {
    /// `secure`: for pages served over https only.
    pub fn new(signing: &Signing, secure: bool) -> Self {
        Self {
            key: signing.key("session"),
            cookie: signing.cookie().to_owned(),
            secure,
        }
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
            Some(id) => id.as_str().to_owned(),
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
        let secure = if self.secure { "; Secure" } else { "" };
        format!(
            "{}={claim}.{tag}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}",
            self.cookie
        )
    }

    /// The session a request belongs to, if its cookie is ours and still good.
    pub fn find(&self, headers: &HeaderMap, now: SystemTime) -> Option<ClientId> {
        cookies(headers)
            .filter(|(name, _)| *name == self.cookie)
            .find_map(|(_, value)| self.verify(value, now))
    }

    fn verify(&self, value: &str, now: SystemTime) -> Option<ClientId> {
        let (claim, tag) = value.rsplit_once('.')?;
        hmac::verify(&self.key, claim.as_bytes(), &hex::decode(tag)?).ok()?;
        let (id, expires) = claim.split_once('.')?;
        let expires = UNIX_EPOCH + Duration::from_secs(expires.parse().ok()?);
        (now < expires).then(|| ClientId::new(id))
    }
}

#[async_trait]
impl Authentication for Sessions {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Client, ApiError> {
        let id = self.find(headers, SystemTime::now()).ok_or_else(|| {
            unauthorized("there is no session, or it has ended; load the page (again) to start one")
        })?;
        Ok(Client {
            id,
            custom_identifier: None,
        })
    }

    fn on_page(&self, headers: &HeaderMap) -> Result<Option<String>, ApiError> {
        self.cookie(headers, SystemTime::now())
            .map_err(|_| ApiError::internal())
    }
}

/// The names and values of a request's cookies.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn sessions() -> Sessions {
        Sessions::new(&Signing::random(1).unwrap(), false)
    }

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
        let sessions = sessions();
        let now = SystemTime::now();
        let headers = sent(&start(&sessions, now));
        let id = sessions.find(&headers, now).unwrap();
        assert_eq!(sessions.find(&headers, now).unwrap(), id);
        assert_eq!(sessions.find(&headers, now + LIFETIME), None);
    }

    #[test]
    fn loading_a_page_late_in_a_session_continues_it_under_the_same_id() {
        let sessions = sessions();
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
        let (ours, other) = (sessions(), sessions());
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
    fn a_server_with_the_same_secret_knows_the_session_and_one_with_another_does_not() {
        let now = SystemTime::now();
        let with = |secret: &str| Sessions::new(&Signing::shared(&Secret::new(secret)), false);
        let cookie = start(&with("one secret"), now);
        let id = with("one secret").find(&sent(&cookie), now);
        assert!(id.is_some());
        assert_eq!(with("another secret").find(&sent(&cookie), now), None);
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites_and_from_plain_http_where_there_is_https() {
        let now = SystemTime::now();
        let cookie = start(&sessions(), now);
        assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"));
        assert!(!cookie.contains("Secure"));
        let secure = Sessions::new(&Signing::random(1).unwrap(), true);
        assert!(start(&secure, now).ends_with("; Secure"));
    }
}
