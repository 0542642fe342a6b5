//! Static files as a browser gets them: types, headers, the session cookie, and what must stay out of reach.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::fs;

use harness::{Server, folder};
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn files_come_with_their_type_and_every_answer_with_the_protective_headers() {
    let (www, pkg, extra) = (folder(), folder(), folder());
    fs::write(www.join("index.html"), "page").unwrap();
    fs::write(www.join("main.js"), "script").unwrap();
    fs::create_dir_all(pkg.join("dist")).unwrap();
    fs::write(pkg.join("dist/turn_wasm_bg.wasm"), "\0asm").unwrap();
    fs::write(extra.join("style.css"), "style").unwrap();
    let mount = format!("/fixtures/deep={}", extra.display());
    let server = Server::start(&[
        "--pkg",
        pkg.to_str().unwrap(),
        "--mount",
        &mount,
        "--mount",
        &format!("/www={}", www.display()),
    ])
    .await;
    let visitor = server.visitor().await;
    for (path, media) in [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/www/", "text/html; charset=utf-8"),
        ("/www/main.js?v=1", "text/javascript; charset=utf-8"),
        ("/pkg/dist/turn_wasm_bg.wasm", "application/wasm"),
        ("/fixtures/deep/style.css", "text/css; charset=utf-8"),
    ] {
        let answer = visitor.get(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, media),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
    for path in [
        "/",
        "/nothing",
        "/pkg/dist/turn_wasm_bg.wasm",
        "/api/demo/turn",
        "/api/nothing",
    ] {
        let answer = visitor.get(path).await;
        let policy = answer.header("content-security-policy");
        for directive in [
            "default-src 'self'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(
                policy.split("; ").any(|part| part == directive),
                "{path}: {directive} not in {policy}"
            );
        }
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn loading_any_page_starts_a_session_once_and_loading_a_script_does_not() {
    let extra = folder();
    fs::write(extra.join("test.html"), "page").unwrap();
    fs::write(extra.join("test.js"), "script").unwrap();
    let server = Server::start(&["--mount", &format!("/t={}", extra.display())]).await;
    let mut stranger = server.stranger();
    assert_eq!(stranger.get("/t/test.js").await.header("set-cookie"), "");
    let answer = stranger.get("/t/test.html").await;
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly")
            && cookie.contains("SameSite=Strict")
            && cookie.contains("Path=/"),
        "{cookie}"
    );
    stranger.cookie = Some(cookie.split(';').next().unwrap().to_owned());
    assert_eq!(stranger.get("/t/test.html").await.header("set-cookie"), "");
    assert_eq!(stranger.mint().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn the_servers_source_and_files_outside_the_folders_are_out_of_reach() {
    let (www, outside) = (folder(), folder());
    fs::write(outside.join("secret.txt"), "secret").unwrap();
    fs::create_dir_all(www.join("server/src")).unwrap();
    fs::create_dir_all(www.join("sub")).unwrap();
    fs::write(www.join("server/Cargo.toml"), "source").unwrap();
    fs::write(www.join("server/src/main.rs"), "source").unwrap();
    fs::write(www.join(".env"), "hidden").unwrap();
    fs::write(www.join("index.html"), "page").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&outside, www.join("link")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(www.join("server"), www.join("alias")).unwrap();
    let server = Server::start_with_www(&www, &[], &[]).await;
    let address = server.url.strip_prefix("http://").unwrap();
    let outside = outside.file_name().unwrap().to_str().unwrap();
    for path in [
        "/server/Cargo.toml".to_owned(),
        "/server/src/main.rs".to_owned(),
        "/server".to_owned(),
        "/server/".to_owned(),
        "/%73erver/Cargo.toml".to_owned(),
        "//server/Cargo.toml".to_owned(),
        "/./server/Cargo.toml".to_owned(),
        "/sub/../server/Cargo.toml".to_owned(),
        "/sub/%2e%2e/server/Cargo.toml".to_owned(),
        "/alias/Cargo.toml".to_owned(),
        "/link/secret.txt".to_owned(),
        "/.env".to_owned(),
        "/%2eenv".to_owned(),
        format!("/../{outside}/secret.txt"),
        format!("/%2e%2e/{outside}/secret.txt"),
        format!("/..%2f{outside}/secret.txt"),
        format!("/..\\{outside}\\secret.txt"),
        "/index.html%00.js".to_owned(),
    ] {
        let answer = plain_get(address, &path).await;
        assert!(
            answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 "),
            "{path}: {answer}"
        );
        assert!(
            !answer.contains("source") && !answer.contains("secret"),
            "{path}: {answer}"
        );
    }
    assert!(plain_get(address, "/").await.starts_with("HTTP/1.1 200 "));
}

/// A path exactly as written, where an HTTP client would tidy it.
async fn plain_get(address: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_folder_without_its_slash_is_redirected_to_itself() {
    let extra = folder();
    fs::create_dir_all(extra.join("sub")).unwrap();
    fs::write(extra.join("sub/index.html"), "page").unwrap();
    let server = Server::start(&["--mount", &format!("/t={}", extra.display())]).await;
    let stranger = server.stranger();
    let answer = stranger.get("/t/sub").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::PERMANENT_REDIRECT, "/t/sub/")
    );
    assert_eq!(stranger.get("/t/sub/").await.body, b"page");
}

#[tokio::test]
async fn a_head_request_gets_the_headers_alone() {
    let server = Server::start(&[]).await;
    let stranger = server.stranger();
    let answer = stranger.send(stranger.request(Method::HEAD, "/")).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
}
