//! The demo backend of turn-wasm: what an app's own backend has to do for the SDK, and everything needed to see it work
//! on one machine without an account anywhere.
//!
//! ```text
//!  page ──POST /api/turn-credentials──> api ──> cloudflare (client) ──HTTP──> Cloudflare, or the emulator
//!    │                                   │                                          │ issues
//!    │                              session (who may)                          credential (store)
//!    └──────────── TURN over UDP or TCP ──────────────────> turn ──asks────────────────┘
//! ```
//!
//! - [`options`] command line and environment; [`server`] puts the parts together and serves
//! - [`site`] static files with their headers; [`session`] the signed cookie, who was given what, rate limits
//! - [`api`] the credential endpoints; [`api_error`] every error as JSON
//! - [`signalling`] the endpoints of the rooms in which two pages find each other; [`room`] what is kept of them
//! - [`cloudflare`] the client, the same for the real service and for the [`emulator`]
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
pub mod body;
pub mod cloudflare;
pub mod credential;
pub mod demo;
pub mod emulator;
pub mod fault;
pub mod hex;
pub mod options;
pub mod room;
pub mod secret;
pub mod server;
pub mod session;
pub mod signalling;
pub mod site;
pub mod turn;
