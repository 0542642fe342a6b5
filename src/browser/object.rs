//! Plain JavaScript objects: reading members, building them, and naming what a value is.

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::prelude::*;

/// A member; `undefined` if the value is no object or reading throws.
pub fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// A member that is a string.
pub fn text(object: &JsValue, name: &str) -> Option<String> {
    get(object, name).as_string()
}

/// Whether an option was left out: `undefined` or `null`.
pub fn is_absent(value: &JsValue) -> bool {
    value.is_undefined() || value.is_null()
}

/// An object being built.
pub struct Members(Object);

impl Members {
    pub fn new() -> Self {
        Self(Object::new())
    }

    /// The own members of another object, copied.
    pub fn copied_from(other: &JsValue) -> Self {
        let target = Object::new();
        if let Some(source) = other.dyn_ref::<Object>() {
            Object::assign(&target, source);
        }
        Self(target)
    }

    pub fn with(self, name: &str, value: impl Into<JsValue>) -> Self {
        // Setting a member of a fresh plain object cannot fail.
        let _ = Reflect::set(&self.0, &JsValue::from_str(name), &value.into());
        self
    }

    pub fn done(self) -> JsValue {
        self.0.into()
    }
}

/// What a value is, for an error message: never what it holds.
pub fn kind(value: &JsValue) -> &'static str {
    if value.is_undefined() {
        "undefined"
    } else if value.is_null() {
        "null"
    } else if value.is_string() {
        "a string"
    } else if value.is_function() {
        "a function"
    } else if Array::is_array(value) {
        "an array"
    } else if value.is_object() {
        "an object"
    } else if value.as_f64().is_some() {
        "a number"
    } else if value.as_bool().is_some() {
        "a boolean"
    } else {
        "a value of another type"
    }
}
