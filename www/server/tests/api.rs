//! The credential endpoints as a page, a stranger and another site meet them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;
use harness::{Credential, Server, until};
use reqwest::Method;
use serde_json::{Value, json};

const MINT: &str = "/api/turn-credentials";
const REVOKE: &str = "/api/turn-credentials/revoke";

#[tokio::test]
async fn a_page_gets_ice_servers_with_their_ttl_and_expiry() {
    let server = Server::start(&["--ttl", "45"]).await;
    let before = SystemTime::now();
    let answer = server.visitor().await.mint().await;
    let after = SystemTime::now();
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["ttl"], 45);
    let expires_at = humantime::parse_rfc3339(body["expiresAt"].as_str().unwrap()).unwrap();
    let ttl = Duration::from_secs(45);
    // Written with milliseconds, so up to one less than the truth.
    assert!(before + ttl <= expires_at + Duration::from_millis(1) && expires_at <= after + ttl);
    let credential = Credential::of(&body);
    assert_eq!(
        body["iceServers"],
        json!([
            { "urls": [format!("stun:{}", credential.server)] },
            {
                "urls": [
                    format!("turn:{}?transport=udp", credential.server),
                    format!("turn:{}?transport=tcp", credential.server),
                ],
                "username": credential.username,
                "credential": credential.password,
            },
        ])
    );
}

#[tokio::test]
async fn a_page_may_ask_for_another_ttl_up_to_48_hours() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    assert_eq!(visitor.mint().await.json()["ttl"], 30);
    for ttl in [1, 7, 172_800] {
        let answer = visitor.post(MINT, json!({ "ttl": ttl })).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.json()["ttl"], ttl);
    }
    for ttl in [
        json!(0),
        json!(-1),
        json!(172_801),
        json!(1e300),
        json!("60"),
        json!(1.5),
        json!(null),
    ] {
        visitor
            .post(MINT, json!({ "ttl": ttl }))
            .await
            .expect_error(400, "ttl-invalid");
    }
}

#[tokio::test]
async fn without_the_cookie_of_a_page_nothing_is_given_or_revoked() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(60).await;
    let mut stranger = server.stranger();
    stranger.mint().await.expect_error(401, "no-session");
    stranger
        .revoke(&credential.username)
        .await
        .expect_error(401, "no-session");
    let port = server.url.rsplit_once(':').unwrap().1;
    for forged in ["", "x", "0.99999999999.00", "....", "%00"] {
        stranger.cookie = Some(format!("turn_demo_{port}={forged}"));
        stranger.mint().await.expect_error(401, "no-session");
    }
}

#[tokio::test]
async fn another_site_is_refused_even_with_the_cookie() {
    let server = Server::start(&["--faults"]).await;
    let visitor = server.visitor().await;
    for origin in ["https://example.com", "null", "http://127.0.0.1:1"] {
        for path in [MINT, REVOKE, "/api/demo/revoke", "/api/demo/faults"] {
            let request = visitor
                .request(Method::POST, path)
                .header("origin", origin)
                .json(&json!({}));
            visitor
                .send(request)
                .await
                .expect_error(403, "foreign-origin");
        }
    }
    let request = visitor
        .request(Method::POST, MINT)
        .header("origin", &server.url);
    assert_eq!(visitor.send(request).await.status, StatusCode::CREATED);
    let request = visitor
        .request(Method::GET, "/")
        .header("host", "rebound.example");
    visitor
        .send(request)
        .await
        .expect_error(403, "foreign-host");
}

