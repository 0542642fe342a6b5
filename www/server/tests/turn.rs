//! The embedded TURN server, asked by real clients over UDP and TCP: what it relays, what it refuses and how, and that
//! allocations end with their credential.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::time::{Duration, Instant};

use harness::turn_client::{Asker, BOTH, Relay, code, connect, text, transport_wanted};
use harness::{Credential, SOON, Server, until};
use serde_json::json;
use stun::attributes::{ATTR_NONCE, ATTR_REALM};
use stun::message::{
    METHOD_ALLOCATE, METHOD_BINDING, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH,
    Method, Setter,
};
use turn::proto::channum::ChannelNumber;
use turn::proto::lifetime::Lifetime;
use turn::proto::peeraddr::PeerAddress;
use turn_demo_server::turn::Transport;

/// What Cloudflare documents as "a short delay", and what the contract allows.
const A_SECOND: Duration = Duration::from_secs(1);

fn peer() -> Box<dyn Setter> {
    Box::new(PeerAddress {
        ip: "127.0.0.1".parse().unwrap(),
        port: 9,
    })
}

fn requests_on_an_allocation() -> Vec<(Method, Vec<Box<dyn Setter>>)> {
    vec![
        (
            METHOD_REFRESH,
            vec![Box::new(Lifetime(Duration::from_secs(600))) as Box<dyn Setter>],
        ),
        (METHOD_CREATE_PERMISSION, vec![peer()]),
        (
            METHOD_CHANNEL_BIND,
            vec![Box::new(ChannelNumber(0x4000)), peer()],
        ),
    ]
}

