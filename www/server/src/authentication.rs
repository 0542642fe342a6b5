//! Where an app plugs in its own authentication. The credential endpoints ask for nothing but an id: limits, ownership of
//! usernames and the access log go by it. The demo's own answer, a signed cookie that loading a page sets, is in
//! [`session`](crate::session).

use async_trait::async_trait;
use axum::http::HeaderMap;

use crate::api_error::ApiError;

/// Who makes a request: a signed-in user's id, or a session's. Never shown to anybody and never logged as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(String);

impl ClientId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Eight characters for logs, from which the id cannot be found.
    pub fn tag(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.0.as_bytes());
        crate::hex::encode(digest.as_ref().get(..4).unwrap_or_default())
    }
}

#[derive(Clone, Debug)]
pub struct Client {
    pub id: ClientId,
    /// The `customIdentifier` of this client's credentials, which Cloudflare shows in its analytics; none unless you
    /// want it to know.
    pub custom_identifier: Option<String>,
}

#[async_trait]
pub trait Authentication: Send + Sync {
    /// Who makes this request. An error, as a rule 401 or 403, is the answer to whoever may have no credentials.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Client, ApiError>;

    /// The `Set-Cookie` header that the answer to a page load should carry, for what starts sessions with pages.
    fn on_page(&self, _headers: &HeaderMap) -> Result<Option<String>, ApiError> {
        Ok(None)
    }
}

/// 401, for want of anything that says who asks.
pub fn unauthorized(message: &'static str) -> ApiError {
    ApiError::new(axum::http::StatusCode::UNAUTHORIZED, "no-session", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_for_logs_is_eight_characters_of_something_else() {
        let id = ClientId::new("0123456789abcdef");
        assert_eq!(id.tag().len(), 8);
        assert!(!id.as_str().contains(&id.tag()));
        assert_eq!(id.tag(), id.clone().tag());
        assert_ne!(id.tag(), ClientId::new("another").tag());
    }
}
