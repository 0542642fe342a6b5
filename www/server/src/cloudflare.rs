//! Client of Cloudflare's TURN API. What it knows of the API: paths, the bearer token, 201 for issued, 204 for revoked, and
//! that the answer holds neither a ttl nor an expiry, so whoever asks has to remember what was asked for.
//!
//! Errors name a status at most. Bodies of upstream answers never enter an error, and the token is a [`Secret`].
//!
//! A request that meets a busy or broken provider (429, 5xx, no connection, no answer) is made again, as `RETRY` says.
//! Minting twice does no harm: a credential that nobody was given ends by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::debug;

use crate::metrics::Metrics;
use crate::retry::Retry;
use crate::secret::Secret;

pub const TURN_BASE: &str = "https://rtc.live.cloudflare.com";
pub const ACCOUNT_BASE: &str = "https://api.cloudflare.com";

const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection waits for the next request; TCP and TLS are set up once for all that come meanwhile.
const IDLE: Duration = Duration::from_secs(60);
/// For one try.
const TRY: Duration = Duration::from_secs(4);

/// Within the 10 s that the SDK gives a backend, so that the page hears an error and not silence.
const RETRY: Retry = Retry {
    tries: 4,
    first: Duration::from_millis(200),
    most: Duration::from_secs(2),
    budget: Duration::from_secs(8),
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    pub urls: Urls,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Urls {
    One(String),
    Many(Vec<String>),
}

/// The list, or in answers of the older path one entry by itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum IceServers {
    Many(Vec<IceServer>),
    One(IceServer),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    ice_servers: IceServers,
}

#[derive(Clone, Debug, Deserialize)]
pub struct NewKey {
    pub uid: String,
    pub key: Secret,
    pub name: String,
}

#[derive(Deserialize)]
struct Envelope<T> {
    result: T,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UpstreamError {
    #[error("no connection to the TURN provider")]
    Unreachable,
    #[error("the TURN provider did not answer in time")]
    Timeout,
    #[error("the TURN provider answered with status {status}")]
    Status {
        status: u16,
        retry_after: Option<u64>,
    },
    #[error("the TURN provider's answer was not what its API promises")]
    Malformed,
}

impl UpstreamError {
    /// Whether another try may go better.
    fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable | Self::Timeout => true,
            Self::Status { status, .. } => matches!(status, 429 | 500..),
            Self::Malformed => false,
        }
    }

    /// Seconds, if the provider said so.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("TURN_API_BASE must be an https address, or http on loopback, such as {TURN_BASE}")]
    Base,
    #[error(
        "{0} may hold letters, digits, '-' and '_' only; copy it again from Cloudflare's dashboard"
    )]
    Id(&'static str),
    #[error(
        "the HTTP client could not be set up; https needs certificate authorities, in Debian the package ca-certificates ({0})"
    )]
    Client(#[from] reqwest::Error),
}