async fn gone_within_a_second(server: &Server, username: &str) {
    until("the allocation is gone", A_SECOND, async || {
        (server.allocations_of(username).await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_relays_exchange_data_over_every_pair_of_transports() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    for one in BOTH {
        for two in BOTH {
            let one = Relay::allocate(one, &visitor.credential(60).await)
                .await
                .unwrap();
            let two = Relay::allocate(two, &visitor.credential(60).await)
                .await
                .unwrap();
            // The first message of each opens the permission that the other's needs; it may be lost before that.
            one.conn.send_to(b"open", two.address()).await.unwrap();
            two.conn.send_to(b"open", one.address()).await.unwrap();
            for size in [1, 5, 1200] {
                let (ping, pong) = (vec![1; size], vec![2; size]);
                one.conn.send_to(&ping, two.address()).await.unwrap();
                while two.receive().await != (ping.clone(), one.address()) {}
                two.conn.send_to(&pong, one.address()).await.unwrap();
                while one.receive().await != (pong.clone(), two.address()) {}
            }
            one.close().await;
            two.close().await;
        }
    }
    until("all allocations are released", SOON, async || {
        (server.turn_state().await["allocations"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_binding_request_is_answered_without_credentials() {
    let server = Server::start(&[]).await;
    let address = server.visitor().await.credential(60).await.server;
    for transport in BOTH {
        let answer = Asker::new(transport, address)
            .await
            .ask(Asker::message(METHOD_BINDING, vec![]))
            .await;
        assert_eq!(code(&answer), None);
    }
}

#[tokio::test]
async fn an_unknown_username_a_wrong_password_and_a_revoked_credential_are_refused_with_401() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let good = visitor.credential(60).await;
    let revoked = visitor.credential(60).await;
    assert_eq!(visitor.revoke(&revoked.username).await.status, 204);
    let unknown = Credential {
        username: "0".repeat(96),
        ..good.clone()
    };
    let wrong = Credential {
        password: "wrong".into(),
        ..good.clone()
    };
    for transport in BOTH {
        for (credential, reason) in [
            (&unknown, "unknown"),
            (&wrong, "wrong-credential"),
            (&revoked, "revoked"),
        ] {
            let answer = Asker::new(transport, good.server)
                .await
                .allocate(credential)
                .await;
            assert_eq!(code(&answer), Some(401), "{reason} over {transport:?}");
            // A browser that got other credentials meanwhile can go on from here.
            assert!(text(&answer, ATTR_REALM).is_some() && text(&answer, ATTR_NONCE).is_some());
            let transport = format!("transport={}", transport.name());
            server
                .logged(&[
                    "request refused",
                    &credential.username[..8],
                    &transport,
                    "code=401",
                    reason,
                ])
                .await;
        }
        assert_eq!(
            code(
                &Asker::new(transport, good.server)
                    .await
                    .allocate(&good)
                    .await
            ),
            None
        );
    }
}

#[tokio::test]
async fn the_crates_own_client_sees_401_and_no_allocation() {
    let server = Server::start(&[]).await;
    let good = server.visitor().await.credential(60).await;
    let wrong = Credential {
        password: "wrong".into(),
        ..good
    };
    for transport in BOTH {
        let Err(error) = Relay::allocate(transport, &wrong).await else {
            panic!("allocated")
        };
        assert!(error.to_string().contains("401"), "{error}");
    }
    assert_eq!(server.turn_state().await["allocations"], json!([]));
}

#[tokio::test]
async fn after_revocation_the_allocation_is_gone_within_a_second_and_a_new_one_is_refused() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    for transport in BOTH {
        let (credential, other) = (visitor.credential(600).await, visitor.credential(600).await);
        let relay = Relay::allocate(transport, &credential).await.unwrap();
        let kept = Relay::allocate(transport, &other).await.unwrap();
        assert_eq!(server.allocations_of(&credential.username).await, 1);
        assert_eq!(visitor.revoke(&credential.username).await.status, 204);
        gone_within_a_second(&server, &credential.username).await;
        server
            .logged(&[
                "allocation gone",
                &credential.username[..8],
                "reason=revoked",
            ])
            .await;
        let answer = Asker::new(transport, credential.server)
            .await
            .allocate(&credential)
            .await;
        assert_eq!(code(&answer), Some(401));
        assert_eq!(
            server.allocations_of(&other.username).await,
            1,
            "another credential's allocation stays"
        );
        drop((relay, kept));
    }
}

#[tokio::test]
async fn an_expired_credential_ends_its_allocations_within_a_second_and_not_before() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    for transport in BOTH {
        let before = Instant::now();
        let credential = visitor.credential(2).await;
        let after = Instant::now();
        let relays = [
            Relay::allocate(transport, &credential).await,
            Relay::allocate(transport, &credential).await,
        ];
        assert_eq!(server.allocations_of(&credential.username).await, 2);
        until("both allocations are gone", SOON, async || {
            (server.allocations_of(&credential.username).await == 0).then_some(())
        })
        .await;
        assert!(
            before.elapsed() >= Duration::from_secs(2),
            "the allocation ended before its credential"
        );
        assert!(
            after.elapsed() <= Duration::from_secs(3),
            "the allocation outlived its credential by over a second"
        );
        server
            .logged(&["credential expired", &credential.username[..8]])
            .await;
        server
            .logged(&[
                "allocation gone",
                &credential.username[..8],
                "reason=expired",
            ])
            .await;
        let answer = Asker::new(transport, credential.server)
            .await
            .allocate(&credential)
            .await;
        assert_eq!(code(&answer), Some(401));
        drop(relays);
    }
}

#[tokio::test]
async fn every_request_on_an_allocation_is_refused_with_401_once_its_credential_is_revoked() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    for transport in BOTH {
        for (method, more) in requests_on_an_allocation() {
            let credential = visitor.credential(600).await;
            let asker = Asker::new(transport, credential.server).await;
            assert_eq!(code(&asker.allocate(&credential).await), None);
            let (realm, nonce) = asker.challenge().await;
            // Refused whether or not the allocation has been swept away by then.
            assert_eq!(visitor.revoke(&credential.username).await.status, 204);
            let answer = asker
                .ask_with(&credential, &realm, &nonce, method, more)
                .await;
            assert_eq!(code(&answer), Some(401), "{method} over {transport:?}");
        }
    }
}

#[tokio::test]
async fn good_requests_on_an_allocation_succeed() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    for transport in BOTH {
        let asker = Asker::new(transport, credential.server).await;
        assert_eq!(code(&asker.allocate(&credential).await), None);
        for (method, more) in requests_on_an_allocation() {
            assert_eq!(
                code(&asker.ask_as(&credential, method, more).await),
                None,
                "{method} over {transport:?}"
            );
        }
    }
}

#[tokio::test]
async fn requests_without_an_allocation_are_answered_with_437() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    for transport in BOTH {
        for (method, more) in requests_on_an_allocation() {
            let asker = Asker::new(transport, credential.server).await;
            let answer = asker.ask_as(&credential, method, more).await;
            assert_eq!(code(&answer), Some(437), "{method} over {transport:?}");
        }
    }
}

#[tokio::test]
async fn another_username_on_an_allocation_is_answered_with_441() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let (owner, other) = (visitor.credential(600).await, visitor.credential(600).await);
    for transport in BOTH {
        let asker = Asker::new(transport, owner.server).await;
        assert_eq!(code(&asker.allocate(&owner).await), None);
        for (method, more) in requests_on_an_allocation() {
            let answer = asker.ask_as(&other, method, more).await;
            assert_eq!(code(&answer), Some(441), "{method} over {transport:?}");
        }
    }
}

#[tokio::test]
async fn a_stale_nonce_is_answered_with_438_and_the_new_one_works() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    let asker = Asker::new(Transport::Udp, credential.server).await;
    let (realm, _) = asker.challenge().await;
    let answer = asker
        .ask_with(
            &credential,
            &realm,
            "stale",
            METHOD_ALLOCATE,
            vec![transport_wanted()],
        )
        .await;
    assert_eq!(code(&answer), Some(438));
    let nonce = text(&answer, ATTR_NONCE).unwrap();
    let answer = asker
        .ask_with(
            &credential,
            &realm,
            &nonce,
            METHOD_ALLOCATE,
            vec![transport_wanted()],
        )
        .await;
    assert_eq!(code(&answer), None);
}

