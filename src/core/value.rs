//! A response as a tree of plain values, whatever it was parsed by.

use alloc::string::String;
use alloc::vec::Vec;

/// A JSON value, or that there is none.
#[derive(Clone, PartialEq)]
pub enum Value {
    Missing,
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Value>),
    /// Members in their order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member of an object. Of two with one name the last counts, as in `JSON.parse`.
    pub fn get(&self, name: &str) -> &Value {
        if let Self::Object(members) = self {
            for (key, value) in members.iter().rev() {
                if key == name {
                    return value;
                }
            }
        }
        &Self::Missing
    }

    /// What it is, without what it holds: a response is made of secrets.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(text) if text.is_empty() => "an empty string",
            Self::String(_) => "a string",
            Self::Array(items) if items.is_empty() => "an empty array",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

#[cfg(test)]
pub(crate) fn json(text: &str) -> Value {
    fn from(value: serde_json::Value) -> Value {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(b),
            serde_json::Value::Number(n) => Value::Number(n.as_f64().unwrap()),
            serde_json::Value::String(s) => Value::String(s),
            serde_json::Value::Array(items) => Value::Array(items.into_iter().map(from).collect()),
            serde_json::Value::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (key, from(value)))
                    .collect(),
            ),
        }
    }
    from(serde_json::from_str(text).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_members_with_one_name_counts() {
        let value = Value::Object(vec![
            ("a".into(), Value::Null),
            ("a".into(), Value::Bool(true)),
        ]);
        assert!(value.get("a") == &Value::Bool(true));
        assert!(value.get("b") == &Value::Missing);
        assert!(Value::Null.get("a") == &Value::Missing);
    }
}
