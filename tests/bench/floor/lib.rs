//! One asynchronous function, as the entry of any package would have it.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_futures::js_sys::Promise;

/// What a promise comes to.
///
/// # Errors
/// With what it was rejected with.
#[wasm_bindgen]
pub async fn settled(promise: Promise) -> Result<JsValue, JsValue> {
    JsFuture::from(promise).await
}