#[tokio::test]
async fn a_malformed_request_with_a_good_credential_stays_a_400() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    let asker = Asker::new(Transport::Udp, credential.server).await;
    assert_eq!(
        code(&asker.ask_as(&credential, METHOD_ALLOCATE, vec![]).await),
        Some(400)
    );
    assert_eq!(code(&asker.allocate(&credential).await), None);
    assert_eq!(
        code(
            &asker
                .ask_as(&credential, METHOD_CREATE_PERMISSION, vec![])
                .await
        ),
        Some(400)
    );
}

#[tokio::test]
async fn a_closed_stream_takes_its_allocation_along_and_no_other() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    let stays = Asker::new(Transport::Tcp, credential.server).await;
    assert_eq!(code(&stays.allocate(&credential).await), None);
    let goes = Asker::new(Transport::Tcp, credential.server).await;
    assert_eq!(code(&goes.allocate(&credential).await), None);
    assert_eq!(server.allocations_of(&credential.username).await, 2);
    drop(goes);
    until("one allocation is left", A_SECOND, async || {
        (server.allocations_of(&credential.username).await == 1).then_some(())
    })
    .await;
    server
        .logged(&[
            "allocation gone",
            "transport=tcp",
            "reason=released",
            "live=1",
        ])
        .await;
}

#[tokio::test]
async fn clients_that_vanish_do_not_end_the_service_of_others() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    // Relaying to a client whose socket is closed raises ICMP errors at the server.
    let gone = Relay::allocate(Transport::Udp, &credential).await.unwrap();
    let sender = Relay::allocate(Transport::Udp, &credential).await.unwrap();
    gone.conn.send_to(b"open", sender.address()).await.unwrap();
    let target = gone.address();
    drop(gone);
    for _ in 0..20 {
        sender.conn.send_to(b"into the void", target).await.unwrap();
    }
    for transport in BOTH {
        let asker = Asker::new(transport, credential.server).await;
        assert_eq!(code(&asker.allocate(&credential).await), None);
    }
}

