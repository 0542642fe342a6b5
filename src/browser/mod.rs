//! The way between the core and JavaScript, in both its halves.
//!
//! This half, in Rust, turns what JavaScript reports into the core's inputs, and the core's commands into plain rows.
//! The other half, the modules beside this file, does what needs a browser: fetch, RTCPeerConnection, timers, events.
//! It is JavaScript because it is all calls into the browser: the same in Rust, through web-sys and gloo-net, was
//! measured at 84 KB after brotli in place of 24. Neither half decides anything.

mod engine;
mod row;