#[tokio::test]
async fn a_page_revokes_its_own_credential_and_no_other() {
    let server = Server::start(&[]).await;
    let (one, two) = (server.visitor().await, server.visitor().await);
    let credential = one.credential(60).await;
    two.revoke(&credential.username)
        .await
        .expect_error(403, "not-yours");
    two.revoke(&"0".repeat(96))
        .await
        .expect_error(403, "not-yours");
    two.revoke("../../x").await.expect_error(403, "not-yours");
    assert_eq!(server.turn_state().await["counters"]["revoked"], 0);
    for _ in 0..2 {
        let answer = one.revoke(&credential.username).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (StatusCode::NO_CONTENT, 0)
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(server.turn_state().await["counters"]["revoked"], 1);
}

#[tokio::test]
async fn a_body_that_is_not_what_the_endpoint_asks_for_is_refused() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let send = async |path: &str, media: &'static str, body: &'static str| {
        visitor
            .send(
                visitor
                    .request(Method::POST, path)
                    .header("content-type", media)
                    .body(body),
            )
            .await
    };
    for body in ["{", "nonsense", "{\"ttl\":}", "\u{0}"] {
        send(MINT, "application/json", body)
            .await
            .expect_error(400, "body-not-json");
        send(REVOKE, "application/json; charset=utf-8", body)
            .await
            .expect_error(400, "body-not-json");
    }
    for body in ["[]", "\"text\"", "7", "null"] {
        send(MINT, "application/json", body)
            .await
            .expect_error(400, "body-invalid");
    }
    for body in ["", "{}", "[]", "{\"username\":7}", "{\"username\":\"\"}"] {
        send(REVOKE, "application/json", body)
            .await
            .expect_error(400, "username-missing");
    }
    send(MINT, "text/plain", "{}")
        .await
        .expect_error(415, "body-not-json");
    assert_eq!(
        send(MINT, "text/plain", "").await.status,
        StatusCode::CREATED,
        "no body needs no type"
    );
}

#[tokio::test]
async fn a_body_over_16_kib_is_refused_with_and_without_its_length_announced() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    for path in [MINT, REVOKE] {
        visitor
            .post(path, json!({ "ttl": 1, "x": "x".repeat(16 * 1024) }))
            .await
            .expect_error(413, "body-too-large");
    }
    let address = server.url.strip_prefix("http://").unwrap();
    let cookie = visitor.cookie.clone().unwrap();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let request = format!(
        "POST {MINT} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(5)
    );
    let answer = raw(address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("body-too-large"));
}

/// Sends bytes as they are and reads until the server closes.
async fn raw(address: &str, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses a body may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn addresses_and_methods_that_do_not_exist_get_json_errors() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    for path in [
        "/api",
        "/api/",
        "/api/nothing",
        "/nothing.html",
        "/api/turn-credentials/",
    ] {
        visitor.get(path).await.expect_error(404, "not-found");
    }
    for path in [MINT, REVOKE, "/api/demo/revoke", "/api/demo/faults"] {
        let answer = visitor.get(path).await;
        answer.expect_error(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), "POST");
    }
    let answer = visitor
        .send(visitor.request(Method::POST, "/index.html"))
        .await;
    answer.expect_error(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD");
    assert_eq!(
        visitor
            .send(visitor.request(Method::DELETE, "/api/demo/turn"))
            .await
            .header("allow"),
        "GET,HEAD"
    );
}

#[tokio::test]
async fn a_session_that_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let server = Server::start(&[]).await;
    let (busy, calm) = (server.visitor().await, server.visitor().await);
    let mut admitted = 0;
    let refused = loop {
        let answer = busy.mint().await;
        if answer.status != StatusCode::CREATED {
            break answer;
        }
        admitted += 1;
        assert!(admitted < 500, "the limit never came");
    };
    assert!(admitted >= 60, "{admitted}");
    refused.expect_error(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(calm.mint().await.status, StatusCode::CREATED);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        busy.mint().await.status,
        StatusCode::CREATED,
        "after the wait that was asked for"
    );
}

#[tokio::test]
async fn many_pages_at_once_are_served_and_no_username_is_given_twice() {
    let server = Server::start(&[]).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let visitor = server.visitor().await;
        asking.spawn(async move {
            let mut usernames = Vec::new();
            for _ in 0..20 {
                usernames.push(visitor.credential(60).await.username);
            }
            usernames
        });
    }
    let mut usernames: Vec<String> = asking.join_all().await.into_iter().flatten().collect();
    usernames.sort_unstable();
    usernames.dedup();
    assert_eq!(usernames.len(), 400);
}

