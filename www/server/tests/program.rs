//! The program as a command: what it prints, how it ends, and what it says when it cannot start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use harness::turn_client::Relay;
use harness::{Credential, Server, program};
use serde_json::json;
use turn_demo_server::cloudflare::TurnKey;
use turn_demo_server::credential::CredentialStore;
use turn_demo_server::emulator::Emulator;
use turn_demo_server::limit::Limit;
use turn_demo_server::secret::Secret;
use turn_demo_server::turn::{ServerUrls, Transport};

#[tokio::test]
async fn it_prints_exactly_one_line_on_stdout() {
    let server = Server::start(&[]).await;
    let credential = server.visitor().await.credential(60).await;
    server
        .logged(&["INFO access: mint", &credential.username[..8]])
        .await;
    assert_eq!(server.stdout(), format!("listening on {}\n", server.url));
    assert!(server.url.starts_with("http://127.0.0.1:"));
}

#[tokio::test]
async fn the_turn_port_can_be_chosen() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Server::start(&["--turn-port", &free.to_string()]).await;
    assert_eq!(
        server.visitor().await.credential(60).await.server,
        SocketAddr::from((Ipv4Addr::LOCALHOST, free))
    );
}

#[tokio::test]
async fn the_embedded_provider_needs_no_certificate_authorities() {
    let none = harness::folder();
    let none = none.to_str().unwrap();
    let server = Server::start_in(&[], &[("SSL_CERT_DIR", none), ("SSL_CERT_FILE", none)]).await;
    assert_eq!(server.visitor().await.mint().await.status, 201);
}

#[cfg(unix)]
#[tokio::test]
async fn it_ends_with_success_when_it_is_told_to() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start(&[]).await;
        server.signal(signal);
        assert_eq!(server.exit_code().await, Some(0));
    }
}

fn fails(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = program()
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_taken_port_is_named_with_the_way_out() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = fails(&["--port", &port], &[]);
    assert!(
        said.contains(&format!("port {port} is taken")) && said.contains("--port 0"),
        "{said}"
    );
    let said = fails(&["--port", "0", "--turn-port", &port], &[]);
    assert!(
        said.contains(&format!("port {port} for TURN is taken")) && said.contains("--turn-port"),
        "{said}"
    );
}

#[test]
fn half_a_configuration_and_a_careless_address_are_refused_without_showing_the_token() {
    let said = fails(&["--port", "0"], &[("TURN_KEY_ID", "id")]);
    assert!(said.contains("TURN_KEY_API_TOKEN is not"), "{said}");
    let said = fails(&["--port", "0"], &[("TURN_KEY_API_TOKEN", "the-token")]);
    assert!(
        said.contains("TURN_KEY_ID is not") && !said.contains("the-token"),
        "{said}"
    );
    let key = [("TURN_KEY_ID", "id"), ("TURN_KEY_API_TOKEN", "the-token")];
    let said = fails(
        &["--port", "0"],
        &[key[0], key[1], ("TURN_API_BASE", "http://example.com")],
    );
    assert!(
        said.contains("must be an https address") && !said.contains("the-token"),
        "{said}"
    );
}

#[test]
fn settings_that_cannot_be_right_are_named_at_start_without_showing_them() {
    let file = harness::folder().join("backend.env");
    std::fs::write(&file, "TURN_KEY_ID=id\nTURN_KEY_API_TOKEN the-token\n").unwrap();
    let file = file.to_str().unwrap();
    let port = ["--port", "0"];
    for (arguments, environment, expected) in [
        (vec!["--config", file], vec![], "line 2 of "),
        (
            vec!["--config", "/nowhere/the-file"],
            vec![],
            "/nowhere/the-file of --config cannot be read",
        ),
        (
            vec![],
            vec![("TURN_KEY_ID", "id"), ("TURN_KEY_API_TOKEN", "the-token\n")],
            "TURN_KEY_API_TOKEN holds white space",
        ),
        (
            vec![],
            vec![("TURN_KEY_ID", "i/d"), ("TURN_KEY_API_TOKEN", "the-token")],
            "TURN_KEY_ID may hold letters",
        ),
        (
            vec![],
            vec![("SESSION_SECRET", "the-token")],
            "SESSION_SECRET has 9 characters",
        ),
        (
            vec!["--turn-address", "192.0.2.1"],
            vec![],
            "--turn-address 192.0.2.1 is no address of this machine",
        ),
        (
            vec!["--ttl", "60", "--max-ttl", "59"],
            vec![],
            "--ttl 60 is longer than --max-ttl 59",
        ),
    ] {
        let arguments: Vec<&str> = port.into_iter().chain(arguments).collect();
        let said = fails(&arguments, &environment);
        assert!(said.contains(expected), "{expected} in {said}");
        assert!(!said.contains("the-token"), "{said}");
    }
}

#[tokio::test]
async fn the_emulator_alone_prints_a_key_and_issues_credentials_that_its_turn_server_honours() {
    let server = Server::spawn(program().args(["emulate", "--port", "0"])).await;
    let [(_, base), (_, id), (_, token)] = server.printed_key().await;
    assert_eq!(base, server.url);

    let key = TurnKey::new(&base, &id, Secret::new(token.clone())).unwrap();
    let servers = key.generate(60, None).await.unwrap();
    let credential = Credential::of(&json!({ "iceServers": servers }));
    Relay::allocate(Transport::Udp, &credential).await.unwrap();
    key.revoke(&credential.username).await.unwrap();
    server.logged(&["credential revoked"]).await;
    assert!(!server.log().contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_created_and_shown_once() {
    let urls = ServerUrls::of(SocketAddr::from((Ipv4Addr::LOCALHOST, 3478)));
    let emulator = Emulator::new(
        Arc::new(CredentialStore::default()),
        urls,
        Some(Secret::new("account-token")),
        Limit::OFF,
    );
    let base = emulator.start().await.unwrap().base;
    let create = ["keys", "create", "--account", "abc", "--name", "demo"];
    let environment = [
        ("TURN_API_BASE", base.as_str()),
        ("CLOUDFLARE_API_TOKEN", "account-token"),
    ];
    let output = program().args(create).envs(environment).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = stdout
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    assert_eq!(
        [lines[0].0, lines[1].0, &lines.len().to_string()],
        ["uid", "key", "2"]
    );
    let (uid, key) = (lines[0].1, lines[1].1);
    assert!(!String::from_utf8_lossy(&output.stderr).contains(key));

    // What was created works.
    let server = Server::start_in(
        &[],
        &[
            ("TURN_KEY_ID", uid),
            ("TURN_KEY_API_TOKEN", key),
            ("TURN_API_BASE", &base),
        ],
    )
    .await;
    assert_eq!(server.visitor().await.mint().await.status, 201);

    let refused = fails(
        &create,
        &[environment[0], ("CLOUDFLARE_API_TOKEN", "wrong-token")],
    );
    assert!(
        refused.contains("403") && !refused.contains("wrong-token"),
        "{refused}"
    );
    assert!(fails(&create, &[environment[0]]).contains("CLOUDFLARE_API_TOKEN is not set"));
}
