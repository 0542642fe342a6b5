//! turn-wasm keeps WebRTC calls supplied with short-lived TURN credentials.
//!
//! The crate is the inside of the npm package of the same name; its JavaScript entry is `pkg/index.js`, and
//! `pkg/index.d.ts` is the one source of the public types. Data flows one way:
//!
//! 1. [`core::response`] reads a provider's response into [`core::ice_server`]s and a lifetime;
//! 2. [`core::selection`] drops the URLs that a connection should not get;
//! 3. [`core::session`] decides: when to fetch, what to hand out, what to apply, and through [`core::connection`] when
//!    to restart ICE;
//! 4. the browser layer, `src/browser`, carries the commands out and reports what happens.
//!
//! Every input is followed by a full drain of the commands. Time is an argument everywhere in the core.
//! In WebAssembly there is no std: its panic machinery alone would double the package.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

extern crate alloc;

mod browser;
pub mod core;
#[cfg(target_arch = "wasm32")]
mod heap;
#[cfg(target_arch = "wasm32")]
mod runtime;
