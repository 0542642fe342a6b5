//! The emulator against what Cloudflare documents: paths, statuses, shapes and limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use turn_demo_server::cloudflare::{IceServer, TurnKey, UpstreamError, Urls, http_client};
use turn_demo_server::credential::{CredentialStore, Standing};
use turn_demo_server::emulator::{Emulator, Running};
use turn_demo_server::limit::Limit;
use turn_demo_server::turn::ServerUrls;

struct Provider {
    http: Client,
    running: Running,
    store: Arc<CredentialStore>,
}

impl Provider {
    async fn start() -> Self {
        let store = Arc::new(CredentialStore::default());
        let urls = ServerUrls::of(SocketAddr::from((Ipv4Addr::LOCALHOST, 3478)));
        let running = Emulator::new(Arc::clone(&store), urls, None, Limit::OFF)
            .start()
            .await
            .unwrap();
        Self {
            http: http_client("http://").unwrap(),
            running,
            store,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/turn/keys/{}/credentials/{rest}", self.running.key_id)
    }

    async fn ask(&self, path: &str, token: &str, body: &str) -> (StatusCode, Value) {
        let request = self
            .http
            .request(Method::POST, format!("{}{path}", self.running.base));
        let response = request
            .bearer_auth(token)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        let status = response.status();
        (
            status,
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
        )
    }

    async fn ask_well(&self, rest: &str, body: &str) -> (StatusCode, Value) {
        self.ask(&self.path(rest), self.running.token.reveal(), body)
            .await
    }
}

#[tokio::test]
async fn generate_ice_servers_answers_201_with_a_list() {
    let provider = Provider::start().await;
    let (status, body) = provider
        .ask_well(
            "generate-ice-servers",
            r#"{"ttl":86400,"customIdentifier":"user-4"}"#,
        )
        .await;
    assert_eq!(status, StatusCode::CREATED);
    let servers = body["iceServers"].as_array().unwrap();
    assert_eq!(servers[0], json!({ "urls": ["stun:127.0.0.1:3478"] }));
    assert_eq!(
        servers[1]["urls"],
        json!([
            "turn:127.0.0.1:3478?transport=udp",
            "turn:127.0.0.1:3478?transport=tcp"
        ])
    );
    for field in ["username", "credential"] {
        let text = servers[1][field].as_str().unwrap();
        assert!(
            text.len() == 96 && text.chars().all(|c| c.is_ascii_hexdigit()),
            "{text}"
        );
    }
    assert_eq!(
        body.as_object().unwrap().len(),
        1,
        "neither a ttl nor an expiry"
    );
}

#[tokio::test]
async fn the_older_path_answers_with_one_object() {
    let provider = Provider::start().await;
    let (status, body) = provider.ask_well("generate", r#"{"ttl":60}"#).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(body["iceServers"]["urls"].as_array().unwrap().len(), 3);
    assert!(
        body["iceServers"]["username"].is_string() && body["iceServers"]["credential"].is_string()
    );
}

#[tokio::test]
async fn a_bad_token_an_unknown_key_and_a_bad_order_are_told_apart() {
    let provider = Provider::start().await;
    let good = r#"{"ttl":60}"#;
    for rest in ["generate-ice-servers", "generate", "0123/revoke"] {
        let path = provider.path(rest);
        for token in ["", "wrong", &provider.running.token.reveal()[1..]] {
            let (status, body) = provider.ask(&path, token, good).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{rest}");
            assert_eq!(body["success"], false);
        }
        let unknown = format!("/v1/turn/keys/unknown/credentials/{rest}");
        assert_eq!(
            provider
                .ask(&unknown, provider.running.token.reveal(), good)
                .await
                .0,
            StatusCode::NOT_FOUND
        );
    }
    for bad in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"ttl":0}"#,
        r#"{"ttl":-1}"#,
        r#"{"ttl":"60"}"#,
        r#"{"ttl":172801}"#,
        r#"{"ttl":1.5}"#,
        r#"{"ttl":60,"customIdentifier":7}"#,
    ] {
        let (status, body) = provider.ask_well("generate-ice-servers", bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(!body["errors"][0]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(
        provider
            .ask_well("generate-ice-servers", r#"{"ttl":172800}"#)
            .await
            .0,
        StatusCode::CREATED
    );
    assert_eq!(
        provider
            .ask_well("generate-ice-servers", &" ".repeat(20_000))
            .await
            .0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let get = provider.http.get(format!(
        "{}{}",
        provider.running.base,
        provider.path("generate")
    ));
    assert_eq!(
        get.send().await.unwrap().status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        provider.ask("/v1/other", "", "").await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn revoke_answers_204_and_the_username_is_worth_nothing() {
    let provider = Provider::start().await;
    let (_, body) = provider
        .ask_well("generate-ice-servers", r#"{"ttl":60}"#)
        .await;
    let username = body["iceServers"][1]["username"].as_str().unwrap();
    assert_eq!(
        provider.store.standing(username, SystemTime::now()),
        Standing::Live
    );
    let (status, body) = provider.ask_well(&format!("{username}/revoke"), "").await;
    assert_eq!((status, body), (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(
        provider.store.standing(username, SystemTime::now()),
        Standing::Revoked
    );
    assert_eq!(
        provider.ask_well("0123/revoke", "").await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn nobody_may_create_keys_without_an_account_token() {
    let provider = Provider::start().await;
    let path = "/client/v4/accounts/abc/calls/turn_keys";
    let (status, _) = provider
        .ask(path, provider.running.token.reveal(), r#"{"name":"x"}"#)
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_client_mints_and_revokes_through_it() {
    let provider = Provider::start().await;
    let key = TurnKey::new(
        &provider.running.base,
        &provider.running.key_id,
        provider.running.token.clone(),
    )
    .unwrap();
    let servers: Vec<IceServer> = key.generate(60, Some("user-4")).await.unwrap();
    let turn = servers
        .iter()
        .find(|server| server.username.is_some())
        .unwrap();
    assert!(matches!(&turn.urls, Urls::Many(urls) if urls.len() == 2));
    let username = turn.username.as_deref().unwrap();
    key.revoke(username).await.unwrap();
    assert_eq!(
        provider.store.standing(username, SystemTime::now()),
        Standing::Revoked
    );
    let refused = key.generate(172_801, None).await.unwrap_err();
    assert_eq!(
        refused,
        UpstreamError::Status {
            status: 400,
            retry_after: None
        }
    );
    // Nothing but an id ever becomes part of a path.
    assert!(key.revoke("../generate").await.is_err());
}
