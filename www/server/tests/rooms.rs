//! Signalling rooms as two pages use them, and as a third, a stranger and another site meet them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use harness::{Answer, SOON, Server, Visitor};
use reqwest::Method;
use serde_json::{Value, json};

/// A page in a room.
struct Member {
    visitor: Visitor,
    path: String,
}

impl Member {
    async fn join(visitor: Visitor, room: &str) -> Self {
        let answer = enter(&visitor, room).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.header("cache-control"), "no-store");
        let path = path_of(room, &answer);
        Self { visitor, path }
    }

    fn messages(&self) -> String {
        format!("{}/messages", self.path)
    }

    async fn post(&self, first: u64, messages: Value) -> Answer {
        let body = json!({ "first": first, "messages": messages });
        self.visitor.post(&self.messages(), body).await
    }

    async fn say(&self, first: u64, messages: Value) {
        let answer = self.post(first, messages).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }

    async fn get(&self, from: u64) -> Answer {
        let path = format!("{}?from={from}", self.messages());
        self.visitor.get(&path).await
    }

    async fn hear(&self, from: u64) -> Value {
        let answer = self.get(from).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.json()
    }

    async fn leave(&self) -> Answer {
        let request = self.visitor.request(Method::DELETE, &self.path);
        self.visitor.send(request).await
    }
}

async fn enter(visitor: &Visitor, room: &str) -> Answer {
    let path = format!("/api/rooms/{room}/members");
    visitor.send(visitor.request(Method::POST, &path)).await
}

fn path_of(room: &str, answer: &Answer) -> String {
    let body = answer.json();
    let member = body["member"].as_str().unwrap();
    format!("/api/rooms/{room}/members/{member}")
}

/// Two pages of two browsers in one room.
async fn two(server: &Server) -> (Member, Member) {
    (
        Member::join(server.visitor().await, "room").await,
        Member::join(server.visitor().await, "room").await,
    )
}

#[tokio::test]
async fn two_pages_hear_what_the_other_says_in_order() {
    let server = Server::start(&[]).await;
    let (a, b) = two(&server).await;
    a.say(
        0,
        json!([{ "description": { "type": "offer", "sdp": "v=0\r\n" } }, { "candidate": null }]),
    )
    .await;
    a.say(2, json!(["ä \"quoted\" \u{2028}", 7, [], null]))
        .await;
    b.say(0, json!([{ "description": { "type": "answer" } }]))
        .await;
    assert_eq!(
        b.hear(0).await,
        json!({
            "messages": [
                { "description": { "type": "offer", "sdp": "v=0\r\n" } }, { "candidate": null },
                "ä \"quoted\" \u{2028}", 7, [], null,
            ],
            "next": 6,
        })
    );
    assert_eq!(
        a.hear(0).await,
        json!({ "messages": [{ "description": { "type": "answer" } }], "next": 1 })
    );
}

#[tokio::test]
async fn the_first_member_may_speak_before_the_second_has_come() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let answer = enter(&visitor, "early").await;
    assert_eq!(answer.json()["place"], 0);
    let path = path_of("early", &answer);
    let a = Member { visitor, path };
    a.say(0, json!(["offer"])).await;

    let visitor = server.visitor().await;
    let answer = enter(&visitor, "early").await;
    assert_eq!(answer.json()["place"], 1);
    let path = path_of("early", &answer);
    let b = Member { visitor, path };
    assert_eq!(b.hear(0).await["messages"], json!(["offer"]));
}

#[tokio::test]
async fn a_page_that_waits_hears_a_message_when_it_is_sent() {
    let server = Server::start(&[]).await;
    let (a, b) = two(&server).await;
    let waiting = tokio::spawn(async move { b.hear(0).await });
    // Nothing tells that the request is waiting in the server. If it is not yet, the test still holds.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "there was nothing to hear");
    let sent = Instant::now();
    a.say(0, json!(["now"])).await;
    let heard = waiting.await.unwrap();
    assert_eq!(heard, json!({ "messages": ["now"], "next": 1 }));
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
}

#[tokio::test]
async fn a_page_that_leaves_ends_the_room_also_for_one_that_waits() {
    let server = Server::start(&[]).await;
    let (a, b) = two(&server).await;
    let waiting = tokio::spawn(async move {
        let answer = b.get(0).await;
        (b, answer)
    });
    assert_eq!(a.leave().await.status, StatusCode::NO_CONTENT);
    let (b, answer) = tokio::time::timeout(SOON, waiting)
        .await
        .expect("the request that waits is answered")
        .unwrap();
    answer.expect_error(404, "room-ended");
    b.post(0, json!([])).await.expect_error(404, "room-ended");
    a.leave().await.expect_error(404, "room-ended");
    let answer = enter(&server.visitor().await, "room").await;
    assert_eq!(answer.json()["place"], 0, "the name is free again");
}

