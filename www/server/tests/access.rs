//! Who gets credentials, how often and for how long; and what the log, `/metrics` and `/healthz` say about it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::http::{HeaderMap, StatusCode};
use clap::Parser as _;
use harness::{Answer, Server, Visitor};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use turn_demo_server::api_error::ApiError;
use turn_demo_server::authentication::{Authentication, Client, ClientId, unauthorized};
use turn_demo_server::options::Options;
use turn_demo_server::settings::Settings;
use turn_demo_server::{connection, server};

const MINT: &str = "/api/turn-credentials";

async fn mint_from(visitor: &Visitor, forwarded_for: &str) -> Answer {
    let request = visitor.request(Method::POST, MINT);
    visitor
        .send(request.header("x-forwarded-for", forwarded_for))
        .await
}

#[tokio::test]
async fn the_limits_of_session_and_address_can_be_set_and_switched_off() {
    let strict = Server::start(&["--session-limit", "2/0.1"]).await;
    let (one, two) = (strict.visitor().await, strict.visitor().await);
    for _ in 0..2 {
        assert_eq!(one.mint().await.status, StatusCode::CREATED);
    }
    let refused = one.mint().await;
    refused.expect_error(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "10");
    assert_eq!(two.mint().await.status, StatusCode::CREATED);

    let off = Server::start(&["--session-limit", "off", "--address-limit", "off"]).await;
    let visitor = off.visitor().await;
    for _ in 0..100 {
        assert_eq!(visitor.mint().await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_refused_whatever_session_it_shows() {
    let server = Server::start(&["--address-limit", "3/0.1"]).await;
    for _ in 0..3 {
        assert_eq!(
            server.visitor().await.mint().await.status,
            StatusCode::CREATED
        );
    }
    server
        .visitor()
        .await
        .mint()
        .await
        .expect_error(429, "too-many-requests");
    // Without a proxy of ours in front, what a client says of its address is not believed.
    let visitor = server.visitor().await;
    mint_from(&visitor, "192.0.2.1")
        .await
        .expect_error(429, "too-many-requests");
}

#[tokio::test]
async fn behind_a_proxy_the_address_is_the_one_that_the_proxy_was_asked_by() {
    let server = Server::start(&["--address-limit", "2/0.1", "--proxies", "1"]).await;
    let visitor = server.visitor().await;
    for _ in 0..2 {
        let answer = mint_from(&visitor, "192.0.2.1").await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    // Whatever the client has put there itself stands further left.
    for forged in ["192.0.2.1", "192.0.2.99, 192.0.2.1", "nonsense,192.0.2.1"] {
        mint_from(&visitor, forged)
            .await
            .expect_error(429, "too-many-requests");
    }
    let answer = mint_from(&visitor, "192.0.2.2").await;
    assert_eq!(answer.status, StatusCode::CREATED);
    server
        .logged(&["INFO access: mint", "address=192.0.2.2"])
        .await;
}

#[tokio::test]
async fn a_ttl_over_the_cap_is_refused_and_named() {
    let server = Server::start(&["--max-ttl", "600"]).await;
    let visitor = server.visitor().await;
    assert_eq!(visitor.credential(600).await.username.len(), 96);
    let refused = visitor.post(MINT, json!({ "ttl": 601 })).await;
    refused.expect_error(400, "ttl-invalid");
    assert!(
        refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("1 to 600")
    );
}

#[tokio::test]
async fn a_superseded_username_is_revoked_when_its_grace_is_over_and_not_before() {
    let server = Server::start(&["--grace", "1"]).await;
    let visitor = server.visitor().await;
    let (first, kept) = (visitor.credential(600).await, visitor.credential(600).await);
    let asked = Instant::now();
    let order = json!({ "ttl": 600, "supersedes": first.username });
    let answer = visitor.post(MINT, order).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(server.metric("turn_backend_superseded").await, 1.0);
    server
        .logged(&["superseded username revoked", &first.username[..8]])
        .await;
    assert!(asked.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.metric("turn_backend_superseded").await, 0.0);
    let revoked = "turn_backend_revocations_total{by=\"superseded\"}";
    assert_eq!(server.metric(revoked).await, 1.0);
    // The others live on.
    assert_eq!(visitor.revoke(&kept.username).await.status, 204);
    assert_eq!(server.turn_state().await["counters"]["revoked"], 2);
}

#[tokio::test]
async fn a_page_supersedes_nothing_but_its_own() {
    let server = Server::start(&["--grace", "0"]).await;
    let (owner, other) = (server.visitor().await, server.visitor().await);
    let credential = owner.credential(600).await;
    other
        .post(MINT, json!({ "supersedes": credential.username }))
        .await
        .expect_error(403, "not-yours");
    for wrong in [json!(7), json!(""), json!(null), json!([])] {
        owner
            .post(MINT, json!({ "supersedes": wrong }))
            .await
            .expect_error(400, "supersedes-invalid");
    }
    assert_eq!(server.metric("turn_backend_superseded").await, 0.0);
    assert_eq!(server.turn_state().await["counters"]["minted"], 1);
}

#[tokio::test]
async fn every_mint_has_one_line_in_the_access_log_that_names_no_secret() {
    let server = Server::start(&["--session-limit", "2/0.1"]).await;
    let visitor = server.visitor().await;
    let credential = visitor.credential(77).await;
    visitor
        .post(MINT, json!({ "ttl": 0 }))
        .await
        .expect_error(400, "ttl-invalid");
    visitor.mint().await.expect_error(429, "too-many-requests");
    server
        .stranger()
        .mint()
        .await
        .expect_error(401, "no-session");
    server.logged(&["mint", "code=no-session"]).await;

    let log = server.log();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" INFO access: mint "))
        .collect();
    let fields = [
        vec![
            "status=201",
            "address=127.0.0.1",
            "ttl=77",
            &credential.username[..8],
        ],
        vec!["status=400", "code=ttl-invalid", "client="],
        vec!["status=429", "code=too-many-requests"],
        vec!["status=401", "code=no-session", "client= "],
    ];
    assert_eq!(lines.len(), fields.len(), "{log}");
    for (line, fields) in lines.iter().zip(fields) {
        for field in fields {
            assert!(line.contains(field), "{field} in {line}");
        }
    }
    let cookie = visitor.cookie.clone().unwrap();
    let id = cookie.split_once('=').unwrap().1.split('.').next().unwrap();
    for secret in [&credential.password, &credential.username, id] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn metrics_count_mints_refusals_and_revocations_and_time_the_upstream() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let credential = visitor.credential(60).await;
    assert_eq!(visitor.mint().await.status, StatusCode::CREATED);
    assert_eq!(visitor.revoke(&credential.username).await.status, 204);
    server
        .stranger()
        .mint()
        .await
        .expect_error(401, "no-session");
    visitor
        .revoke("another's")
        .await
        .expect_error(403, "not-yours");

    let answer = server.stranger().get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for (metric, value) in [
        ("turn_backend_mints_total", 2.0),
        ("turn_backend_refusals_total{code=\"no-session\"}", 1.0),
        ("turn_backend_refusals_total{code=\"not-yours\"}", 1.0),
        ("turn_backend_revocations_total{by=\"page\"}", 1.0),
        (
            "turn_backend_upstream_seconds_count{operation=\"generate\",outcome=\"ok\"}",
            2.0,
        ),
        (
            "turn_backend_upstream_seconds_bucket{operation=\"revoke\",outcome=\"ok\",le=\"+Inf\"}",
            1.0,
        ),
        ("turn_server_credentials_total{event=\"minted\"}", 2.0),
        ("turn_server_credentials_total{event=\"revoked\"}", 1.0),
        ("turn_server_allocations", 0.0),
    ] {
        assert_eq!(server.metric(metric).await, value, "{metric}");
    }
    let text = String::from_utf8(answer.body).unwrap();
    let page = include_str!("../../../docs/backend.md");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for name in types.filter_map(|rest| rest.split(' ').next()) {
        assert!(page.contains(&format!("`{name}")), "{name} is documented");
    }
    for secret in [&credential.username, &credential.password] {
        assert!(!text.contains(&secret[..8]), "{text}");
    }
}

#[tokio::test]
async fn healthz_answers_by_any_name() {
    let server = Server::start(&[]).await;
    let stranger = server.stranger();
    let request = stranger
        .request(Method::GET, "/healthz")
        .header("host", "instance-1.internal");
    let answer = stranger.send(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!({ "status": "ok" }));
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn behind_a_proxy_with_https_the_public_name_is_ours_and_cookies_are_secure() {
    let server = Server::start(&["--origin", "https://demo.example"]).await;
    let stranger = server.stranger();
    let request = stranger
        .request(Method::GET, "/")
        .header("host", "demo.example");
    let answer = stranger.send(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    let cookie = answer.header("set-cookie");
    assert!(cookie.ends_with("; SameSite=Strict; Secure"), "{cookie}");
    let ask = async |origin: &'static str| {
        let request = stranger
            .request(Method::POST, MINT)
            .header("host", "demo.example")
            .header("origin", origin);
        stranger.send(request).await
    };
    assert_eq!(
        ask("https://demo.example").await.status,
        StatusCode::CREATED
    );
    ask("http://demo.example")
        .await
        .expect_error(403, "foreign-origin");
}

/// An app's own authentication: its users come with a token that the app has given them.
struct Tokens;

#[async_trait]
impl Authentication for Tokens {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Client, ApiError> {
        let user = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer token-of-"))
            .ok_or_else(|| unauthorized("sign in first"))?;
        if user == "mallory" {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "no-calls",
                "your plan has no calls",
            ));
        }
        Ok(Client {
            id: ClientId::new(user),
            custom_identifier: Some(format!("user-{user}")),
        })
    }
}

#[tokio::test]
async fn an_app_plugs_in_its_own_authentication() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options::parse_from(["", "--session-limit", "4/0.1"]);
    let settings = Settings::read(None).unwrap();
    let mut app = server::app(&options, &settings, address.port())
        .await
        .unwrap();
    app.authentication = Box::new(Tokens);
    let metrics = Arc::clone(&app.metrics);
    let (_end, ending) = watch::channel(false);
    let router = server::router(Arc::new(app));
    tokio::spawn(connection::serve(listener, router, 100, metrics, ending));

    let url = format!("http://{address}");
    let ask = async |user: &str, path: &str, body: serde_json::Value| {
        let visitor = Visitor::new(&url);
        let request = visitor
            .request(Method::POST, path)
            .header("authorization", format!("Bearer token-of-{user}"));
        visitor.send(request.json(&body)).await
    };
    let minted = ask("ann", MINT, json!({})).await;
    assert_eq!(minted.status, StatusCode::CREATED);
    let username = minted.json()["iceServers"][1]["username"].clone();
    let revoke = "/api/turn-credentials/revoke";
    let body = json!({ "username": username });
    ask("bob", revoke, body.clone())
        .await
        .expect_error(403, "not-yours");
    assert_eq!(
        ask("ann", revoke, body).await.status,
        StatusCode::NO_CONTENT
    );
    ask("mallory", MINT, json!({}))
        .await
        .expect_error(403, "no-calls");
    let visitor = Visitor::new(&url);
    visitor.mint().await.expect_error(401, "no-session");
    // Limits go by the user.
    for _ in 0..2 {
        let answer = ask("ann", MINT, json!({})).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    ask("ann", MINT, json!({}))
        .await
        .expect_error(429, "too-many-requests");
    // A page starts no session here.
    let page = visitor.get("/").await;
    assert_eq!((page.status.as_u16(), page.header("set-cookie")), (200, ""));
}
