//! What the backend makes of its provider's answers, and of the key and the address that it is given for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use harness::Server;
use harness::upstream::{TOKEN, Upstream, issued};
use serde_json::json;
use turn_demo_server::cloudflare::TurnKey;
use turn_demo_server::secret::Secret;

fn good() -> Response {
    (StatusCode::CREATED, issued().to_string()).into_response()
}

fn bad(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap().into_response()
}

#[tokio::test]
async fn with_a_key_in_the_environment_the_provider_is_asked_in_its_own_way() {
    let upstream = Upstream::start(|_| Some(good())).await;
    let server = upstream.server().await;
    let visitor = server.visitor().await;
    let answer = visitor
        .post("/api/turn-credentials", json!({ "ttl": 60 }))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.json()["iceServers"], issued()["iceServers"]);
    assert_eq!(visitor.revoke("name").await.status, StatusCode::NO_CONTENT);
    let asked = upstream.asked();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/v1/turn/keys/key-id/credentials/generate-ice-servers",
            "/v1/turn/keys/key-id/credentials/name/revoke"
        ]
    );
    assert_eq!(asked[0].body, json!({ "ttl": 60 }));
    let bearer = format!("Bearer {TOKEN}");
    assert!(
        asked
            .iter()
            .all(|asked| asked.headers["authorization"] == bearer.as_str())
    );
    visitor
        .get("/api/demo/turn")
        .await
        .expect_error(404, "not-found");
    visitor
        .post("/api/demo/revoke", json!({ "username": "name" }))
        .await
        .expect_error(404, "not-found");
}

#[tokio::test]
async fn trouble_upstream_becomes_a_clear_error_without_its_secrets() {
    let leaky = "{\"error\":\"token the-token, credential upstream-secret\"}";
    for (status, expected, code) in [
        (200, 502, "upstream-malformed"),
        (204, 502, "upstream-malformed"),
        (301, 502, "upstream-refused"),
        (400, 502, "upstream-refused"),
        (401, 502, "upstream-refused"),
        (403, 502, "upstream-refused"),
        (404, 502, "upstream-refused"),
        (429, 503, "upstream-unavailable"),
        (500, 503, "upstream-unavailable"),
        (503, 503, "upstream-unavailable"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let upstream =
            Upstream::start(move |_| Some((status, [("retry-after", "7")], leaky).into_response()))
                .await;
        let server = upstream.server().await;
        let answer = server.visitor().await.mint().await;
        answer.expect_error(expected, code);
        if expected == 503 {
            assert_eq!(answer.header("retry-after"), "7");
        }
        // Neither a refusal nor a wait that is too long for a request is asked again.
        assert_eq!(upstream.asked().len(), 1, "{status}");
        server.logged(&["WARN api: upstream failed"]).await;
        for secret in ["the-token", "upstream-secret", "upstream-", "Bearer"] {
            let said = String::from_utf8_lossy(&answer.body).replace(code, "");
            assert!(!said.contains(secret), "{said}");
            let log = server.log().replace(code, "");
            assert!(!log.contains(secret), "{log}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_down_or_silent_becomes_503_before_the_page_gives_up() {
    let upstream = Upstream::start(|_| None).await;
    let silent = upstream.server().await;
    let asked = Instant::now();
    silent
        .visitor()
        .await
        .mint()
        .await
        .expect_error(503, "upstream-unreachable");
    assert!(asked.elapsed() < Duration::from_secs(10));

    let environment = [
        ("TURN_KEY_ID", "id"),
        ("TURN_KEY_API_TOKEN", "token"),
        ("TURN_API_BASE", "http://127.0.0.1:1"),
    ];
    let down = Server::start_in(&[], &environment).await;
    let answer = down.visitor().await.mint().await;
    answer.expect_error(503, "upstream-unreachable");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_provider_that_is_busy_or_broken_for_a_moment_is_asked_again() {
    for status in [429, 500, 502, 503, 504] {
        let upstream = Upstream::start(move |number| match number {
            0 | 1 => Some(bad(status)),
            _ => Some(good()),
        })
        .await;
        let server = upstream.server().await;
        let visitor = server.visitor().await;
        assert_eq!(visitor.mint().await.status, StatusCode::CREATED, "{status}");
        assert_eq!(upstream.asked().len(), 3, "{status}");
        let retries = "turn_backend_upstream_retries_total{operation=\"generate\"}";
        assert_eq!(server.metric(retries).await, 2.0);
    }
}

#[tokio::test]
async fn a_wait_that_the_provider_asks_for_is_kept() {
    let upstream = Upstream::start(|number| match number {
        0 => Some((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response()),
        _ => Some(good()),
    })
    .await;
    let server = upstream.server().await;
    let answer = server.visitor().await.mint().await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let asked = upstream.asked();
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_provider_that_stays_broken_is_given_up_after_four_tries() {
    let upstream = Upstream::start(|_| Some(bad(500))).await;
    let server = upstream.server().await;
    let answer = server.visitor().await.mint().await;
    answer.expect_error(503, "upstream-unavailable");
    assert_eq!(upstream.asked().len(), 4);
    let times =
        "turn_backend_upstream_seconds_count{operation=\"generate\",outcome=\"unavailable\"}";
    assert_eq!(server.metric(times).await, 4.0);
}

#[tokio::test]
async fn one_connection_carries_all_requests_to_the_provider() {
    let upstream = Upstream::start(|_| Some(good())).await;
    let server = upstream.server().await;
    let visitor = server.visitor().await;
    for _ in 0..20 {
        assert_eq!(visitor.mint().await.status, StatusCode::CREATED);
    }
    assert_eq!(upstream.asked().len(), 20);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_custom_identifier_reaches_the_provider() {
    let upstream = Upstream::start(|_| Some(good())).await;
    let key = TurnKey::new(&upstream.base, "key-id", Secret::new(TOKEN)).unwrap();
    key.generate(60, Some("user-4")).await.unwrap();
    assert_eq!(
        upstream.asked()[0].body,
        json!({ "ttl": 60, "customIdentifier": "user-4" })
    );
}

#[tokio::test]
async fn key_and_address_may_come_from_a_file_and_the_environment_goes_first() {
    let (ours, other) = (
        Upstream::start(|_| Some(good())).await,
        Upstream::start(|_| Some(good())).await,
    );
    let file = harness::folder().join("backend.env");
    let lines = format!(
        "# the backend's key\nTURN_KEY_ID=from-the-file\nTURN_KEY_API_TOKEN=\"{TOKEN}\"\nTURN_API_BASE={}\n",
        ours.base
    );
    std::fs::write(&file, lines).unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let server = Server::start_in(&arguments, &[]).await;
    assert_eq!(
        server.visitor().await.mint().await.status,
        StatusCode::CREATED
    );
    let asked = ours.asked();
    assert!(asked[0].path.starts_with("/v1/turn/keys/from-the-file/"));
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {TOKEN}"));
    server
        .logged(&["others can read the file of --config"])
        .await;
    assert!(!server.log().contains(TOKEN), "{}", server.log());

    let server = Server::start_in(&arguments, &[("TURN_API_BASE", &other.base)]).await;
    assert_eq!(
        server.visitor().await.mint().await.status,
        StatusCode::CREATED
    );
    assert_eq!((ours.asked().len(), other.asked().len()), (1, 1));
}
