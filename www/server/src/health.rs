//! `GET /metrics` for Prometheus and `GET /healthz` for a load balancer. Neither tells a secret; whoever puts this server
//! behind a proxy keeps `/metrics` to the inside all the same.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::metrics::Page;
use crate::server::{App, Embedded};

/// 200 for as long as the server takes requests. The provider is not asked: an instance that is taken out of service for
/// trouble elsewhere helps nobody.
pub async fn healthz() -> ([(axum::http::HeaderName, &'static str); 1], Json<Value>) {
    (
        [(CACHE_CONTROL, "no-store")],
        Json(json!({ "status": "ok" })),
    )
}

pub async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let mut page = Page::default();
    app.metrics.write(&mut page);
    page.gauge(
        "turn_backend_superseded",
        "Superseded usernames that wait to be revoked.",
        &[("", app.superseded.count() as u64)],
    );
    if let Some(embedded) = &app.embedded {
        write_embedded(&mut page, embedded);
    }
    let headers = [
        (CONTENT_TYPE, Page::MEDIA_TYPE),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, page.to_string())
}

fn write_embedded(page: &mut Page, embedded: &Embedded) {
    let counts = embedded.store.counts();
    page.counter(
        "turn_server_credentials_total",
        "Credentials of the embedded provider, by what happened to them.",
        &[
            ("event=\"minted\"", counts.minted),
            ("event=\"revoked\"", counts.revoked),
            ("event=\"expired\"", counts.expired),
        ],
    );
    let (refused, _) = embedded.turn.refused_and_peak();
    page.counter(
        "turn_server_refused_total",
        "Requests that the embedded TURN server refused.",
        &[("", refused)],
    );
    let allocations = embedded.turn.count();
    page.gauge(
        "turn_server_allocations",
        "Allocations of the embedded TURN server.",
        &[("", allocations as u64)],
    );
}
