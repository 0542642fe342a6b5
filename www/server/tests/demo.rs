//! What the demo page may do to the embedded TURN server, and how it learns that it may.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::time::Duration;

use harness::turn_client::{ALL, Asker, code};
use harness::{SOON, Server, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stun::message::{METHOD_BINDING, METHOD_REFRESH};
use turn::proto::lifetime::Lifetime;
use turn_demo_server::turn::Transport;

const RESTART: &str = "/api/demo/turn/restart";
const SILENCE: &str = "/api/demo/turn/silence";

async fn post(server: &Server, path: &str, body: Value) {
    let answer = server.stranger().post(path, body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

fn refresh() -> Vec<Box<dyn stun::message::Setter>> {
    vec![Box::new(Lifetime(Duration::from_secs(600)))]
}

#[tokio::test]
async fn a_page_is_told_what_it_can_do_here() {
    for (arguments, ttl, max_ttl, faults) in [
        (&["--ttl", "45", "--max-ttl", "600"][..], 45, 600, false),
        (&["--faults"], 30, 172_800, true),
    ] {
        let server = Server::start(arguments).await;
        let about = server.stranger().get("/api/demo").await;
        assert_eq!(about.header("cache-control"), "no-store");
        assert_eq!(
            about.json(),
            json!({ "ttl": ttl, "maxTtl": max_ttl, "embedded": true, "faults": faults })
        );
    }
}

#[tokio::test]
async fn nothing_can_be_broken_unless_the_server_was_started_for_it() {
    let server = Server::start(&[]).await;
    for (path, body) in [(RESTART, json!({})), (SILENCE, json!({ "seconds": 1 }))] {
        server
            .stranger()
            .post(path, body)
            .await
            .expect_error(404, "faults-off");
    }
}

#[tokio::test]
async fn another_sites_page_can_break_nothing() {
    let server = Server::start(&["--faults"]).await;
    let visitor = server.visitor().await;
    for path in [RESTART, SILENCE] {
        let request = visitor
            .request(Method::POST, path)
            .header("origin", "https://example.com");
        visitor
            .send(request)
            .await
            .expect_error(403, "foreign-origin");
    }
}

#[tokio::test]
async fn a_restart_ends_every_allocation_and_every_stream_and_no_credential() {
    let server = Server::start(&["--faults", "--turn-tls"]).await;
    let credential = server.visitor().await.credential(600).await;
    let [udp, tcp] = [
        Asker::new(Transport::Udp, credential.server).await,
        Asker::new(Transport::Tcp, credential.server).await,
    ];
    for asker in [&udp, &tcp] {
        assert_eq!(code(&asker.allocate(&credential).await), None);
    }
    assert_eq!(server.allocations_of(&credential.username).await, 2);

    post(&server, RESTART, json!({})).await;
    until("both allocations are gone", SOON, async || {
        (server.allocations_of(&credential.username).await == 0).then_some(())
    })
    .await;
    let answer = udp.ask_as(&credential, METHOD_REFRESH, refresh()).await;
    assert_eq!(code(&answer), Some(437));
    let mut buffer = vec![0; 2000];
    let ended = tokio::time::timeout(SOON, tcp.conn.recv_from(&mut buffer)).await;
    assert!(ended.expect("the stream stayed open").is_err());

    for transport in ALL {
        let asker = Asker::new(transport, credential.at(transport)).await;
        assert_eq!(code(&asker.allocate(&credential).await), None);
    }
}

#[tokio::test]
async fn a_silent_server_answers_nothing_until_its_silence_is_over() {
    let server = Server::start(&["--faults", "--turn-tls"]).await;
    let credential = server.visitor().await.credential(60).await;
    for transport in ALL {
        let asker = Asker::new(transport, credential.at(transport)).await;
        post(&server, SILENCE, json!({ "seconds": 60 })).await;
        let binding = || Asker::message(METHOD_BINDING, vec![]);
        let silence = Duration::from_millis(300);
        let unanswered = tokio::time::timeout(silence, asker.ask(binding())).await;
        assert!(unanswered.is_err(), "answered over {transport:?}");
        post(&server, SILENCE, json!({ "seconds": 0 })).await;
        assert_eq!(code(&asker.ask(binding()).await), None);
        // And by itself.
        post(&server, SILENCE, json!({ "seconds": 0.05 })).await;
        until("the silence is over", SOON, async || {
            tokio::time::timeout(silence, asker.ask(binding()))
                .await
                .ok()
                .map(drop)
        })
        .await;
    }
}

#[tokio::test]
async fn a_silence_has_a_length_from_0_to_60_seconds() {
    let server = Server::start(&["--faults"]).await;
    for wrong in [
        json!({}),
        json!({ "seconds": -1 }),
        json!({ "seconds": 61 }),
        json!({ "seconds": "1" }),
    ] {
        server
            .stranger()
            .post(SILENCE, wrong)
            .await
            .expect_error(400, "seconds-invalid");
    }
}