#[tokio::test]
async fn noise_is_ignored_over_udp_and_ends_the_stream_over_tcp() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    for transport in BOTH {
        let asker = Asker::new(transport, credential.server).await;
        for noise in [
            &[][..],
            &[0],
            &[0xff; 64],
            &[0x40, 0, 0xff, 0xff],
            &[0; 1400],
        ] {
            // The server may have hung up by now, which is the right thing to do to noise.
            let _ = asker.conn.send_to(noise, credential.server).await;
        }
        let asker = Asker::new(transport, credential.server).await;
        assert_eq!(code(&asker.allocate(&credential).await), None);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    let deaf = Asker::new(Transport::Tcp, credential.server).await;
    assert_eq!(code(&deaf.allocate(&credential).await), None);
    assert_eq!(
        code(
            &deaf
                .ask_as(&credential, METHOD_CREATE_PERMISSION, vec![peer()])
                .await
        ),
        None
    );
    let relay: std::net::SocketAddr = {
        let line = server
            .logged(&["allocation created", "transport=tcp"])
            .await;
        let rest = line.split("relay=").nth(1).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let flood = connect(Transport::Udp, credential.server).await;
    for _ in 0..20_000 {
        let _ = flood.send_to(&[7; 1200], relay).await;
    }
    let asked = Instant::now();
    let other = Asker::new(Transport::Tcp, credential.server).await;
    assert_eq!(code(&other.allocate(&credential).await), None);
    assert!(asked.elapsed() < A_SECOND);
}

#[tokio::test]
async fn many_clients_at_once_all_get_their_allocation_and_all_lose_it_with_their_credential() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let credential = visitor.credential(600).await;
    let mut clients = tokio::task::JoinSet::new();
    let local = tokio::task::LocalSet::new();
    for n in 0..100 {
        let credential = credential.clone();
        let ask = async move {
            let asker = Asker::new(BOTH[n % 2], credential.server).await;
            (code(&asker.allocate(&credential).await), asker)
        };
        clients.spawn_local_on(ask, &local);
    }
    let answers = local.run_until(clients.join_all()).await;
    assert!(answers.iter().all(|(code, _)| code.is_none()));
    assert_eq!(server.allocations_of(&credential.username).await, 100);
    assert_eq!(server.turn_state().await["counters"]["peak"], 100);
    assert_eq!(visitor.revoke(&credential.username).await.status, 204);
    gone_within_a_second(&server, &credential.username).await;
}

#[tokio::test]
async fn revocation_by_the_provider_ends_allocations_too() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let credential = visitor.credential(600).await;
    let relay = Relay::allocate(Transport::Udp, &credential).await.unwrap();
    let answer = visitor
        .post(
            "/api/demo/revoke",
            json!({ "username": credential.username }),
        )
        .await;
    assert_eq!(answer.status, 204);
    gone_within_a_second(&server, &credential.username).await;
    drop(relay);
}

#[tokio::test]
async fn the_state_of_the_turn_server_shows_allocations_and_counts() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    let one = Relay::allocate(Transport::Udp, &credential).await.unwrap();
    let two = Relay::allocate(Transport::Tcp, &credential).await.unwrap();
    one.conn.send_to(&[1; 100], two.address()).await.unwrap();
    let state = until("relayed bytes are counted", SOON, async || {
        let state = server.turn_state().await;
        let counted = state["allocations"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["relayedBytes"] == 100);
        counted.then_some(state)
    })
    .await;
    let mut protocols: Vec<_> = state["allocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["protocol"].as_str().unwrap())
        .collect();
    protocols.sort_unstable();
    assert_eq!(protocols, ["tcp", "udp"]);
    assert_eq!(
        state["allocations"][0]["username"],
        credential.username[..8]
    );
    assert!(
        state["allocations"][0]["expiresAt"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(
        state["counters"],
        json!({ "minted": 1, "revoked": 0, "expired": 0, "refused": 0, "peak": 2 })
    );
}
