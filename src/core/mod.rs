//! The core: everything that decides, and nothing that acts.
//!
//! No clock, no I/O, no browser. Inputs and the time come in as arguments, commands come out as values, so that the
//! whole life of a session runs natively in a test with the clock moved by hand.
#![forbid(unsafe_code)]

pub mod clock;
pub mod connection;
pub mod decimal;
pub mod failure;
pub mod ice_server;
pub mod proof;
pub mod random;
pub mod response;
pub mod retry;
pub mod sdp;
pub mod selection;
pub mod session;
pub mod source_url;
pub mod status;
pub mod text;
pub mod uri;
pub mod value;
