//! What the package's JavaScript gives to each session: its error class and its way to dispatch events.

use crate::core::failure::Failure;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[derive(Clone)]
    pub type Hooks;

    /// Makes a `TurnError`.
    #[wasm_bindgen(method)]
    fn error(
        this: &Hooks,
        code: &str,
        message: &str,
        status: Option<u16>,
        retryable: bool,
        cause: &JsValue,
    ) -> JsValue;

    /// Dispatches an event. What a listener throws is reported to the page and does not come back.
    #[wasm_bindgen(method)]
    pub fn emit(this: &Hooks, kind: &str, detail: &JsValue);
}

impl Hooks {
    /// A failure as a `TurnError`, with the JavaScript value that caused it if there is one.
    pub fn turn_error(&self, failure: &Failure, cause: &JsValue) -> JsValue {
        self.error(
            failure.code.as_str(),
            &failure.message,
            failure.status,
            failure.retryable,
            cause,
        )
    }
}
