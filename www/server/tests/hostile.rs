//! Clients that mean no good, or know no better: each gets a clear answer or is cut off, and the others notice nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![cfg(target_os = "linux")]

mod harness;

use std::time::{Duration, Instant};

use harness::{SOON, Server, Visitor, program, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use turn_demo_server::connection::{HEAD_PATIENCE, capacity};

const MINT: &str = "/api/turn-credentials";

/// Connections at once that the server has to bear.
const MANY: usize = 10_000;

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// What the server says until it hangs up.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // Hanging up may reset the connection, after the answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends bytes as they are. A server that has answered need not read the rest.
async fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = connect(server).await;
    stream.write_all(request).await.unwrap();
    rest(stream).await
}

fn head(server: &Server, visitor: &Visitor, more: &str) -> String {
    let cookie = visitor.cookie.clone().unwrap();
    format!(
        "POST {MINT} HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\ncontent-type: application/json\r\nconnection: close\r\n{more}\r\n",
        server.address()
    )
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1);
    status
        .unwrap_or_else(|| panic!("no answer but {answer:?}"))
        .parse()
        .unwrap()
}

async fn served_at_once(visitor: &Visitor) {
    let asked = Instant::now();
    assert_eq!(visitor.mint().await.status, 201);
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn ten_thousand_open_connections_leave_room_for_others_and_are_cut_off_when_they_say_nothing()
{
    // Both this process and the server's have to hold them.
    let many = MANY.min(capacity());
    let server = Server::start(&["--session-limit", "off", "--address-limit", "off"]).await;
    let visitor = server.visitor().await;
    let idle = server.memory();
    let mut connections = Vec::with_capacity(many);
    for n in 0..many {
        let mut stream = connect(&server).await;
        // Every other one is a slow loris: it begins a head and never ends it.
        if n % 2 == 0 {
            stream
                .write_all(b"POST /api/turn-credentials HTTP/1.1\r\nx: ")
                .await
                .unwrap();
        }
        connections.push(stream);
        if n % 1000 == 0 {
            served_at_once(&visitor).await;
        }
    }
    served_at_once(&visitor).await;
    let each = (server.memory() - idle) / many as u64;
    assert!(each < 64 * 1024, "{each} bytes for a connection");

    let patience = HEAD_PATIENCE + SOON;
    until("the connections are cut off", patience, async || {
        served_at_once(&visitor).await;
        (server.metric("turn_backend_connections").await < 100.0).then_some(())
    })
    .await;
    let answer = rest(connections.pop().unwrap()).await;
    assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    assert_eq!(
        server
            .metric("turn_backend_connections_refused_total")
            .await,
        0.0
    );
    served_at_once(&visitor).await;
}

#[tokio::test]
async fn a_head_sent_byte_by_byte_is_given_up_in_time() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let mut slow = connect(&server).await;
    let begun = Instant::now();
    let head = head(&server, &visitor, "").into_bytes();
    let mut sent = 0;
    for byte in head {
        if slow.write_all(&[byte]).await.is_err() || begun.elapsed() > HEAD_PATIENCE + SOON {
            break;
        }
        sent += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(begun.elapsed() < HEAD_PATIENCE + SOON, "{sent} bytes taken");
    served_at_once(&visitor).await;
}

#[tokio::test]
async fn a_body_of_ten_mebibytes_is_refused_however_it_comes() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let body = vec![b' '; 10 << 20];
    let memory = server.memory();

    let announced = head(
        &server,
        &visitor,
        &format!("content-length: {}\r\n", body.len()),
    );
    let mut request = announced.clone().into_bytes();
    request.extend(&body);
    let answer = raw(&server, &request).await;
    assert_eq!(status(&answer), 413);
    assert!(answer.contains("body-too-large"), "{answer}");

    let mut request = head(&server, &visitor, "transfer-encoding: chunked\r\n").into_bytes();
    for chunk in body.chunks(64 * 1024) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let answer = raw(&server, &request).await;
    assert_eq!(status(&answer), 413);
    assert!(answer.contains("body-too-large"), "{answer}");

    // A client that asks first is spared the sending.
    let asking = announced.replace(
        "connection: close",
        "expect: 100-continue\r\nconnection: close",
    );
    assert_eq!(status(&raw(&server, asking.as_bytes()).await), 413);

    assert!(
        server.memory().saturating_sub(memory) < 5 << 20,
        "a body that is refused is not kept"
    );
    served_at_once(&visitor).await;
}

#[tokio::test]
async fn what_is_no_request_gets_a_4xx_and_the_next_client_its_credential() {
    let server = Server::start(&[]).await;
    let visitor = server.visitor().await;
    let address = server.address();
    let mint = |more: &str| head(&server, &visitor, more);
    let long = "x".repeat(100_000);
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (request, expected) in [
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned(), 400),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/9.9\r\nhost: {address}\r\n\r\n"), 400),
        (format!("G\0T / HTTP/1.1\r\nhost: {address}\r\n\r\n"), 400),
        ("GET / HTTP/1.1\r\nno colon here\r\n\r\n".to_owned(), 400),
        (mint("content-length: -1\r\n"), 400),
        (mint("content-length: 1\r\ncontent-length: 2\r\n"), 400),
        (mint("transfer-encoding: gzip\r\n"), 400),
        (mint(&format!("x: {long}\r\n")), 431),
        (mint(&many), 431),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 431),
        (
            "GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
            403,
        ),
        (format!("{}{{\"ttl\":", mint("content-length: 7\r\n")), 400),
        (format!("{}[1,2]", mint("content-length: 5\r\n")), 400),
        (
            format!(
                "{}{}",
                mint("content-length: 10000\r\n"),
                "[".repeat(10_000)
            ),
            400,
        ),
        (
            format!("{}zz\r\n", mint("transfer-encoding: chunked\r\n")),
            400,
        ),
    ] {
        let answer = raw(&server, request.as_bytes()).await;
        let shown: String = request.chars().take(60).collect();
        assert_eq!(status(&answer), expected, "{shown:?}: {answer}");
    }
    served_at_once(&visitor).await;
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[tokio::test]
async fn the_emulator_bears_the_same() {
    let server = Server::spawn(program().args(["emulate", "--port", "0"])).await;
    let mut slow = connect(&server).await;
    slow.write_all(b"POST /v1/turn/keys/x HTTP/1.1\r\nx: ")
        .await
        .unwrap();
    let begun = Instant::now();
    let answer = tokio::time::timeout(HEAD_PATIENCE + SOON, rest(slow)).await;
    assert!(answer.is_ok(), "the slow one is cut off");
    assert!(begun.elapsed() >= HEAD_PATIENCE - Duration::from_secs(1));
}
