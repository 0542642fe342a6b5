//! What Cloudflare documents of its TURN API, and nothing else: the same tests against whatever the environment names
//! (TURN_API_BASE, TURN_KEY_ID, TURN_KEY_API_TOKEN), and against the emulator if it names nothing.
//!
//! Against Cloudflare they issue and revoke a handful of credentials of a minute each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use harness::{Server, program};
use reqwest::StatusCode;
use serde_json::{Value, json};
use turn_demo_server::cloudflare::{TurnKey, UpstreamError, http_client};
use turn_demo_server::secret::Secret;

struct Provider {
    base: String,
    key_id: String,
    token: String,
    /// Ends with the test.
    _emulator: Option<Server>,
}

impl Provider {
    async fn find() -> Self {
        let names = ["TURN_API_BASE", "TURN_KEY_ID", "TURN_KEY_API_TOKEN"];
        let named = names.map(|name| std::env::var(name).unwrap_or_default());
        if named.iter().all(|value| !value.is_empty()) {
            let [base, key_id, token] = named;
            return Self {
                base,
                key_id,
                token,
                _emulator: None,
            };
        }
        assert!(
            named.iter().all(String::is_empty),
            "set all of {names:?}, or none for the emulator"
        );
        let emulator = Server::spawn(program().args(["emulate", "--port", "0"])).await;
        let [base, key_id, token] = emulator.printed_key().await.map(|(_, value)| value);
        Self {
            base,
            key_id,
            token,
            _emulator: Some(emulator),
        }
    }

    async fn ask(&self, key_id: &str, path: &str, token: &str, body: &str) -> (StatusCode, Value) {
        let url = format!("{}/v1/turn/keys/{key_id}/credentials/{path}", self.base);
        let request = http_client(&self.base)
            .unwrap()
            .post(url)
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_owned());
        let response = request.send().await.unwrap();
        let status = response.status();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn ask_well(&self, path: &str, body: &str) -> (StatusCode, Value) {
        self.ask(&self.key_id, path, &self.token, body).await
    }
}

/// All the URLs of an entry, which has one or a list.
fn urls(server: &Value) -> Vec<&str> {
    match &server["urls"] {
        Value::String(url) => vec![url],
        Value::Array(urls) => urls.iter().map(|url| url.as_str().unwrap()).collect(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn generate_ice_servers_answers_201_with_a_list_that_has_one_credential() {
    let provider = Provider::find().await;
    let (status, body) = provider
        .ask_well("generate-ice-servers", r#"{"ttl":60}"#)
        .await;
    assert_eq!(status, StatusCode::CREATED);
    let servers = body["iceServers"].as_array().unwrap();
    let with_credential: Vec<_> = servers
        .iter()
        .filter(|server| server["username"].is_string() && server["credential"].is_string())
        .collect();
    assert_eq!(with_credential.len(), 1);
    assert!(
        urls(with_credential[0])
            .iter()
            .any(|url| url.starts_with("turn:"))
    );
    for url in servers.iter().flat_map(urls) {
        assert!(
            ["stun:", "turn:", "turns:"]
                .iter()
                .any(|scheme| url.starts_with(scheme)),
            "{url}"
        );
    }
    // A backend has to add the lifetime itself.
    for absent in ["ttl", "expiresAt"] {
        assert_eq!(body[absent], Value::Null);
    }
}

#[tokio::test]
async fn a_custom_identifier_is_accepted() {
    let provider = Provider::find().await;
    let order = json!({ "ttl": 60, "customIdentifier": "contract-test" }).to_string();
    let (status, _) = provider.ask_well("generate-ice-servers", &order).await;
    assert_eq!(status, StatusCode::CREATED);
}

#[tokio::test]
async fn usernames_differ_each_time() {
    let provider = Provider::find().await;
    let mut usernames = Vec::new();
    for _ in 0..3 {
        let (_, body) = provider
            .ask_well("generate-ice-servers", r#"{"ttl":60}"#)
            .await;
        let servers = body["iceServers"].as_array().unwrap();
        let username = servers
            .iter()
            .find_map(|server| server["username"].as_str());
        usernames.push(username.unwrap().to_owned());
    }
    usernames.sort_unstable();
    usernames.dedup();
    assert_eq!(usernames.len(), 3);
}

#[tokio::test]
async fn the_older_path_answers_201_with_one_object() {
    let provider = Provider::find().await;
    let (status, body) = provider.ask_well("generate", r#"{"ttl":60}"#).await;
    assert_eq!(status, StatusCode::CREATED);
    let server = &body["iceServers"];
    assert!(server.is_object(), "{server}");
    assert!(server["username"].is_string() && server["credential"].is_string());
}

#[tokio::test]
async fn a_wrong_token_gets_no_credential() {
    let provider = Provider::find().await;
    let wrong = "0".repeat(provider.token.len());
    let (status, body) = provider
        .ask(
            &provider.key_id,
            "generate-ice-servers",
            &wrong,
            r#"{"ttl":60}"#,
        )
        .await;
    assert!(status.is_client_error(), "{status}");
    assert_eq!(body["iceServers"], Value::Null);
}

#[tokio::test]
async fn a_ttl_over_48_hours_and_a_body_that_is_no_json_are_refused() {
    let provider = Provider::find().await;
    for order in [r#"{"ttl":172801}"#, "{"] {
        let (status, body) = provider.ask_well("generate-ice-servers", order).await;
        assert!(status.is_client_error(), "{order}: {status}");
        assert_eq!(body["iceServers"], Value::Null);
    }
}

#[tokio::test]
async fn the_client_mints_and_revokes_and_revoking_answers_204() {
    let provider = Provider::find().await;
    let token = Secret::new(provider.token.clone());
    let key = TurnKey::new(&provider.base, &provider.key_id, token).unwrap();
    let servers = key.generate(60, None).await.unwrap();
    let username = servers
        .iter()
        .find_map(|server| server.username.clone())
        .unwrap();
    let (status, body) = provider.ask_well(&format!("{username}/revoke"), "").await;
    assert_eq!((status, body), (StatusCode::NO_CONTENT, Value::Null));
    // Once more, as a page does that is not sure whether it was heard.
    key.revoke(&username).await.unwrap();

    let wrong = Secret::new("0".repeat(provider.token.len()));
    let stranger = TurnKey::new(&provider.base, &provider.key_id, wrong).unwrap();
    let refused = stranger.revoke(&username).await.unwrap_err();
    assert!(
        matches!(
            refused,
            UpstreamError::Status {
                status: 400..=499,
                ..
            }
        ),
        "{refused}"
    );
}
