//! The embedded TURN server, asked by real clients over UDP, TCP and TLS: what it relays, what it refuses and how, and that
//! allocations end with their credential.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use harness::turn_client::{ALL, Asker, Relay, WITH_TLS, code, connect, text, transport_wanted};
use harness::{Credential, SOON, Server, until};
use serde_json::json;
use stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_UNKNOWN_ATTRIBUTES, AttrType, RawAttribute};
use stun::integrity::MessageIntegrity;
use stun::message::{
    METHOD_ALLOCATE, METHOD_BINDING, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH,
    Method, Setter,
};
use turn::proto::channum::ChannelNumber;
use turn::proto::lifetime::Lifetime;
use turn::proto::peeraddr::PeerAddress;
use turn::proto::reqfamily::REQUESTED_FAMILY_IPV6;
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
    let server = Server::start(&WITH_TLS).await;
    let visitor = server.visitor().await;
    for one in ALL {
        for two in ALL {
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
    let server = Server::start(&WITH_TLS).await;
    let credential = server.visitor().await.credential(60).await;
    for transport in ALL {
        let answer = Asker::new(transport, credential.at(transport))
            .await
            .ask(Asker::message(METHOD_BINDING, vec![]))
            .await;
        assert_eq!(code(&answer), None);
    }
}

#[tokio::test]
async fn an_unknown_username_a_wrong_password_and_a_revoked_credential_are_refused_with_401() {
    let server = Server::start(&WITH_TLS).await;
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
    for transport in ALL {
        for (credential, reason) in [
            (&unknown, "unknown"),
            (&wrong, "wrong-credential"),
            (&revoked, "revoked"),
        ] {
            let answer = Asker::new(transport, good.at(transport))
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
                &Asker::new(transport, good.at(transport))
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
    let server = Server::start(&WITH_TLS).await;
    let good = server.visitor().await.credential(60).await;
    let wrong = Credential {
        password: "wrong".into(),
        ..good
    };
    for transport in ALL {
        let Err(error) = Relay::allocate(transport, &wrong).await else {
            panic!("allocated")
        };
        assert!(error.to_string().contains("401"), "{error}");
    }
    assert_eq!(server.turn_state().await["allocations"], json!([]));
}

#[tokio::test]
async fn after_revocation_the_allocation_is_gone_within_a_second_and_a_new_one_is_refused() {
    let server = Server::start(&WITH_TLS).await;
    let visitor = server.visitor().await;
    for transport in ALL {
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
        let answer = Asker::new(transport, credential.at(transport))
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
    let server = Server::start(&WITH_TLS).await;
    let visitor = server.visitor().await;
    for transport in ALL {
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
        let answer = Asker::new(transport, credential.at(transport))
            .await
            .allocate(&credential)
            .await;
        assert_eq!(code(&answer), Some(401));
        drop(relays);
    }
}

#[tokio::test]
async fn every_request_on_an_allocation_is_refused_with_401_once_its_credential_is_revoked() {
    let server = Server::start(&WITH_TLS).await;
    let visitor = server.visitor().await;
    for transport in ALL {
        for (method, more) in requests_on_an_allocation() {
            let credential = visitor.credential(600).await;
            let asker = Asker::new(transport, credential.at(transport)).await;
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
    let server = Server::start(&WITH_TLS).await;
    let credential = server.visitor().await.credential(600).await;
    for transport in ALL {
        let asker = Asker::new(transport, credential.at(transport)).await;
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
    let server = Server::start(&WITH_TLS).await;
    let credential = server.visitor().await.credential(600).await;
    for transport in ALL {
        for (method, more) in requests_on_an_allocation() {
            let asker = Asker::new(transport, credential.at(transport)).await;
            let answer = asker.ask_as(&credential, method, more).await;
            assert_eq!(code(&answer), Some(437), "{method} over {transport:?}");
        }
    }
}

#[tokio::test]
async fn another_username_on_an_allocation_is_answered_with_441() {
    let server = Server::start(&WITH_TLS).await;
    let visitor = server.visitor().await;
    let (owner, other) = (visitor.credential(600).await, visitor.credential(600).await);
    for transport in ALL {
        let asker = Asker::new(transport, owner.at(transport)).await;
        assert_eq!(code(&asker.allocate(&owner).await), None);
        for (method, more) in requests_on_an_allocation() {
            let answer = asker.ask_as(&other, method, more).await;
            assert_eq!(code(&answer), Some(441), "{method} over {transport:?}");
        }
    }
}

#[tokio::test]
async fn a_stale_nonce_is_answered_with_438_and_the_new_one_works() {
    let server = Server::start(&WITH_TLS).await;
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
async fn a_nonce_is_worth_nothing_to_another_client() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    let (one, other) = (
        Asker::new(Transport::Udp, credential.server).await,
        Asker::new(Transport::Udp, credential.server).await,
    );
    let (realm, nonce) = one.challenge().await;
    let allocate = async |asker: &Asker| {
        let more = vec![transport_wanted()];
        let answer = asker
            .ask_with(&credential, &realm, &nonce, METHOD_ALLOCATE, more)
            .await;
        code(&answer)
    };
    assert_eq!(allocate(&other).await, Some(438));
    assert_eq!(allocate(&one).await, None);
}

#[tokio::test]
async fn a_username_holds_as_many_allocations_as_its_quota_and_gets_486_for_the_next() {
    let server = Server::start(&["--turn-tls", "--turn-quota", "3"]).await;
    let visitor = server.visitor().await;
    let (credential, other) = (visitor.credential(600).await, visitor.credential(600).await);
    let mut holders = Vec::new();
    for transport in ALL {
        let asker = Asker::new(transport, credential.at(transport)).await;
        assert_eq!(code(&asker.allocate(&credential).await), None);
        holders.push(asker);
    }
    let more = Asker::new(Transport::Udp, credential.server).await;
    assert_eq!(code(&more.allocate(&credential).await), Some(486));
    server
        .logged(&["request refused", "code=486", "quota-reached"])
        .await;
    assert_eq!(code(&more.allocate(&other).await), None);
    // What is given back can be had again.
    let release: Vec<Box<dyn Setter>> = vec![Box::new(Lifetime(Duration::ZERO))];
    let answer = holders[0]
        .ask_as(&credential, METHOD_REFRESH, release)
        .await;
    assert_eq!(code(&answer), None);
    let next = Asker::new(Transport::Udp, credential.server).await;
    until("the quota has room again", A_SECOND, async || {
        code(&next.allocate(&credential).await)
            .is_none()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_the_server_does_not_know_is_named_and_another_realm_is_refused() {
    let server = Server::start(&WITH_TLS).await;
    let credential = server.visitor().await.credential(600).await;
    for transport in ALL {
        let asker = Asker::new(transport, credential.at(transport)).await;
        let strange: Vec<Box<dyn Setter>> = vec![
            transport_wanted(),
            Box::new(RawAttribute {
                typ: AttrType(0x7abc),
                length: 4,
                value: vec![1; 4],
            }),
        ];
        let answer = asker.ask_as(&credential, METHOD_ALLOCATE, strange).await;
        assert_eq!(code(&answer), Some(420));
        assert_eq!(
            answer.get(ATTR_UNKNOWN_ATTRIBUTES).unwrap(),
            [0x7a, 0xbc],
            "the attribute that was not understood"
        );
        let six: Vec<Box<dyn Setter>> = vec![transport_wanted(), Box::new(REQUESTED_FAMILY_IPV6)];
        let answer = asker.ask_as(&credential, METHOD_ALLOCATE, six).await;
        assert_eq!(code(&answer), Some(440), "there are relays for IPv4 only");
        let answer = asker.ask_as(&credential, Method::default(), vec![]).await;
        assert_eq!(code(&answer), Some(400), "a method that there is none of");
        let (_, nonce) = asker.challenge().await;
        let answer = asker
            .ask_with(
                &credential,
                "elsewhere",
                &nonce,
                METHOD_ALLOCATE,
                vec![transport_wanted()],
            )
            .await;
        assert_eq!(code(&answer), Some(401));
        assert_eq!(code(&asker.allocate(&credential).await), None);
    }
}

#[tokio::test]
async fn an_error_after_authentication_is_signed_so_that_nobody_can_forge_it() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    let asker = Asker::new(Transport::Udp, credential.server).await;
    let (realm, _) = asker.challenge().await;
    let mut answer = asker.ask_as(&credential, METHOD_REFRESH, vec![]).await;
    assert_eq!(code(&answer), Some(437));
    let key = MessageIntegrity::new_long_term_integrity(
        credential.username.clone(),
        realm,
        credential.password.clone(),
    );
    key.check(&mut answer).unwrap();
}

#[tokio::test]
async fn ten_thousand_challenges_leave_nothing_behind_and_the_next_client_is_served() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(600).await;
    let flood = Asker::new(Transport::Udp, credential.server).await;
    let challenges = async |count: u32| {
        for _ in 0..count {
            flood.challenge().await;
        }
    };
    challenges(1_000).await;
    let before = server.memory();
    challenges(10_000).await;
    // A kept nonce would take some 150 bytes.
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes");
    let asker = Asker::new(Transport::Udp, credential.server).await;
    assert_eq!(code(&asker.allocate(&credential).await), None);
}

#[tokio::test]
async fn told_to_end_the_server_ends_allocations_and_streams_before_it_goes() {
    let mut server = Server::start(&WITH_TLS).await;
    let credential = server.visitor().await.credential(600).await;
    let mut askers = Vec::new();
    for transport in ALL {
        let asker = Asker::new(transport, credential.at(transport)).await;
        assert_eq!(code(&asker.allocate(&credential).await), None);
        askers.push(asker);
    }
    server.signal("-TERM");
    assert_eq!(server.exit_code().await, Some(0));
    for transport in ALL {
        let transport = format!("transport={}", transport.name());
        server
            .logged(&["allocation gone", &transport, "reason=shutdown"])
            .await;
    }
    server
        .logged(&["embedded TURN server stopped", "allocations=3"])
        .await;
    for asker in &askers[1..] {
        let mut buffer = [0; 100];
        let ended = tokio::time::timeout(SOON, asker.conn.recv_from(&mut buffer)).await;
        assert!(ended.unwrap().is_err(), "the stream is over");
    }
}

#[tokio::test]
async fn the_server_listens_and_relays_at_the_address_that_it_is_told() {
    let server = Server::start(&["--turn-address", "127.0.0.2"]).await;
    let credential = server.visitor().await.credential(600).await;
    let address = "127.0.0.2".parse::<std::net::IpAddr>().unwrap();
    assert_eq!(credential.server.ip(), address);
    let relay = Relay::allocate(Transport::Tcp, &credential).await.unwrap();
    assert_eq!(relay.address().ip(), address);
}

#[tokio::test]
async fn a_stream_that_shakes_no_hands_holds_up_nobody() {
    let server = Server::start(&WITH_TLS).await;
    let credential = server.visitor().await.credential(600).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        let stream = tokio::net::TcpStream::connect(credential.at(Transport::Tls)).await;
        silent.push(stream.unwrap());
    }
    let asker = Asker::new(Transport::Tls, credential.at(Transport::Tls)).await;
    assert_eq!(code(&asker.allocate(&credential).await), None);
}

#[tokio::test]
async fn with_cloudflares_limits_a_relay_reaches_five_new_addresses_a_second() {
    let server = Server::start(&["--cloudflare-limits"]).await;
    let credential = server.visitor().await.credential(600).await;
    let relay = Relay::allocate(Transport::Udp, &credential).await.unwrap();
    let mut peers = Vec::new();
    for n in 1..=20 {
        let peer = tokio::net::UdpSocket::bind((Ipv4Addr::new(127, 0, 1, n), 0)).await;
        peers.push(peer.unwrap());
    }
    for peer in &peers {
        // The first message waits for the permission.
        let to = peer.local_addr().unwrap();
        relay.conn.send_to(b"hello", to).await.unwrap();
    }
    // What arrives arrives at once on loopback: in the order in which it was sent.
    let mut reached = 0;
    for peer in &peers {
        let mut buffer = [0; 10];
        let within = if reached < 5 { SOON } else { A_SECOND / 10 };
        match tokio::time::timeout(within, peer.recv_from(&mut buffer)).await {
            Ok(_) => reached += 1,
            Err(_) => break,
        }
    }
    // A bucket of five that fills while twenty permissions are asked for.
    assert!((5..20).contains(&reached), "{reached}");
}

#[tokio::test]
async fn a_malformed_request_with_a_good_credential_stays_a_400() {
    let server = Server::start(&WITH_TLS).await;
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
    let server = Server::start(&WITH_TLS).await;
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
    for transport in ALL {
        let asker = Asker::new(transport, credential.at(transport)).await;
        assert_eq!(code(&asker.allocate(&credential).await), None);
    }
}

#[tokio::test]
async fn noise_is_ignored_over_udp_and_ends_the_stream_over_tcp() {
    let server = Server::start(&WITH_TLS).await;
    let credential = server.visitor().await.credential(600).await;
    for transport in ALL {
        let asker = Asker::new(transport, credential.at(transport)).await;
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
        let asker = Asker::new(transport, credential.at(transport)).await;
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
    let server = Server::start(&WITH_TLS).await;
    let visitor = server.visitor().await;
    let credential = visitor.credential(600).await;
    let mut clients = tokio::task::JoinSet::new();
    let local = tokio::task::LocalSet::new();
    for n in 0..100 {
        let credential = credential.clone();
        let ask = async move {
            let asker = Asker::new(ALL[n % 3], credential.at(ALL[n % 3])).await;
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
