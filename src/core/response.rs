//! A provider's response, read by its structure: ice servers, and how long they live.
//!
//! Cloudflare's own answer holds `iceServers` alone, as an array or (on its legacy path) as a single object; the
//! backend adds `ttl` (seconds) or `expiresAt`. A bare array of servers is read as well. An error names the path of
//! the field that is wrong and the kind of value that stands there, never the value of a secret.

use super::decimal::{self, decimal};
use super::failure::{Code, Failure};
use super::ice_server::{IceServer, Secret, Username};
use super::text::{concat, cut, part};
use super::timestamp;
use super::uri::IceUri;
use super::value::Value;
use alloc::string::String;
use alloc::vec::Vec;
use core::slice;

/// The longest lifetime that is believed, in seconds: 366 days.
pub const TTL_MOST_S: f64 = 31_622_400.0;

/// How long the credential lives, as the response tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lifetime {
    /// Seconds from the moment the request was sent.
    Ttl(f64),
    /// A moment, in milliseconds since the epoch.
    ExpiresAt(f64),
    /// A moment read out of a coturn-style username, in milliseconds since the epoch.
    Username(f64),
}

/// A response that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub servers: Vec<IceServer>,
    pub lifetime: Option<Lifetime>,
}

#[inline(never)]
fn invalid(path: &str, expected: &str, came: &str) -> Failure {
    let separator = if path.is_empty() { "" } else { ": " };
    let message = [path, separator, "expected ", expected, ", got ", came];
    Failure::of(Code::ResponseInvalid, false, &message)
}

/// Reads a response.
///
/// # Errors
/// [`Code::ResponseInvalid`], naming the field's path, what was expected and the kind of what came.
pub fn read(body: &Value) -> Result<Response, Failure> {
    let (path, list) = match body {
        Value::Array(_) => ("", body),
        Value::Object(_) => ("iceServers", body.get("iceServers")),
        _ => return Err(invalid("", "an object with iceServers", body.kind())),
    };
    let entries = match list {
        Value::Array(entries) => entries,
        Value::Object(_) => slice::from_ref(list),
        other => return Err(invalid(path, "an array of ice servers", other.kind())),
    };
    if entries.is_empty() {
        return Err(invalid(path, "at least one ice server", list.kind()));
    }
    let mut servers = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        read_server(&item(path, list, index), entry, &mut servers)?;
    }
    let lifetime = match read_lifetime(body)? {
        None => lifetime_in_username(&servers),
        told => told,
    };
    Ok(Response { servers, lifetime })
}

fn member(path: &str, name: &str) -> String {
    concat(&[path, ".", name])
}

/// The path of an item of `list`, or that of a value that stands where a list may.
fn item(path: &str, list: &Value, index: usize) -> String {
    match list {
        Value::Array(_) => concat(&[path, "[", &decimal(index as u64), "]"]),
        _ => path.into(),
    }
}

fn read_server(path: &str, entry: &Value, servers: &mut Vec<IceServer>) -> Result<(), Failure> {
    let Value::Object(_) = entry else {
        let expected = "an ice server (an object with urls)";
        return Err(invalid(path, expected, entry.kind()));
    };
    // `url` is the name from before 2013 that some backends still send.
    let (name, list) = match (entry.get("urls"), entry.get("url")) {
        (Value::Missing, url) if !matches!(url, Value::Missing) => ("url", url),
        (urls, _) => ("urls", urls),
    };
    let path_of_urls = member(path, name);
    let items = match list {
        Value::String(_) => slice::from_ref(list),
        Value::Array(items) if !items.is_empty() => items,
        other => {
            let expected = "a URL or an array of URLs";
            return Err(invalid(&path_of_urls, expected, other.kind()));
        }
    };
    let mut turn = false;
    let mut urls = Vec::new();
    for (index, url) in items.iter().enumerate() {
        let url = read_url(&item(&path_of_urls, list, index), url)?;
        turn |= url.is_turn();
        urls.push(url);
    }
    servers.push(IceServer {
        urls,
        username: read_text(path, "username", entry, turn)?.map(Username::new),
        credential: read_text(path, "credential", entry, turn)?.map(Secret::new),
    });
    Ok(())
}

