//! The README's backend in Rust, as it is printed there, against the emulator and against providers that fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use axum::http::request::Parts;
use axum::routing::any;
use tokio::net::TcpListener;
use turn_demo_server::cloudflare::http_client;
use turn_demo_server::credential::{CredentialStore, Standing};
use turn_demo_server::emulator::Emulator;
use turn_demo_server::limit::Limit;
use turn_demo_server::turn::ServerUrls;

include!("readme/backend.rs");

const TOKEN: &str = "the-api-token";
const UPSTREAM_TEXT: &str = "what the provider wrote";

/// The sign-in of these tests: whoever names a user is that user.
impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let user = parts.headers.get("x-user");
        let user = user.ok_or(StatusCode::UNAUTHORIZED)?;
        Ok(Self(user.to_str().unwrap().to_owned()))
    }
}

struct Answer {
    status: u16,
    cache_control: String,
    /// Status line's reason, headers and body: all that a page could see.
    seen: String,
    body: Value,
}

/// The README's backend, served.
struct Backend {
    address: SocketAddr,
    http: reqwest::Client,
}

impl Backend {
    async fn start(base: &str, key_id: &str, token: &str) -> Self {
        let key = Arc::new(TurnKey {
            http: http_client("http://").unwrap(),
            credentials: format!("{base}/v1/turn/keys/{key_id}/credentials"),
            token: token.to_owned(),
            owners: Mutex::default(),
        });
        Self {
            address: serve(router(key)).await,
            http: http_client("http://").unwrap(),
        }
    }

    async fn ask(&self, path: &str, user: Option<&str>, body: Value) -> Answer {
        let mut request = self
            .http
            .post(format!(
                "http://{}/api/turn-credentials{path}",
                self.address
            ))
            .json(&body)
            .timeout(Duration::from_secs(30));
        if let Some(user) = user {
            request = request.header("x-user", user);
        }
        let response = request.send().await.unwrap();
        let head = format!("{:?} {:?}", response.status(), response.headers());
        let cache_control = response.headers().get(header::CACHE_CONTROL);
        let cache_control = cache_control.map_or("", |value| value.to_str().unwrap());
        let (status, cache_control) = (response.status().as_u16(), cache_control.to_owned());
        let text = response.text().await.unwrap();
        Answer {
            status,
            cache_control,
            body: serde_json::from_str(&text).unwrap_or_default(),
            seen: format!("{head} {text}"),
        }
    }

    async fn mint(&self, user: Option<&str>) -> Answer {
        self.ask("", user, Value::Null).await
    }

