//! What each provider answers, and what is read out of it: tests/fixtures/responses, from their documentation.
//! tests/browser/responses.test.mjs hands the same to the browsers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod driver;

use serde_json::{Value as Json, json};
use std::fs;
use std::path::Path;
use turn_wasm::core::ice_server::{IceServer, Secret, Username};
use turn_wasm::core::response::{self, Lifetime};
use turn_wasm::core::value::Value;

fn fixtures() -> Vec<(String, Json)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/responses");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (
                path.display().to_string(),
                serde_json::from_str(&text).unwrap(),
            )
        })
        .collect()
}

fn as_json(server: &IceServer) -> Json {
    let urls: Vec<&str> = server.urls.iter().map(|url| url.as_str()).collect();
    let mut json = json!({ "urls": urls });
    if let Some(name) = server.username.as_ref().map(Username::expose) {
        json["username"] = name.into();
    }
    if let Some(secret) = server.credential.as_ref().map(Secret::expose) {
        json["credential"] = secret.into();
    }
    json
}

#[test]
fn each_providers_response_gives_its_servers_and_its_lifetime() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 20, "{} fixtures", fixtures.len());
    for (path, fixture) in fixtures {
        let words = driver::json(&fixture["response"].to_string());
        let response = response::read(&Value::new(&words))
            .unwrap_or_else(|failure| panic!("{path}: {failure}"));
        let servers: Vec<Json> = response.servers.iter().map(as_json).collect();
        assert_eq!(Json::from(servers), fixture["servers"], "{path}");
        let lifetime = match response.lifetime {
            None => Json::Null,
            Some(Lifetime::Ttl(seconds)) => json!({ "ttl": seconds as u64 }),
            Some(Lifetime::ExpiresAt(moment)) => json!({ "expiresAt": moment as u64 }),
            Some(Lifetime::Username(moment)) => json!({ "username": moment as u64 }),
        };
        assert_eq!(lifetime, fixture["lifetime"], "{path}");
        let dropped: Vec<&str> = response
            .dropped
            .iter()
            .map(|(url, _)| url.as_str())
            .collect();
        let expected = fixture.get("dropped").cloned().unwrap_or(json!([]));
        assert_eq!(json!(dropped), expected, "{path}");
        assert_eq!(response.fault.is_some(), !dropped.is_empty(), "{path}");
    }
}
