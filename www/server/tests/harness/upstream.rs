//! A TURN provider in the hands of the test.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Server;

pub const TOKEN: &str = "the-token";

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
}

pub struct Upstream {
    pub base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
}

/// A good answer to a mint.
pub fn issued() -> Value {
    json!({ "iceServers": [
        { "urls": ["stun:stun.example:3478"] },
        { "urls": ["turn:turn.example:3478?transport=udp"], "username": "name", "credential": "word" },
    ] })
}

impl Upstream {
    /// `answer` gives what it answers to the request with this number, from 0 on, or nothing for silence.
    pub async fn start(
        answer: impl Fn(usize) -> Option<Response> + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let noted = Arc::clone(&asked);
        let router =
            axum::Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
                let mut noted = noted.lock().unwrap();
                let answer = answer(noted.len());
                noted.push(Asked {
                    at: Instant::now(),
                    path: uri.path().to_owned(),
                    headers,
                    body: serde_json::from_slice(&body).unwrap_or_default(),
                });
                async move {
                    match answer {
                        Some(answer) => answer,
                        None => std::future::pending().await,
                    }
                }
            });
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let listener = listener.tap_io(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            base,
            asked,
            connections,
        }
    }

    /// A backend whose provider this is.
    pub async fn server(&self) -> Server {
        Server::start_in(
            &[],
            &[
                ("TURN_KEY_ID", "key-id"),
                ("TURN_KEY_API_TOKEN", TOKEN),
                ("TURN_API_BASE", &self.base),
            ],
        )
        .await
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