/// A member that is a string; `None` if it is missing, null or empty. W3C webrtc-pc section 4.2.4: a TURN server
/// without either is an InvalidAccessError.
fn read_text<'a>(
    path: &str,
    name: &str,
    entry: &'a Value,
    turn: bool,
) -> Result<Option<&'a str>, Failure> {
    let value = entry.get(name);
    let expected = match value {
        Value::String(text) if !text.is_empty() => return Ok(Some(text)),
        Value::Missing | Value::Null | Value::String(_) if !turn => return Ok(None),
        Value::Missing | Value::Null | Value::String(_) => "a string (this entry has a turn: URL)",
        _ => "a string",
    };
    Err(invalid(&member(path, name), expected, value.kind()))
}

fn read_url(path: &str, value: &Value) -> Result<IceUri, Failure> {
    let Value::String(text) = value else {
        return Err(invalid(path, "a URL", value.kind()));
    };
    match text.parse::<IceUri>() {
        Ok(url) => Ok(url),
        Err(error) => {
            let shown = printable(text);
            let message = [path, ": ", error.as_str(), ", got \"", &shown, "\""];
            Err(Failure::of(Code::ResponseInvalid, false, &message))
        }
    }
}

/// A URL as an error may show it: short, without control characters, and without what may be a password.
fn printable(text: &str) -> String {
    let (head, mut rest) = match text.bytes().rposition(|byte| byte == b'@') {
        Some(place) => ("…@", part(text, place + 1, text.len())),
        None => ("", text),
    };
    let mut shown = String::from(head);
    let mut left = 100;
    let mut place = 0;
    while let Some(byte) = rest.as_bytes().get(place) {
        let begins = byte & 0xc0 != 0x80;
        // U+0080 to U+009F are control characters too; like some that no URL has either they begin with C2.
        let control = *byte < b' ' || *byte == 0x7f || *byte == 0xc2;
        if begins && (left == 0 || control) {
            shown.push_str(part(rest, 0, place));
            if left == 0 {
                rest = "…";
                break;
            }
            shown += "\u{fffd}";
            rest = part(rest, place + 1 + usize::from(*byte == 0xc2), rest.len());
            place = 0;
        } else {
            place += 1;
        }
        left -= usize::from(begins);
    }
    shown.push_str(rest);
    shown
}

fn read_lifetime(body: &Value) -> Result<Option<Lifetime>, Failure> {
    let ttl = body.get("ttl");
    let moment = body.get("expiresAt");
    let whole = |text: &str| decimal::digits(text.trim_ascii()).map(|number| number as f64);
    let (read, path, expected, came) = if !matches!(ttl, Value::Missing | Value::Null) {
        let seconds = match ttl {
            Value::Number(seconds) => Some(*seconds),
            Value::String(text) => whole(text),
            _ => None,
        };
        let seconds = seconds.filter(|seconds| is_ttl(*seconds));
        let expected = "seconds over 0, up to 31622400 (366 days)";
        (seconds.map(Lifetime::Ttl), "ttl", expected, ttl)
    } else if !matches!(moment, Value::Missing | Value::Null) {
        let millis = match moment {
            Value::Number(number) => unix(*number),
            Value::String(text) => timestamp::rfc3339(text).or_else(|| unix(whole(text)?)),
            _ => None,
        };
        let expected = "an RFC 3339 date and time, or unix seconds or milliseconds";
        (
            millis.map(Lifetime::ExpiresAt),
            "expiresAt",
            expected,
            moment,
        )
    } else {
        return Ok(None);
    };
    if read.is_none() {
        return Err(invalid(path, expected, &number(came)));
    }
    Ok(read)
}

