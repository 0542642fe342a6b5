//! The clocks.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// `Date.now()`
    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    pub fn wall() -> f64;
    /// `performance.now()`
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    pub fn monotonic() -> f64;
}
