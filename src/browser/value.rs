//! A JavaScript value as the core's tree of plain values.

use super::object;
use crate::core::value::Value;
use js_sys::{Array, Object};
use wasm_bindgen::prelude::*;

/// Nothing in any provider's response lies deeper; what does is read as null. Keeps cycles from going on forever.
const DEPTH_MOST: u32 = 8;
/// Values that are read of one response; the rest is read as null.
const COUNT_MOST: u32 = 10_000;

/// Copies what a response can hold. Functions, symbols and the like become null.
pub fn from_js(value: &JsValue) -> Value {
    copy(value, DEPTH_MOST, &mut 0)
}

fn copy(value: &JsValue, depth: u32, count: &mut u32) -> Value {
    *count += 1;
    if *count > COUNT_MOST {
        return Value::Null;
    }
    if let Some(text) = value.as_string() {
        return Value::String(text);
    }
    if let Some(number) = value.as_f64() {
        return Value::Number(number);
    }
    if let Some(truth) = value.as_bool() {
        return Value::Bool(truth);
    }
    if depth == 0 {
        return Value::Null;
    }
    if let Some(items) = value.dyn_ref::<Array>() {
        return Value::Array(
            items
                .iter()
                .map(|item| copy(&item, depth - 1, count))
                .collect(),
        );
    }
    match value.dyn_ref::<Object>() {
        Some(members) if !value.is_function() => {
            let names = Object::keys(members);
            let member = |name: JsValue| {
                let name = name.as_string()?;
                let member = copy(&object::get(value, &name), depth - 1, count);
                Some((name, member))
            };
            Value::Object(names.iter().filter_map(member).collect())
        }
        _ => Value::Null,
    }
}
