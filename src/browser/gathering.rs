//! The local description with its candidates in it, for apps without trickle ICE.

use super::hooks::Hooks;
use super::object::is_absent;
use super::peer_connection::PeerConnection;
use super::timer::sleep;
use crate::core::failure::{Code, Failure};
use js_sys::{Date, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

/// How often the gathering state is looked at, in milliseconds: closing a connection fires no event.
const LOOK_MS: f64 = 20.0;

/// Resolves with the description once gathering is complete, or after `timeout` milliseconds with what is there.
pub fn local_description(connection: PeerConnection, timeout: f64, hooks: Hooks) -> Promise {
    future_to_promise(async move {
        let error = |code, message: &str| {
            Err(hooks.turn_error(&Failure::fatal(code, message), &JsValue::UNDEFINED))
        };
        let began = Date::now();
        loop {
            if connection.is_closed() {
                return error(
                    Code::Closed,
                    "the connection was closed before its candidates were gathered",
                );
            }
            let description = connection.local_description();
            if is_absent(&description) {
                return error(
                    Code::InvalidOption,
                    "pc: has no local description yet; call setLocalDescription() first",
                );
            }
            if connection.ice_gathering_state() == "complete" || Date::now() - began >= timeout {
                return Ok(description);
            }
            sleep(LOOK_MS).await;
        }
    })
}