/// An HTTP client that never follows a redirect (a token must not travel on) and never uses a proxy from the environment.
pub fn http_client(base: &str) -> Result<Client, reqwest::Error> {
    // Fails only if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder();
    if base.starts_with("http://") {
        // The embedded provider must work on a machine that has no certificate authorities.
        builder = builder.tls_certs_only([]);
    }
    builder
        .connect_timeout(CONNECT)
        .timeout(TRY)
        .pool_idle_timeout(IDLE)
        .tcp_keepalive(IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

/// Without a trailing slash. Plain http would send the token in the clear, so only loopback may use it.
pub fn base_url(text: &str) -> Result<String, ConfigError> {
    let url = Url::parse(text).map_err(|_| ConfigError::Base)?;
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match url.scheme() {
        "https" if plain => {}
        "http" if plain && loopback => {}
        _ => return Err(ConfigError::Base),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// One TURN key: issues and revokes credentials.
#[derive(Clone, Debug)]
pub struct TurnKey {
    http: Client,
    credentials: String,
    token: Secret,
    metrics: Arc<Metrics>,
}

impl TurnKey {
    pub fn new(base: &str, key_id: &str, token: Secret) -> Result<Self, ConfigError> {
        Self::measured(base, key_id, token, Arc::default())
    }

    /// One that notes how long the provider takes, and what comes of it.
    pub fn measured(
        base: &str,
        key_id: &str,
        token: Secret,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        if !is_id(key_id) {
            return Err(ConfigError::Id("TURN_KEY_ID"));
        }
        let credentials = format!("{}/v1/turn/keys/{key_id}/credentials", base_url(base)?);
        Ok(Self {
            http: http_client(&credentials)?,
            credentials,
            token,
            metrics,
        })
    }

    /// Ice servers with a credential that lives for `ttl` seconds from now.
    pub async fn generate(
        &self,
        ttl: u64,
        custom_identifier: Option<&str>,
    ) -> Result<Vec<IceServer>, UpstreamError> {
        let mut body = json!({ "ttl": ttl });
        if let (Some(body), Some(identifier)) = (body.as_object_mut(), custom_identifier) {
            body.insert("customIdentifier".to_owned(), identifier.into());
        }
        let request = self
            .http
            .post(format!("{}/generate-ice-servers", self.credentials))
            .json(&body);
        let issued: Issued = parse(self.send("generate", request).await?).await?;
        let servers = match issued.ice_servers {
            IceServers::Many(servers) => servers,
            IceServers::One(server) => vec![server],
        };
        if servers
            .iter()
            .any(|server| server.username.is_some() && server.credential.is_some())
        {
            Ok(servers)
        } else {
            Err(UpstreamError::Malformed)
        }
    }

    pub async fn revoke(&self, username: &str) -> Result<(), UpstreamError> {
        // The username becomes part of a path; anything but an id could name another resource.
        if !is_id(username) {
            return Err(UpstreamError::Malformed);
        }
        let request = self
            .http
            .post(format!("{}/{username}/revoke", self.credentials));
        match self.send("revoke", request).await {
            // A provider that has forgotten the username accepts it no longer, which is what was asked for.
            Ok(_) | Err(UpstreamError::Status { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Tries until there is an answer that a further try would not change, or no time for one.
    async fn send(
        &self,
        operation: &'static str,
        request: RequestBuilder,
    ) -> Result<Response, UpstreamError> {
        let begun = Instant::now();
        for made in 1.. {
            // Fails for a body that is a stream, and ours is not.
            let request = request.try_clone().ok_or(UpstreamError::Unreachable)?;
            let asked = Instant::now();
            let left = RETRY.budget.saturating_sub(begun.elapsed());
            let answer = send(request.timeout(TRY.min(left)), &self.token).await;
            self.metrics
                .upstream(operation, outcome(&answer), asked.elapsed());
            let Err(error) = answer else { return answer };
            let pause = error.is_passing().then(|| {
                let retry_after = error.retry_after().map(Duration::from_secs);
                RETRY.pause(made, retry_after, begun.elapsed(), dice())
            });
            let Some(pause) = pause.flatten() else {
                return Err(error);
            };
            debug!(target: "api", operation, %error, ?pause, "upstream asked again");
            self.metrics.retries.add(operation);
            tokio::time::sleep(pause).await;
        }
        Err(UpstreamError::Timeout)
    }
}

fn outcome(answer: &Result<Response, UpstreamError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(UpstreamError::Unreachable) => "unreachable",
        Err(UpstreamError::Timeout) => "timeout",
        Err(UpstreamError::Status { status: 429, .. }) => "too-many",
        Err(UpstreamError::Status { status: 500.., .. }) => "unavailable",
        Err(UpstreamError::Status { .. } | UpstreamError::Malformed) => "refused",
    }
}

/// From 0 to 1. Without random numbers, all of the pause.
fn dice() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

/// Creates a TURN key in an account. The token needs the permission "Calls Write".
pub async fn create_key(
    base: &str,
    account: &str,
    name: &str,
    token: &Secret,
) -> Result<NewKey, CreateKeyError> {
    if !is_id(account) {
        return Err(ConfigError::Id("--account").into());
    }
    let url = format!(
        "{}/client/v4/accounts/{account}/calls/turn_keys",
        base_url(base)?
    );
    let http = http_client(&url).map_err(ConfigError::from)?;
    let response = send(http.post(url).json(&json!({ "name": name })), token).await?;
    let envelope: Envelope<NewKey> = parse(response).await?;
    Ok(envelope.result)
}

#[derive(Debug, thiserror::Error)]
pub enum CreateKeyError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

async fn send(request: RequestBuilder, token: &Secret) -> Result<Response, UpstreamError> {
    let response = request
        .bearer_auth(token.reveal())
        .header(ACCEPT, "application/json")
        .send()
        .await
        .map_err(|error| {
            if error.is_timeout() {
                UpstreamError::Timeout
            } else {
                UpstreamError::Unreachable
            }
        })?;
    if response.status().is_success() {
        return Ok(response);
    }
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    Err(UpstreamError::Status {
        status: response.status().as_u16(),
        retry_after,
    })
}

async fn parse<T: for<'a> Deserialize<'a>>(response: Response) -> Result<T, UpstreamError> {
    if response.status() == StatusCode::NO_CONTENT {
        return Err(UpstreamError::Malformed);
    }
    response.json().await.map_err(|error| {
        if error.is_timeout() {
            UpstreamError::Timeout
        } else {
            UpstreamError::Malformed
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        assert_eq!(
            base_url("https://rtc.live.cloudflare.com/").unwrap(),
            TURN_BASE
        );
        assert_eq!(
            base_url("http://127.0.0.1:9000").unwrap(),
            "http://127.0.0.1:9000"
        );
        for wrong in [
            "http://example.com",
            "ftp://127.0.0.1",
            "nonsense",
            "https://u:p@example.com",
            "https://e.com/?q",
        ] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn both_shapes_of_ice_servers_are_understood() {
        for text in [
            r#"{"iceServers":[{"urls":["turn:a"],"username":"u","credential":"c"}]}"#,
            r#"{"iceServers":{"urls":"turn:a","username":"u","credential":"c"}}"#,
        ] {
            assert!(serde_json::from_str::<Issued>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn debug_output_shows_no_token() {
        let key = TurnKey::new(TURN_BASE, "id", Secret::new("very-secret")).unwrap();
        assert!(!format!("{key:?}").contains("very-secret"));
    }

    #[test]
    fn a_key_id_that_would_leave_its_path_is_refused() {
        assert!(TurnKey::new(TURN_BASE, "../x", Secret::new("t")).is_err());
    }
}
