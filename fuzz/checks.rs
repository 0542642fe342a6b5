//! What must hold for any bytes. Shared by the fuzz targets and tests/hostile.rs.

use super::words::words;
use turn_wasm::core::response::{self, Lifetime};
use turn_wasm::core::selection::{Port53, Selection};
use turn_wasm::core::uri::IceUri;
use turn_wasm::core::value::Value;

/// A URI that is accepted prints shorter or as long, and back to itself. The bytes alone, and behind what every URI has.
pub fn uri(bytes: &[u8]) {
    let rest = String::from_utf8_lossy(bytes);
    for before in [
        "",
        "turn:",
        "TURNS:[",
        "stun:a",
        "turn:a:",
        "turn:a?transport=",
    ] {
        let text = format!("{before}{rest}");
        let Ok(uri) = text.parse::<IceUri>() else {
            continue;
        };
        let printed = uri.to_string();
        assert!(printed.len() <= text.len());
        assert_eq!(printed.parse(), Ok(uri.clone()), "{printed}");
        assert!(uri.is_same_place(&uri) && uri.port() > 0);
        assert!(
            printed.bytes().all(|byte| byte.is_ascii_graphic()),
            "{printed}"
        );
    }
}

/// The bytes as the words that JavaScript writes, and as JSON.
pub fn response(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    read(&text);
    if let Some(words) = words(&text) {
        read(&words);
    }
}

/// A response that is accepted is of use, and an error tells something.
pub fn read(words: &str) {
    let response = match response::read(&Value::new(words)) {
        Err(failure) => {
            assert!(!failure.message.is_empty() && failure.message.len() < 1000);
            return;
        }
        Ok(response) => response,
    };
    let urls: Vec<&IceUri> = response
        .servers
        .iter()
        .flat_map(|server| &server.urls)
        .collect();
    assert!(!urls.is_empty() && urls.len() + response.dropped.len() <= 64);
    assert!(response.dropped.is_empty() || response.fault.is_some());
    for server in &response.servers {
        assert!(!server.urls.is_empty());
        for url in &server.urls {
            assert_eq!(url.as_str().parse().as_ref(), Ok(url));
            let name = server.username.as_ref().map_or("", |name| name.expose());
            let secret = server
                .credential
                .as_ref()
                .map_or("", |secret| secret.expose());
            assert!(!url.is_turn() || !name.is_empty() && !secret.is_empty());
            assert!(name.len() <= 509);
        }
    }
    match response.lifetime {
        Some(Lifetime::Ttl(seconds)) => assert!(response::is_ttl(seconds)),
        Some(Lifetime::ExpiresAt(moment) | Lifetime::Username(moment)) => {
            assert!(moment > 0.0 && moment < 1e14);
        }
        None => {}
    }
    for max in [None, Some(1), Some(3)] {
        let selection = Selection {
            port53: Port53::auto(max.is_none()),
            transports: None,
            max,
        };
        let mut dropped = Vec::new();
        let selected = selection.apply(&response.servers, &mut dropped);
        let kept = selected
            .iter()
            .map(|server| server.urls.len())
            .sum::<usize>();
        assert_eq!(kept + dropped.len(), urls.len());
        assert!(max.is_none_or(|max| kept <= max));
    }
}