    async fn revoke(&self, user: Option<&str>, username: &str) -> Answer {
        self.ask("/revoke", user, json!({ "username": username }))
            .await
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn username(answer: &Answer) -> String {
    let servers = answer.body["iceServers"].as_array().unwrap();
    let username = servers
        .iter()
        .find_map(|server| server["username"].as_str());
    username.unwrap().to_owned()
}

#[test]
fn what_is_tested_here_is_what_the_readme_prints() {
    let readme = include_str!("../../../README.md");
    let (_, printed) = readme
        .split_once("\n### Rust (axum)\n\n```rust\n")
        .expect("README.md has a section \"Rust (axum)\" that begins with code");
    let (printed, _) = printed.split_once("```\n").unwrap();
    assert!(
        printed == include_str!("readme/backend.rs"),
        "README.md and www/server/tests/readme/backend.rs differ: copy the one that was changed to the other"
    );
}

#[tokio::test]
async fn a_user_gets_credentials_of_their_own_and_can_revoke_those_alone() {
    let store = Arc::new(CredentialStore::default());
    let urls = ServerUrls::of(SocketAddr::from((Ipv4Addr::LOCALHOST, 3478)));
    let emulator = Emulator::new(Arc::clone(&store), urls, None, Limit::OFF);
    let emulator = emulator.start().await.unwrap();
    let token = emulator.token.reveal();
    let backend = Backend::start(&emulator.base, &emulator.key_id, token).await;
    let standing = |username: &str| store.standing(username, SystemTime::now());

    let minted = backend.mint(Some("ann")).await;
    assert_eq!(minted.status, 201, "{}", minted.seen);
    assert_eq!(minted.cache_control, "no-store");
    assert_eq!(minted.body["ttl"], TTL);
    let anns = username(&minted);
    assert_eq!(standing(&anns), Standing::Live);

    let nobody = [backend.mint(None).await, backend.revoke(None, &anns).await];
    assert_eq!(nobody.each_ref().map(|answer| answer.status), [401, 401]);
    let foreign = [
        backend.revoke(Some("bob"), &anns).await,
        backend.revoke(Some("ann"), "invented").await,
        backend.revoke(Some("ann"), "../../x").await,
        backend.ask("/revoke", Some("ann"), json!([])).await,
    ];
    assert_eq!(foreign.each_ref().map(|answer| answer.status), [403; 4]);
    assert_eq!(standing(&anns), Standing::Live);

    let own = [
        backend.revoke(Some("ann"), &anns).await,
        backend.revoke(Some("ann"), &anns).await,
    ];
    assert_eq!(own.each_ref().map(|answer| answer.status), [204, 204]);
    assert_eq!(standing(&anns), Standing::Revoked);
    for answer in [minted].iter().chain(&nobody).chain(&foreign).chain(&own) {
        assert!(!answer.seen.contains(token), "{}", answer.seen);
    }
}

/// A provider that gives credentials as Cloudflare does, until it is told how to fail.
#[derive(Clone, Default)]
struct Provider {
    failure: Arc<Mutex<Option<Failure>>>,
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Status(u16),
    Body(&'static str),
    Silence,
}

impl Provider {
    async fn answer(self) -> (StatusCode, String) {
        let failure = *self.failure.lock().unwrap();
        match failure {
            None => (
                StatusCode::CREATED,
                json!({ "iceServers": [{ "urls": "turn:127.0.0.1", "username": "u", "credential": "c" }] }).to_string(),
            ),
            Some(Failure::Status(status)) => (StatusCode::from_u16(status).unwrap(), UPSTREAM_TEXT.to_owned()),
            Some(Failure::Body(body)) => (StatusCode::CREATED, body.to_owned()),
            Some(Failure::Silence) => std::future::pending().await,
        }
    }

    async fn start(&self) -> String {
        let provider = self.clone();
        let answer = move || provider.clone().answer();
        format!(
            "http://{}",
            serve(Router::new().fallback(any(answer))).await
        )
    }
}

fn expect_failure(what: &str, answer: &Answer) {
    assert!(
        matches!(answer.status, 502 | 503),
        "{what}: {}",
        answer.seen
    );
    for hidden in [TOKEN, UPSTREAM_TEXT] {
        assert!(!answer.seen.contains(hidden), "{what}: {}", answer.seen);
    }
}

#[tokio::test]
async fn a_failure_of_the_provider_is_told_by_status_without_its_text() {
    let provider = Provider::default();
    let backend = Backend::start(&provider.start().await, "key", TOKEN).await;
    assert_eq!(backend.mint(Some("ann")).await.status, 201);
    for failure in [
        Failure::Status(400),
        Failure::Status(401),
        Failure::Status(429),
        Failure::Status(500),
        Failure::Silence,
    ] {
        *provider.failure.lock().unwrap() = Some(failure);
        let what = format!("{failure:?}");
        let (minted, revoked) =
            tokio::join!(backend.mint(Some("ann")), backend.revoke(Some("ann"), "u"));
        expect_failure(&what, &minted);
        expect_failure(&what, &revoked);
    }
    for body in [
        UPSTREAM_TEXT,
        "",
        "[]",
        "null",
        r#"{"errors":[]}"#,
        r#"{"iceServers":"none"}"#,
    ] {
        *provider.failure.lock().unwrap() = Some(Failure::Body(body));
        expect_failure(body, &backend.mint(Some("ann")).await);
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_told_by_status() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let backend = Backend::start(&base, "key", TOKEN).await;
    expect_failure("unreachable", &backend.mint(Some("ann")).await);
}
