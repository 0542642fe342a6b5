//! The few JavaScript built-ins that this half calls. The whole of js-sys would bring its tasks and closures along.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    pub type Array;

    #[wasm_bindgen(constructor)]
    pub fn new() -> Array;
    #[wasm_bindgen(method)]
    pub fn push(this: &Array, value: &JsValue);
    #[wasm_bindgen(method)]
    pub fn at(this: &Array, index: u32) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub fn length(this: &Array) -> u32;

    #[wasm_bindgen(static_method_of = Array, js_name = isArray)]
    pub fn is_array(value: &JsValue) -> bool;
    #[wasm_bindgen(js_namespace = Object)]
    pub fn keys(object: &JsValue) -> Array;
    #[wasm_bindgen(catch, js_namespace = Reflect)]
    pub fn get(object: &JsValue, name: &JsValue) -> Result<JsValue, JsValue>;

    /// `Date.now()`
    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    pub fn wall() -> f64;
    /// `performance.now()`
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    pub fn monotonic() -> f64;
}