#[tokio::test]
async fn a_page_to_which_nothing_is_said_is_answered_before_anything_gives_up() {
    let server = Server::start(&[]).await;
    let (a, b) = two(&server).await;
    a.say(0, json!(["one"])).await;
    let asked = Instant::now();
    assert_eq!(b.hear(1).await, json!({ "messages": [], "next": 1 }));
    assert!(asked.elapsed() > Duration::from_secs(5), "no busy loop");
    b.say(0, json!(["two"])).await;
    assert_eq!(a.hear(0).await["next"], 1, "the room goes on");
}

#[tokio::test]
async fn a_third_page_is_refused_and_cannot_use_what_it_knows_of_a_member() {
    let server = Server::start(&[]).await;
    let (a, _b) = two(&server).await;
    let visitor = server.visitor().await;
    enter(&visitor, "room").await.expect_error(409, "room-full");
    let thief = Member {
        visitor,
        path: a.path.clone(),
    };
    thief.get(0).await.expect_error(404, "room-ended");
    thief
        .post(0, json!(["forged"]))
        .await
        .expect_error(404, "room-ended");
    thief.leave().await.expect_error(404, "room-ended");
    a.say(0, json!(["mine"])).await;
}

#[tokio::test]
async fn without_the_cookie_and_from_another_site_there_are_no_rooms() {
    let server = Server::start(&[]).await;
    let (a, _b) = two(&server).await;
    let requests = [
        (Method::POST, "/api/rooms/other/members".to_owned()),
        (Method::POST, a.messages()),
        (Method::GET, a.messages()),
        (Method::DELETE, a.path.clone()),
    ];
    let stranger = server.stranger();
    for (method, path) in &requests {
        let request = stranger.request(method.clone(), path).json(&json!({}));
        stranger.send(request).await.expect_error(401, "no-session");
        for origin in ["https://example.com", "null", "http://127.0.0.1:1"] {
            let request = a
                .visitor
                .request(method.clone(), path)
                .header("origin", origin)
                .json(&json!({}));
            a.visitor
                .send(request)
                .await
                .expect_error(403, "foreign-origin");
        }
    }
}

#[tokio::test]
async fn what_is_not_asked_for_is_refused_with_a_reason() {
    let server = Server::start(&[]).await;
    let (a, b) = two(&server).await;
    for name in ["a.b", "%20", "%ff", "a%2Fb", &"x".repeat(65)] {
        enter(&a.visitor, name)
            .await
            .expect_error(400, "room-name-invalid");
    }
    for body in [
        json!({}),
        json!([]),
        json!({ "messages": [] }),
        json!({ "first": 0 }),
        json!({ "first": -1, "messages": [] }),
        json!({ "first": 0, "messages": {} }),
    ] {
        a.visitor
            .post(&a.messages(), body)
            .await
            .expect_error(400, "messages-missing");
    }
    a.post(0, json!(["x".repeat(16 * 1024)]))
        .await
        .expect_error(413, "body-too-large");
    a.post(1, json!(["second"]))
        .await
        .expect_error(409, "number-unexpected");
    b.get(1).await.expect_error(409, "number-unexpected");
    for query in ["from=", "from=-1", "from=x", "after=1", ""] {
        b.visitor
            .get(&format!("{}?{query}", b.messages()))
            .await
            .expect_error(400, "from-invalid");
    }
    let wrong = format!("{}/nothing", a.path);
    a.visitor.get(&wrong).await.expect_error(404, "not-found");
    let answer = a.visitor.get(&a.path).await;
    answer.expect_error(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "DELETE");
}

#[tokio::test]
async fn messages_that_nobody_fetches_are_refused_before_they_fill_the_memory() {
    let server = Server::start(&[]).await;
    let (a, b) = two(&server).await;
    let large = "x".repeat(15 * 1024);
    let mut sent = 0;
    let refused = loop {
        let answer = a.post(sent, json!([large])).await;
        if answer.status != StatusCode::NO_CONTENT {
            break answer;
        }
        sent += 1;
        assert!(sent < 50, "the limit never came");
    };
    refused.expect_error(429, "room-crowded");
    assert_eq!(refused.header("retry-after"), "1");
    let heard = b.hear(0).await;
    assert_eq!(heard["next"], sent);
    b.hear(sent - 1).await;
    a.say(sent, json!([large])).await;
}

#[tokio::test]
async fn no_log_line_holds_a_message_a_room_or_a_member() {
    let server = Server::start(&[]).await;
    let (a, b) = two(&server).await;
    a.say(0, json!(["confidential"])).await;
    b.hear(0).await;
    a.leave().await;
    server.logged(&["INFO room: joined", "place=1"]).await;
    server.logged(&["INFO room: left"]).await;
    let member = a.path.rsplit_once('/').unwrap().1;
    for secret in ["confidential", "/rooms/", member] {
        assert!(!server.log().contains(secret), "{}", server.log());
    }
}