#[tokio::test]
async fn no_log_line_holds_a_secret_or_a_whole_username() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let (ended, revoked) = (visitor.credential(1).await, visitor.credential(60).await);
    assert_eq!(
        visitor.revoke(&revoked.username).await.status,
        StatusCode::NO_CONTENT
    );
    server
        .logged(&[
            "INFO turn: credential minted",
            &ended.username[..8],
            "ttl=1",
        ])
        .await;
    server
        .logged(&["INFO turn: credential revoked", &revoked.username[..8]])
        .await;
    server
        .logged(&["INFO turn: credential expired", &ended.username[..8]])
        .await;
    server
        .logged(&["INFO access: mint", &revoked.username[..8]])
        .await;
    let log = server.log() + &server.stdout();
    let cookie = visitor
        .cookie
        .as_deref()
        .unwrap()
        .split_once('=')
        .unwrap()
        .1;
    for secret in [
        &ended.username[..9],
        &revoked.username[..9],
        &ended.password[..8],
        &revoked.password[..8],
        &cookie[..8],
    ] {
        assert!(!log.contains(secret), "{log}");
    }
}

async fn set_fault(server: &Server, fault: Value) {
    let stranger = server.stranger();
    assert_eq!(
        stranger.post("/api/demo/faults", fault).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn the_credential_endpoint_misbehaves_as_it_is_told() {
    let server = Server::start(&["--faults"]).await;
    let visitor = server.visitor().await;

    set_fault(&server, json!({ "mode": "status", "status": 500 })).await;
    visitor.mint().await.expect_error(500, "fault");

    set_fault(&server, json!({ "mode": "retry-after", "seconds": 3 })).await;
    let answer = visitor.mint().await;
    answer.expect_error(429, "fault");
    assert_eq!(answer.header("retry-after"), "3");

    set_fault(&server, json!({ "mode": "delay", "seconds": 0.5 })).await;
    let asked = Instant::now();
    assert_eq!(visitor.mint().await.status, StatusCode::CREATED);
    assert!(asked.elapsed() >= Duration::from_millis(500));

    set_fault(&server, json!({ "mode": "hang" })).await;
    let hanging = visitor
        .request(Method::POST, MINT)
        .timeout(Duration::from_millis(500))
        .send()
        .await;
    assert!(hanging.unwrap_err().is_timeout());

    set_fault(&server, json!({ "mode": "stall" })).await;
    let response = visitor
        .request(Method::POST, MINT)
        .timeout(Duration::from_secs(1))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(response.bytes().await.unwrap_err().is_timeout());

    let html = json!({ "mode": "body", "status": 200, "contentType": "text/html", "body": "<p>", "repeat": 3 });
    set_fault(&server, html).await;
    let answer = visitor.mint().await;
    assert_eq!(
        (answer.header("content-type"), answer.body.as_slice()),
        ("text/html", &b"<p><p><p>"[..])
    );

    set_fault(
        &server,
        json!({ "mode": "status", "status": 503, "times": 1 }),
    )
    .await;
    visitor.mint().await.expect_error(503, "fault");
    assert_eq!(visitor.mint().await.status, StatusCode::CREATED);

    set_fault(&server, json!({ "mode": "none" })).await;
    assert_eq!(visitor.mint().await.status, StatusCode::CREATED);
    visitor
        .post("/api/demo/faults", json!({ "mode": "explode" }))
        .await
        .expect_error(400, "fault-invalid");
}

#[tokio::test]
async fn without_the_flag_nobody_can_make_it_misbehave() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    visitor
        .post("/api/demo/faults", json!({ "mode": "hang" }))
        .await
        .expect_error(404, "faults-off");
    visitor
        .post("/api/demo/revoke", json!({ "username": "0" }))
        .await
        .expect_error(404, "username-unknown");
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up_and_holds_up_nobody() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let cookie = visitor.cookie.clone().unwrap();
    let request = format!(
        "POST {MINT} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\ncontent-type: application/json\r\n\
         content-length: 10\r\nconnection: close\r\n\r\n{{"
    );
    let slow = tokio::spawn(async move { raw(&address, &request).await });
    assert_eq!(visitor.mint().await.status, StatusCode::CREATED);
    let answer = until(
        "the slow request is given up",
        Duration::from_secs(15),
        async || slow.is_finished().then_some(()),
    )
    .await;
    let () = answer;
    assert!(slow.await.unwrap().starts_with("HTTP/1.1 408 "));
}
