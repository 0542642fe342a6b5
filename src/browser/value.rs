//! A JavaScript value as the core's tree of plain values.

use super::js::{Array, get, keys};
use crate::core::value::Value;
use alloc::string::String;
use alloc::vec::Vec;
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
    if depth == 0 || !value.is_object() {
        return Value::Null;
    }
    let names = keys(value);
    let mut items = Vec::new();
    let mut members = Vec::new();
    let is_array = Array::is_array(value);
    for index in 0..names.length() {
        let name = names.at(index);
        // A getter of the app may throw.
        let member = get(value, &name).unwrap_or(JsValue::NULL);
        let member = copy(&member, depth - 1, count);
        if is_array {
            items.push(member);
        } else {
            members.push((name.as_string().unwrap_or_else(String::new), member));
        }
    }
    if is_array {
        Value::Array(items)
    } else {
        Value::Object(members)
    }
}
