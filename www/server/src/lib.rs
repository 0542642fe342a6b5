//! The demo backend of turn-wasm: what an app's own backend has to do for the SDK, and everything needed to see it work
//! on one machine without an account anywhere.
//!
//! ```text
//!  page ──POST /api/turn-credentials──> api ──> cloudflare (client) ──HTTP──> Cloudflare, or the emulator
//!    │                                   │                                          │ issues
//!    │                              session (who may)                          credential (store)
//!    └──────────── TURN over UDP, TCP or TLS ─────────────> turn ──asks────────────────┘
//! ```
//!
//! - [`options`] command line; [`settings`] environment and file; [`server`] puts the parts together; [`connection`] serves
//! - [`site`] static files with their headers
//! - [`authentication`] where an app plugs in its own; [`session`] the demo's, a cookie signed as [`signing`] says
//! - [`ownership`] who was given which username; [`superseded`] those to be revoked; [`limit`] how often anybody may ask
//! - [`api`] the credential endpoints; [`api_error`] every error as JSON; [`origin`] whose pages may ask
//! - [`metrics`] what has happened so far; [`health`] the endpoints that show it
//! - [`signalling`] the endpoints of the rooms in which two pages find each other; [`room`] what is kept of them
//! - [`cloudflare`] the client, the same for the real service and for the [`emulator`]; [`retry`] when it asks again
//! - [`credential`] what the emulator issued; [`turn`] the embedded TURN server that believes only that
//! - [`demo`] what tests and the demo page may look at and break; [`fault`] how the credential endpoint then misbehaves
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

pub mod api;
pub mod api_error;
pub mod authentication;
pub mod body;
pub mod cloudflare;
pub mod connection;
pub mod credential;
pub mod demo;
pub mod emulator;
pub mod fault;
pub mod health;
pub mod hex;
pub mod limit;
pub mod metrics;
pub mod options;
pub mod origin;
pub mod ownership;
pub mod retry;
pub mod room;
pub mod secret;
pub mod server;
pub mod session;
pub mod settings;
pub mod signalling;
pub mod signing;
pub mod site;
pub mod superseded;
pub mod turn;
