//! One-shot timers that end with their owner.

use js_sys::{Function, Promise};
use std::cell::RefCell;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, ms: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);
}

/// Calls back once after each [`Timer::start`]. A start replaces the one before; dropping cancels.
pub struct Timer {
    callback: Closure<dyn FnMut()>,
    id: RefCell<JsValue>,
}

impl Timer {
    pub fn new(callback: impl FnMut() + 'static) -> Self {
        Self {
            callback: Closure::new(callback),
            id: RefCell::new(JsValue::UNDEFINED),
        }
    }

    /// `ms` below 2^31: a longer delay would fire at once.
    pub fn start(&self, ms: f64) {
        self.stop();
        self.id
            .replace(set_timeout(self.callback.as_ref().unchecked_ref(), ms));
    }

    pub fn stop(&self) {
        clear_timeout(&self.id.replace(JsValue::UNDEFINED));
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits.
pub async fn sleep(ms: f64) {
    let wait = Promise::new(&mut |resolve, _| {
        set_timeout(&resolve, ms);
    });
    let _ = JsFuture::from(wait).await;
}