/// Whether a number is a lifetime in seconds. `NaN` is none.
pub fn is_ttl(seconds: f64) -> bool {
    seconds > 0.0 && seconds <= TTL_MOST_S
}

/// Unix seconds or milliseconds as milliseconds. Seconds reach 1e11 in the year 5138; milliseconds passed it in 1973.
fn unix(number: f64) -> Option<f64> {
    match number {
        n if n > 0.0 && n < 1e11 => Some(n * 1000.0),
        n if (1e11..1e14).contains(&n) => Some(n),
        _ => None,
    }
}

/// A number for an error message, as far as whole numbers go: printing floats would cost more code than all of this
/// file.
fn number(value: &Value) -> String {
    let Value::Number(number) = *value else {
        return value.kind().into();
    };
    if number.abs() >= 1e15 && number.is_finite() {
        return "a number far out of range".into();
    }
    if number as i64 as f64 != number {
        return value.kind().into();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    concat(&[sign, &decimal((number as i64).unsigned_abs())])
}

/// coturn's time-limited usernames (draft-uberti-behave-turn-rest section 2.2): ten digits, the expiry in unix
/// seconds, then nothing or a colon.
fn lifetime_in_username(servers: &[IceServer]) -> Option<Lifetime> {
    let mut earliest = u64::MAX;
    for server in servers {
        let name = server.username.as_ref().map_or("", Username::expose);
        let (digits, _) = cut(name, b':');
        // From 2017 to 2096: other ten digits are some other kind of name.
        if digits.len() == 10
            && let Some(seconds @ 1_500_000_000..4_000_000_000) = decimal::digits(digits)
        {
            earliest = earliest.min(seconds);
        }
    }
    (earliest < u64::MAX).then_some(Lifetime::Username(earliest as f64 * 1000.0))
}

#[cfg(test)]
mod tests {
    use super::super::value::json;
    use super::*;
    use proptest::prelude::*;

    const ARRAY: &str = r#"{"iceServers":[
        {"urls":["stun:stun.cloudflare.com:3478","stun:stun.cloudflare.com:53"]},
        {"urls":["turn:turn.cloudflare.com:3478?transport=udp","turns:turn.cloudflare.com:443?transport=tcp"],
         "username":"bc91b63e2b5d759f8eb9f3b58062439e0a0e15893d76317d833265ad08d6631099ce7c7087caabb31ad3e1c386424e3e",
         "credential":"ebd71f1d3edbc2b0edae3cd5a6d82284aeb5c3b8fdaa9b8e3bf9cec683e0d45fe9f5b44e5145db3300f06c250a15b4a0"}]"#;

    fn message(body: &str) -> String {
        let failure = read(&json(body)).expect_err(body);
        assert_eq!(failure.code, Code::ResponseInvalid);
        failure.message.clone()
    }

    fn lifetime(members: &str) -> Option<Lifetime> {
        read(&json(&format!("{ARRAY}{members}}}")))
            .unwrap()
            .lifetime
    }

    #[test]
    fn cloudflares_array_is_read() {
        let response = read(&json(&format!("{ARRAY}}}"))).unwrap();
        assert_eq!(response.lifetime, None, "the opaque username holds no time");
        assert_eq!(response.servers.len(), 2);
        assert_eq!(
            response.servers[0].urls[1].to_string(),
            "stun:stun.cloudflare.com:53"
        );
        assert_eq!(response.servers[0].username, None);
        assert!(
            response.servers[1]
                .username
                .as_ref()
                .unwrap()
                .expose()
                .starts_with("bc91b63e")
        );
        assert!(
            response.servers[1]
                .credential
                .as_ref()
                .unwrap()
                .expose()
                .starts_with("ebd71f1d")
        );
    }

    #[test]
    fn cloudflares_legacy_single_object_is_read() {
        let body = r#"{"iceServers":{"urls":["stun:a","turn:a?transport=udp"],"username":"u","credential":"c"},"ttl":60}"#;
        let response = read(&json(body)).unwrap();
        assert_eq!(response.servers.len(), 1);
        assert_eq!(response.servers[0].urls.len(), 2);
        assert_eq!(response.lifetime, Some(Lifetime::Ttl(60.0)));
    }

    #[test]
    fn a_bare_array_and_the_old_url_member_are_read() {
        let response = read(&json(
            r#"[{"url":"stun:a","x":1},{"urls":"turn:b","username":"u","credential":"c"}]"#,
        ))
        .unwrap();
        assert_eq!(response.servers.len(), 2);
    }

    #[test]
    fn lifetimes_are_read_in_each_spelling() {
        assert_eq!(lifetime(""), None);
        assert_eq!(lifetime(r#","ttl":86400"#), Some(Lifetime::Ttl(86400.0)));
        assert_eq!(lifetime(r#","ttl":"86400""#), Some(Lifetime::Ttl(86400.0)));
        assert_eq!(lifetime(r#","ttl":0.5"#), Some(Lifetime::Ttl(0.5)));
        assert_eq!(lifetime(r#","ttl":null"#), None);
        assert_eq!(
            lifetime(r#","expiresAt":1700000000"#),
            Some(Lifetime::ExpiresAt(1.7e12))
        );
        assert_eq!(
            lifetime(r#","expiresAt":1700000000000"#),
            Some(Lifetime::ExpiresAt(1.7e12))
        );
        assert_eq!(
            lifetime(r#","expiresAt":"1700000000""#),
            Some(Lifetime::ExpiresAt(1.7e12))
        );
        assert_eq!(
            lifetime(r#","expiresAt":"2023-11-14T22:13:20Z""#),
            Some(Lifetime::ExpiresAt(1.7e12))
        );
        assert_eq!(
            lifetime(r#","ttl":60,"expiresAt":"nonsense""#),
            Some(Lifetime::Ttl(60.0))
        );
    }

    #[test]
    fn coturn_usernames_carry_their_expiry() {
        let with = |name: &str| {
            read(&json(&format!(
                r#"[{{"urls":"turn:a","username":"{name}","credential":"c"}}]"#
            )))
            .unwrap()
            .lifetime
        };
        assert_eq!(with("1700000000:alice"), Some(Lifetime::Username(1.7e12)));
        assert_eq!(with("1700000000"), Some(Lifetime::Username(1.7e12)));
        for name in [
            "170000000:a",
            "17000000000",
            "1700000000-a",
            "0000000001:a",
            "9999999999",
            "alice:1700000000",
        ] {
            assert_eq!(with(name), None, "{name}");
        }
    }

    #[test]
    fn wrong_lifetimes_are_named() {
        for (ttl, came) in [
            ("0", "0"),
            ("-1", "-1"),
            ("\"abc\"", "a string"),
            ("1e300", "a number far out of range"),
            ("31622401", "31622401"),
            ("-0.5", "a number"),
            ("\"NaN\"", "a string"),
            ("true", "a boolean"),
            ("[]", "an empty array"),
        ] {
            assert_eq!(
                message(&format!(r#"{ARRAY},"ttl":{ttl}}}"#)),
                format!("ttl: expected seconds over 0, up to 31622400 (366 days), got {came}")
            );
        }
        assert!(
            message(&format!(r#"{ARRAY},"expiresAt":"soon"}}"#))
                .starts_with("expiresAt: expected an RFC 3339")
        );
    }

    #[test]
    fn each_wrong_field_is_named_by_its_path_and_kind() {
        for (body, expected) in [
            ("null", "expected an object with iceServers, got null"),
            (
                "\"secret\"",
                "expected an object with iceServers, got a string",
            ),
            (
                "{}",
                "iceServers: expected an array of ice servers, got nothing",
            ),
            (
                r#"{"iceServers":null}"#,
                "iceServers: expected an array of ice servers, got null",
            ),
            (
                r#"{"iceServers":"secret"}"#,
                "iceServers: expected an array of ice servers, got a string",
            ),
            (
                r#"{"iceServers":[]}"#,
                "iceServers: expected at least one ice server, got an empty array",
            ),
            ("[]", "expected at least one ice server, got an empty array"),
            (
                r#"{"iceServers":[7]}"#,
                "iceServers[0]: expected an ice server (an object with urls), got a number",
            ),
            (
                r#"{"iceServers":[{"username":"secret"}]}"#,
                "iceServers[0].urls: expected a URL or an array of URLs, got nothing",
            ),
            (
                r#"{"iceServers":{"urls":[]}}"#,
                "iceServers.urls: expected a URL or an array of URLs, got an empty array",
            ),
            (
                r#"{"iceServers":[{"urls":["stun:a",1]}]}"#,
                "iceServers[0].urls[1]: expected a URL, got a number",
            ),
            (
                r#"{"iceServers":[{"urls":"stun:a"},{"urls":["http://x.example"],"username":"secret","credential":"secret"}]}"#,
                "iceServers[1].urls[0]: expected a stun:, stuns:, turn: or turns: URL, got \"http://x.example\"",
            ),
            (
                r#"{"iceServers":[{"urls":["turn:a:99999"],"username":"secret","credential":"secret"}]}"#,
                "iceServers[0].urls[0]: expected a port from 1 to 65535, got \"turn:a:99999\"",
            ),
            (
                r#"{"iceServers":[{"urls":"turn:a","username":"secret"}]}"#,
                "iceServers[0].credential: expected a string (this entry has a turn: URL), got nothing",
            ),
            (
                r#"{"iceServers":[{"urls":"turn:a","username":"","credential":"secret"}]}"#,
                "iceServers[0].username: expected a string (this entry has a turn: URL), got an empty string",
            ),
            (
                r#"{"iceServers":[{"urls":"turn:a","username":5,"credential":"secret"}]}"#,
                "iceServers[0].username: expected a string, got a number",
            ),
        ] {
            let message = message(body);
            assert_eq!(message, expected);
            assert!(!message.contains("secret"));
        }
    }

    #[test]
    fn a_url_in_an_error_is_cut_and_shows_no_password() {
        assert_eq!(printable("turn:user:hunter2@host"), "…@host");
        assert_eq!(printable("a\u{0}b"), "a\u{fffd}b");
        assert_eq!(printable(&"x".repeat(500)).chars().count(), 101);
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_refused_without_a_panic(depth in 0_u32..4, seed in any::<u64>()) {
            let mut random = super::super::random::Random::new(seed);
            let value = arbitrary(&mut random, depth);
            let _ = read(&value);
        }
    }

    fn arbitrary(random: &mut super::super::random::Random, depth: u32) -> Value {
        const NAMES: [&str; 8] = [
            "iceServers",
            "urls",
            "url",
            "username",
            "credential",
            "ttl",
            "expiresAt",
            "x",
        ];
        const TEXTS: [&str; 6] = [
            "turn:a",
            "stun:b:53",
            "",
            "x",
            "1700000000:a",
            "2023-11-14T22:13:20Z",
        ];
        const NUMBERS: [f64; 6] = [0.0, -1.0, f64::NAN, 1e300, 60.0, f64::INFINITY];
        match random.up_to(if depth == 0 { 3 } else { 7 }) {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::Number(NUMBERS[random.up_to(5) as usize]),
            3 => Value::String(TEXTS[random.up_to(5) as usize].into()),
            4 => Value::Array(
                (0..random.up_to(3))
                    .map(|_| arbitrary(random, depth - 1))
                    .collect(),
            ),
            _ => Value::Object(
                (0..random.up_to(5))
                    .map(|_| {
                        (
                            NAMES[random.up_to(7) as usize].into(),
                            arbitrary(random, depth - 1),
                        )
                    })
                    .collect(),
            ),
        }
    }
}
