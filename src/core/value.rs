//! A response as browser/body.js writes it down: words that end with NUL, and nothing copied out of them.
//!
//! A word's first character tells what it is: `s` a string, `n` a number by the bits of its double, `t` and `f` the
//! booleans, `z` null. `a` and `o` begin an array and an object, `e` ends them, and before each member of an object `k`
//! gives its name.

use super::decimal::digits;
use super::text::{cut, part};

/// A value, by its words and, if it is a member of an object, its name there; or that there is none.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    pub name: &'a str,
    words: &'a str,
}

/// The values that words hold, one after the other.
pub struct Values<'a>(&'a str);

fn mark(words: &str) -> u8 {
    words.as_bytes().first().copied().unwrap_or(b'e')
}

/// Takes the first word off, without its mark.
fn take<'a>(words: &mut &'a str) -> &'a str {
    let (word, rest) = cut(words, 0);
    *words = rest;
    part(word, 1, word.len())
}

impl<'a> Value<'a> {
    /// No value, under the name by which an error may ask for one.
    pub const fn missing(name: &'a str) -> Self {
        Self { name, words: "" }
    }

    /// The value that all of the words are.
    pub fn new(words: &'a str) -> Self {
        Self { name: "", words }
    }

    pub fn string(&self) -> Option<&'a str> {
        (mark(self.words) == b's').then(|| take(&mut { self.words }))
    }

    pub fn number(&self) -> Option<f64> {
        let bits = || digits(take(&mut { self.words })).unwrap_or(0);
        (mark(self.words) == b'n').then(|| f64::from_bits(bits()))
    }

    pub fn is_array(&self) -> bool {
        mark(self.words) == b'a'
    }

    pub fn is_object(&self) -> bool {
        mark(self.words) == b'o'
    }

    /// Null, or nothing at all.
    pub fn is_none(&self) -> bool {
        matches!(mark(self.words), b'e' | b'z')
    }

    /// The members of an object. Of any other value nothing.
    pub fn members(&self) -> Values<'a> {
        let mut words = if self.is_object() { self.words } else { "" };
        take(&mut words);
        Values(words)
    }

    /// The items of an array, or the value itself where an array may stand.
    pub fn items(&self) -> Values<'a> {
        let mut words = self.words;
        if self.is_array() {
            take(&mut words);
        }
        Values(words)
    }

    /// What it is, without what it holds: a response is made of secrets.
    pub fn kind(&self) -> &'static str {
        match self.words.as_bytes() {
            [b's', 0, ..] => "an empty string",
            [b's', ..] => "a string",
            [b'n', ..] => "a number",
            [b't' | b'f', ..] => "a boolean",
            [b'a', 0, b'e', ..] => "an empty array",
            [b'a', ..] => "an array",
            [b'o', ..] => "an object",
            [] => "nothing",
            _ => "null",
        }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    #[cfg_attr(target_arch = "wasm32", inline(never))]
    fn next(&mut self) -> Option<Value<'a>> {
        let mut name = "";
        match mark(self.0) {
            b'e' => return None,
            b'k' => name = take(&mut self.0),
            _ => {}
        }
        let words = self.0;
        let mut depth = 0;
        while !self.0.is_empty() {
            match mark(self.0) {
                b'a' | b'o' => depth += 1,
                b'e' => depth -= 1,
                _ => {}
            }
            take(&mut self.0);
            if depth <= 0 {
                break;
            }
        }
        let words = part(words, 0, words.len() - self.0.len());
        Some(Value { name, words })
    }
}

#[cfg(test)]
#[path = "../../tests/driver/words.rs"]
mod words;

/// The words of a JSON text.
#[cfg(test)]
pub(crate) fn json(text: &str) -> String {
    words::words(text).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_was_written_down() {
        let words = json(r#"{"a":[1.5,"x\u0000y",""],"b":{"c":null,"d":[]},"e":true,"f":{}}"#);
        let body = Value::new(&words);
        let names: Vec<&str> = body.members().map(|member| member.name).collect();
        assert_eq!(names, ["a", "b", "e", "f"]);
        let kinds: Vec<&str> = body.members().map(|member| member.kind()).collect();
        assert_eq!(kinds, ["an array", "an object", "a boolean", "an object"]);
        let list = body.members().next().unwrap();
        let items: Vec<Value<'_>> = list.items().collect();
        assert_eq!(items.len(), 3);
        assert_eq!(items[0].number(), Some(1.5));
        assert_eq!(items[0].string(), None);
        assert_eq!(items[1].string(), Some("x\u{fffd}y"));
        assert_eq!(items[2].kind(), "an empty string");
        let inner: Vec<Value<'_>> = body.members().nth(1).unwrap().members().collect();
        assert_eq!(inner[0].kind(), "null");
        assert!(inner[0].is_none());
        assert_eq!(inner[1].kind(), "an empty array");
        assert_eq!(inner[1].items().count(), 0);
    }

    #[test]
    fn a_value_stands_where_a_list_of_one_may() {
        let words = json(r#"{"a":"x","b":"y"}"#);
        let member = Value::new(&words).members().next().unwrap();
        let items: Vec<Option<&str>> = member.items().map(|item| item.string()).collect();
        assert_eq!(items, [Some("x")]);
        assert_eq!(member.members().count(), 0);
        assert_eq!(Value::missing("x").items().count(), 0);
        assert_eq!(Value::missing("x").kind(), "nothing");
    }

    #[test]
    fn words_that_break_off_come_to_an_end() {
        let words = json(r#"{"a":[1,{"b":[]}],"c":"d"}"#);
        for end in 0..words.len() {
            let mut left = vec![Value::new(&words[..end])];
            let mut count = 0;
            while let Some(value) = left.pop() {
                count += 1;
                left.extend(value.members());
                if value.is_array() {
                    left.extend(value.items());
                }
            }
            assert!(count <= 8, "{end}");
        }
    }
}
