//! A provider's response, read by its structure: ice servers, and how long they live.
//!
//! Whatever an object is, body or entry, its members are known by their names: URLs and what belongs to them, a lifetime,
//! lists of more such objects, wrappers around one. So no provider has to be named, and none needs code of its own. An
//! error names the path of the field that is wrong and the kind of value that stands there, never the value of a secret.

use super::decimal::{self, decimal};
use super::failure::{Code, Failure};
use super::ice_server::{IceServer, Secret, Username};
use super::selection::Drop;
use super::text::{concat, cut, find, part};
use super::uri::IceUri;
use super::value::Value;
use alloc::string::String;
use alloc::vec::Vec;

/// The longest lifetime that is believed, in seconds: 366 days.
pub const TTL_MOST_S: f64 = 31_622_400.0;
/// How many URLs are read. No provider sends half as many, and Chromium uses 32.
const URLS_MOST: usize = 64;
/// How deep the servers lie at the most: `ocs.data.turnservers[0]`.
const DEPTH_MOST: u32 = 4;

/// The names that members have, in lower case and without underscores, each after the place of its field in an object; the
/// most common ones first.
const NAMES: &str = "0urls 1username 2credential 3ttl 4expiresat 5iceservers 0url 0uris 2password 3lifetimeduration \
                     4expireson 5iceserverlist 5stunservers 5turnservers 6v 6d 6ocs 6data";
const LIST: usize = 5;
const WRAPPER: usize = 6;

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
    /// URLs that no connection can get, as they may be shown.
    pub dropped: Vec<(String, Drop)>,
    /// Why the first thing was left out.
    pub fault: Option<Failure>,
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
pub fn read(body: &Value<'_>) -> Result<Response, Failure> {
    let mut reader = Reader {
        response: Response {
            servers: Vec::new(),
            lifetime: None,
            dropped: Vec::new(),
            fault: None,
        },
        path: String::new(),
        wrong: false,
        lost: false,
        turn: false,
        urls: 0,
        lifetime: (3, 0.0),
    };
    reader.list(body, DEPTH_MOST, body.is_array());
    let empty = reader.response.servers.is_empty();
    if empty {
        let expected = "iceServers, a list of at least one object with urls";
        reader.leave_out(expected, body.kind());
    }
    if (empty || reader.wrong || reader.lost && !reader.turn)
        && let Some(fault) = reader.response.fault
    {
        return Err(fault);
    }
    let (rank, number) = reader.lifetime;
    reader.response.lifetime = match rank {
        0 => Some(Lifetime::Ttl(number)),
        1 => Some(Lifetime::ExpiresAt(number)),
        2 => Some(Lifetime::Username(number)),
        _ => None,
    };
    Ok(reader.response)
}

/// The place of the field that a member's name stands for. `iceServers`, `ice_servers` and `IceServers` are one name.
fn field(name: &str) -> usize {
    let mut names = NAMES;
    while !names.is_empty() {
        let (known, rest) = cut(names, b' ');
        let mut left = known.as_bytes().get(1..).unwrap_or_default();
        let fits = name.bytes().filter(|byte| *byte != b'_').all(|byte| {
            let Some((first, rest)) = left.split_first() else {
                return false;
            };
            left = rest;
            byte.to_ascii_lowercase() == *first
        });
        if fits && left.is_empty() {
            return usize::from(known.as_bytes().first().copied().unwrap_or_default() - b'0');
        }
        names = rest;
    }
    usize::MAX
}

struct Reader {
    response: Response,
    /// Of what is being looked at.
    path: String,
    /// The fault costs the whole response.
    wrong: bool,
    /// A relay was left out.
    lost: bool,
    /// A relay was kept.
    turn: bool,
    /// How many were looked at.
    urls: usize,
    /// Its place among the kinds of lifetime, and the number.
    lifetime: (u8, f64),
}

impl Reader {
    fn enter(&mut self, name: &str) -> usize {
        let length = self.path.len();
        if length > 0 {
            self.path += ".";
        }
        self.path.push_str(name);
        length
    }

    // Not truncate(), which makes the package 8 bytes larger: it can panic.
    fn leave(&mut self, length: usize) {
        while self.path.len() > length {
            self.path.pop();
        }
    }

    fn enter_item(&mut self, list: &Value<'_>, index: usize) -> usize {
        let length = self.path.len();
        if list.is_array() {
            self.path += "[";
            self.path.push_str(&decimal(index as u64));
            self.path += "]";
        }
        length
    }

    fn list(&mut self, list: &Value<'_>, depth: u32, listed: bool) {
        for (index, object) in list.items().enumerate() {
            let length = self.enter_item(list, index);
            self.object(&object, depth, listed);
            self.leave(length);
        }
    }

    fn object(&mut self, object: &Value<'_>, depth: u32, listed: bool) {
        if listed && !object.is_object() {
            return self.leave_out("an ice server (an object with urls)", object.kind());
        }
        let mut found = ["urls", "username", "credential", "ttl", "expiresAt"].map(Value::missing);
        for value in object.members() {
            let place = field(value.name);
            if let Some(known) = found.get_mut(place) {
                if !value.is_none() {
                    *known = value;
                }
            } else if depth > 0 && (place == LIST || place == WRAPPER && value.is_object()) {
                let length = self.enter(value.name);
                self.list(&value, depth - 1, place == LIST);
                self.leave(length);
            }
        }
        self.server(&found, listed);
        self.read_lifetime(&found);
    }

    #[inline(never)]
    fn leave_out(&mut self, expected: &str, came: &str) {
        if self.response.fault.is_none() {
            self.response.fault = Some(invalid(&self.path, expected, came));
        }
    }

    fn server(&mut self, [urls, username, credential, ..]: &[Value<'_>; 5], listed: bool) {
        // RFC 8489 section 14.3. Browsers refuse all servers for a longer one.
        let name = username
            .string()
            .filter(|name| (1..510).contains(&name.len()));
        let secret = credential.string().filter(|secret| !secret.is_empty());
        let mut begun = false;
        let mut served = false;
        let base = self.enter(urls.name);
        for (index, url) in urls.items().enumerate() {
            let length = self.enter_item(urls, index);
            self.urls += 1;
            match url.string().map(str::parse::<IceUri>) {
                _ if self.urls > URLS_MOST => self.leave_out("at most 64 URLs", "more"),
                None => self.leave_out("a URL", url.kind()),
                Some(Ok(url)) if !url.is_turn() || name.is_some() && secret.is_some() => {
                    served = true;
                    self.turn |= url.is_turn();
                    if !self.knows(name, &url) {
                        if !begun {
                            begun = true;
                            self.response.servers.push(IceServer {
                                urls: Vec::new(),
                                username: name.map(Username::new),
                                credential: secret.map(Secret::new),
                            });
                        }
                        if let Some(server) = self.response.servers.last_mut() {
                            server.urls.push(url);
                        }
                    }
                }
                Some(parsed) => {
                    let shown = printable(url.string().unwrap_or_default());
                    if let Err(error) = parsed {
                        // What stands beside a credential was to be a relay.
                        self.lost |= secret.is_some();
                        self.leave_out(error.as_str(), &concat(&["\"", &shown, "\""]));
                    } else {
                        self.lost = true;
                        let lacking = if name.is_none() { username } else { credential };
                        self.leave(base);
                        self.enter(lacking.name);
                        self.leave_out(
                            "a string of 1 to 509 bytes (this entry has a turn: URL)",
                            lacking.kind(),
                        );
                    }
                    self.response.dropped.push((shown, Drop::Invalid));
                }
            }
            self.leave(length);
        }
        if !served && listed && !credential.is_none() {
            self.lost = true;
            self.leave_out("a URL or an array of URLs", urls.kind());
        }
        self.leave(base);
        if let Some(name) = name
            && begun
        {
            self.stamp(name);
        }
    }

    /// Whether a URL is there already with the same username.
    fn knows(&self, name: Option<&str>, url: &IceUri) -> bool {
        self.response.servers.iter().any(|known| {
            known.username.as_ref().map(Username::expose) == name
                && known
                    .urls
                    .iter()
                    .any(|known| known.as_str() == url.as_str())
        })
    }

    /// Of two lifetimes counts the one that needs no clock, then the one that is told and not read out of a name, then the
    /// shorter one.
    fn tell(&mut self, rank: u8, number: f64) {
        let (known, shortest) = self.lifetime;
        if rank < known || rank == known && number < shortest {
            self.lifetime = (rank, number);
        }
    }

    /// coturn's time-limited usernames (draft-uberti-behave-turn-rest section 2.2): ten digits, the expiry in unix
    /// seconds, then nothing or a colon.
    fn stamp(&mut self, name: &str) {
        let (digits, _) = cut(name, b':');
        // From 2017 to 2096: other ten digits are some other kind of name.
        if digits.len() == 10
            && let Some(seconds @ 1_500_000_000..4_000_000_000) = decimal::digits(digits)
        {
            self.tell(2, seconds as f64 * 1000.0);
        }
    }

    fn read_lifetime(&mut self, [.., ttl, moment]: &[Value<'_>; 5]) {
        let by_moment = ttl.is_none();
        let value = if by_moment { moment } else { ttl };
        if value.is_none() {
            return;
        }
        let text = value.string().unwrap_or_default().trim_ascii();
        // AppRTC writes 86400s.
        let text = text.strip_suffix("s").unwrap_or(text);
        let number = value
            .number()
            .or_else(|| decimal::digits(text).map(|number| number as f64));
        let number = number.and_then(if by_moment { unix } else { checked_ttl });
        if let Some(number) = number {
            self.tell(by_moment.into(), number);
        } else {
            self.wrong = true;
            self.response.fault = None;
            self.enter(value.name);
            self.leave_out(
                if by_moment {
                    "an RFC 3339 date and time, or unix seconds or milliseconds"
                } else {
                    "seconds over 0, up to 31622400 (366 days)"
                },
                &shown(value),
            );
        }
    }
}

/// A whole number itself, and of anything else what it is: printing floats would cost more code than all of this file.
fn shown(value: &Value<'_>) -> String {
    match value.number() {
        Some(number) if (number as i64) as f64 == number => {
            let sign = if number < 0.0 { "-" } else { "" };
            concat(&[sign, &decimal((number as i64).unsigned_abs())])
        }
        _ => value.kind().into(),
    }
}

/// A URL as an error may show it: its beginning, up to what no URL has, and without what may be a password. Of what has no
/// colon nothing: it may be a secret in the wrong place.
fn printable(text: &str) -> String {
    let begin = text.bytes().rposition(|byte| byte == b'@').unwrap_or(0);
    let fits = |byte: &u8| (b' '..0x7f).contains(byte);
    let most = find(text, b':').map_or(0, |_| 100);
    let length = text.bytes().skip(begin).take(most).take_while(fits).count();
    let end = begin + length;
    concat(&[
        if begin > 0 { "…" } else { "" },
        part(text, begin, end),
        if end < text.len() { "…" } else { "" },
    ])
}

/// A number of seconds, if it is a lifetime.
fn checked_ttl(seconds: f64) -> Option<f64> {
    is_ttl(seconds).then_some(seconds)
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

#[cfg(test)]
mod tests {
    use super::super::value::json;
    use super::*;

    const ARRAY: &str = r#"{"iceServers":[
        {"urls":["stun:stun.cloudflare.com:3478","stun:stun.cloudflare.com:53"]},
        {"urls":["turn:turn.cloudflare.com:3478?transport=udp","turns:turn.cloudflare.com:443?transport=tcp"],
         "username":"bc91b63e2b5d759f8eb9f3b58062439e0a0e15893d76317d833265ad08d6631099ce7c7087caabb31ad3e1c386424e3e",
         "credential":"ebd71f1d3edbc2b0edae3cd5a6d82284aeb5c3b8fdaa9b8e3bf9cec683e0d45fe9f5b44e5145db3300f06c250a15b4a0"}]"#;

    fn read_json(body: &str) -> Result<Response, Failure> {
        read(&Value::new(&json(body)))
    }

    fn message(body: &str) -> String {
        let failure = read_json(body).expect_err(body);
        assert_eq!(failure.code, Code::ResponseInvalid);
        failure.message.clone()
    }

    fn lifetime(members: &str) -> Option<Lifetime> {
        read_json(&format!("{ARRAY}{members}}}")).unwrap().lifetime
    }

    #[test]
    fn cloudflares_array_is_read() {
        let response = read_json(&format!("{ARRAY}}}")).unwrap();
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
        let response = read_json(body).unwrap();
        assert_eq!(response.servers.len(), 1);
        assert_eq!(response.servers[0].urls.len(), 2);
        assert_eq!(response.lifetime, Some(Lifetime::Ttl(60.0)));
    }

    /// The URLs of the servers, with their usernames.
    fn servers(body: &str) -> Vec<(String, String)> {
        let response = read_json(body).unwrap_or_else(|failure| panic!("{body}: {failure}"));
        response
            .servers
            .iter()
            .flat_map(|server| {
                let name = server.username.as_ref().map_or("", Username::expose);
                server
                    .urls
                    .iter()
                    .map(move |url| (url.to_string(), name.to_owned()))
            })
            .collect()
    }

    /// The same of a response with faults, and what was left out.
    fn left_out(body: &str) -> (usize, Vec<String>, String) {
        let response = read_json(body).unwrap_or_else(|failure| panic!("{body}: {failure}"));
        let dropped = response.dropped.into_iter();
        (
            servers(body).len(),
            dropped
                .map(|(url, why)| format!("{url} {}", why.as_str()))
                .collect(),
            response
                .fault
                .map_or(String::new(), |fault| fault.message.clone()),
        )
    }

    #[test]
    fn names_are_known_in_every_spelling() {
        for (name, place) in [
            ("urls", 0),
            ("url", 0),
            ("Uris", 0),
            ("userName", 1),
            ("Password", 2),
            ("TTL", 3),
            ("expires_at", 4),
            ("ICE_SERVERS", LIST),
            ("iceServerList", LIST),
            ("v", WRAPPER),
            ("", usize::MAX),
            ("_", usize::MAX),
            ("u", usize::MAX),
            ("urlss", usize::MAX),
            ("ürls", usize::MAX),
            ("iceServer", usize::MAX),
        ] {
            assert_eq!(field(name), place, "{name}");
        }
    }

    #[test]
    fn an_entry_is_read_in_every_spelling() {
        for entry in [
            r#"{"urls":["turn:a"],"username":"u","credential":"c"}"#,
            r#"{"urls":"turn:a","username":"u","credential":"c"}"#,
            r#"{"url":"turn:a","username":"u","credential":"c"}"#,
            r#"{"url":"turn:a","urls":null,"username":"u","credential":"c"}"#,
            r#"{"uris":["turn:a"],"username":"u","password":"c"}"#,
            r#"{"Uris":["turn:a"],"Username":"u","Password":"c"}"#,
            r#"{"urls":["turn:a","turn:a"],"username":"u","credential":"c","x":{"urls":5}}"#,
            r#"{"urls":[" turn:a\n"],"username":"u","credential":"c","credentialType":"password"}"#,
        ] {
            let bodies = [
                entry.into(),
                format!("[{entry}]"),
                format!("[{entry},{entry}]"),
                format!(r#"{{"iceServers":{entry}}}"#),
                format!(r#"{{"iceServers":[{entry},{{"urls":[]}},{{}}],"more":[1]}}"#),
                format!(r#"{{"ice_servers":[{entry}],"username":"v","password":"d"}}"#),
                format!(r#"{{"v":{{"iceServers":{entry}}},"s":"ok"}}"#),
                format!(r#"{{"ocs":{{"data":{{"stunservers":[],"turnservers":[{entry}]}}}}}}"#),
                format!(r#"{{"data":"x","iceServers":[{entry}]}}"#),
            ];
            for body in bodies {
                assert_eq!(servers(&body), [("turn:a".into(), "u".into())], "{body}");
                assert_eq!(read_json(&body).unwrap().fault, None, "{body}");
            }
        }
    }

    #[test]
    fn a_url_that_comes_twice_is_kept_once_for_each_username() {
        let body = r#"[{"urls":["stun:a","stun:a","turn:b"],"username":"u","credential":"c"},
            {"urls":["turn:b","turn:B"],"username":"v","credential":"c"},
            {"urls":["turn:b"],"username":"u","credential":"c"},{"urls":"stun:a"}]"#;
        let expected = [
            ("stun:a", "u"),
            ("turn:b", "u"),
            ("turn:b", "v"),
            ("turn:B", "v"),
            ("stun:a", ""),
        ];
        let expected = expected.map(|(url, name)| (url.to_owned(), name.to_owned()));
        assert_eq!(servers(body), expected);
    }

    #[test]
    fn a_stun_url_loses_its_query() {
        assert_eq!(
            servers(r#"[{"url":"stun:a:3478?transport=udp"}]"#),
            [("stun:a:3478".into(), String::new())]
        );
    }

    #[test]
    fn one_bad_url_among_good_ones_is_left_out_and_named() {
        for (url, why) in [
            (
                "http://a",
                "expected a stun:, stuns:, turn: or turns: URL, got \"http://a\"",
            ),
            (
                "turn:a:99999",
                "expected a port from 1 to 65535, got \"turn:a:99999\"",
            ),
            (
                "stuns:a",
                "expected neither stuns: nor a port that browsers block, got \"stuns:a\"",
            ),
            (
                "turn:a:6666",
                "expected neither stuns: nor a port that browsers block, got \"turn:a:6666\"",
            ),
            (
                "turn:a?transport=sctp",
                "expected no query other than ?transport=udp or ?transport=tcp, got \"turn:a?transport=sctp\"",
            ),
        ] {
            let body = format!(
                r#"{{"iceServers":[{{"urls":["turn:b","{url}","turns:b"],"username":"u","credential":"c"}}]}}"#
            );
            let expected = (
                2,
                vec![format!("{url} invalid")],
                format!("iceServers[0].urls[1]: {why}"),
            );
            assert_eq!(left_out(&body), expected);
        }
    }

    #[test]
    fn an_entry_without_a_whole_credential_is_left_out_and_named() {
        let long = "x".repeat(510);
        for (entry, why) in [
            (
                r#""username":"u""#,
                "credential: expected a string of 1 to 509 bytes (this entry has a turn: URL), got nothing",
            ),
            (
                r#""username":"","credential":"c""#,
                "username: expected a string of 1 to 509 bytes (this entry has a turn: URL), got an empty string",
            ),
            (
                r#""userName":5,"credential":"c""#,
                "userName: expected a string of 1 to 509 bytes (this entry has a turn: URL), got a number",
            ),
            (
                &*format!(r#""username":"{long}","credential":"c""#),
                "username: expected a string of 1 to 509 bytes (this entry has a turn: URL), got a string",
            ),
        ] {
            let body = format!(
                r#"[{{"urls":["stun:a","turn:a"],{entry}}},{{"urls":"turn:b","username":"u","credential":"c"}}]"#
            );
            assert_eq!(
                left_out(&body),
                (2, vec!["turn:a invalid".into()], format!("[0].{why}"))
            );
            // With no relay left the response is of no use.
            assert_eq!(
                message(&format!(r#"[{{"urls":["stun:a","turn:a"],{entry}}}]"#)),
                format!("[0].{why}")
            );
        }
        assert!(
            read_json(&format!(
                r#"[{{"urls":"turn:a","username":"{}","credential":"{long}"}}]"#,
                "x".repeat(509)
            ))
            .is_ok()
        );
    }

    #[test]
    fn a_response_that_lost_its_relays_is_refused() {
        for (body, expected) in [
            (
                r#"[{"urls":"stun:a"},{"urls":["http://b"],"username":"u","credential":"c"}]"#,
                "[1].urls[0]: expected a stun:, stuns:, turn: or turns: URL, got \"http://b\"",
            ),
            (
                r#"[{"urls":["stun:a","turn:b:0"],"username":"u","credential":"c"}]"#,
                "[0].urls[1]: expected a port from 1 to 65535, got \"turn:b:0\"",
            ),
            (
                r#"[{"urls":"stun:a"},{"username":"u","credential":"c"}]"#,
                "[1].urls: expected a URL or an array of URLs, got nothing",
            ),
            (
                r#"[{"urls":"stun:a"},{"urls":[],"username":"u","credential":"c"}]"#,
                "[1].urls: expected a URL or an array of URLs, got an empty array",
            ),
        ] {
            assert_eq!(message(body), expected);
        }
        // One that had none has none to lose.
        let body = r#"[{"urls":["stun:a","stun:b:0"]},7]"#;
        assert_eq!(left_out(body).0, 1);
    }

    #[test]
    fn no_more_than_64_urls_are_read() {
        let many: Vec<String> = (0..100)
            .map(|number| format!("\"stun:h{number}\""))
            .collect();
        let body = format!("{{\"iceServers\":[{{\"urls\":[{}]}}]}}", many.join(","));
        let response = read_json(&body).unwrap();
        assert_eq!(response.servers[0].urls.len(), URLS_MOST);
        assert_eq!(
            response.fault.unwrap().message,
            "iceServers[0].urls[64]: expected at most 64 URLs, got more"
        );
    }

    #[test]
    fn lifetimes_are_read_in_each_spelling() {
        let ttl = |seconds| Some(Lifetime::Ttl(seconds));
        let moment = Some(Lifetime::ExpiresAt(1.7e12));
        for (members, expected) in [
            ("", None),
            (r#","ttl":null"#, None),
            (r#","ttl":86400"#, ttl(86400.0)),
            (r#","ttl":"86400""#, ttl(86400.0)),
            (r#","Ttl":" 300 ""#, ttl(300.0)),
            (r#","lifetimeDuration":"86400s""#, ttl(86400.0)),
            (r#","ttl":0.5"#, ttl(0.5)),
            (r#","ttl":60,"expiresAt":"nonsense""#, ttl(60.0)),
            (r#","ttl":null,"expiresAt":1700000000"#, moment),
            (r#","expiresAt":1700000000"#, moment),
            (r#","expires_at":1700000000000"#, moment),
            (r#","expiresAt":"1700000000""#, moment),
            (r#","expiresAt":"2023-11-14T22:13:20Z""#, moment),
            (
                r#","expiresOn":"2023-11-15T00:13:20.0004584+02:00""#,
                moment,
            ),
        ] {
            assert_eq!(lifetime(members), expected, "{members}");
        }
    }

    #[test]
    fn the_shortest_lifetime_counts_and_a_ttl_before_a_moment() {
        let of = |entries: &str| read_json(entries).unwrap().lifetime;
        assert_eq!(
            of(
                r#"[{"url":"stun:a","ttl":300},{"url":"stun:b","ttl":60},{"url":"stun:c","ttl":90}]"#
            ),
            Some(Lifetime::Ttl(60.0))
        );
        assert_eq!(
            of(r#"{"expiresAt":1700000000,"iceServers":[{"url":"stun:a","ttl":300}]}"#),
            Some(Lifetime::Ttl(300.0))
        );
        assert_eq!(
            of(
                r#"{"iceServers":[{"urls":"turn:a","username":"1600000000:a","credential":"c"}],"expiresAt":1700000000}"#
            ),
            Some(Lifetime::ExpiresAt(1.7e12))
        );
    }

    #[test]
    fn coturn_usernames_carry_their_expiry() {
        let with = |name: &str| {
            read_json(&format!(
                r#"[{{"urls":"turn:a","username":"{name}","credential":"c"}}]"#
            ))
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
            ("1e300", "a number"),
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
            (
                "null",
                "expected iceServers, a list of at least one object with urls, got null",
            ),
            (
                "\"secret\"",
                "expected iceServers, a list of at least one object with urls, got a string",
            ),
            (
                "{}",
                "expected iceServers, a list of at least one object with urls, got an object",
            ),
            (
                r#"{"iceServers":[]}"#,
                "expected iceServers, a list of at least one object with urls, got an object",
            ),
            (
                "[]",
                "expected iceServers, a list of at least one object with urls, got an empty array",
            ),
            (
                r#"{"iceServers":null}"#,
                "iceServers: expected an ice server (an object with urls), got null",
            ),
            (
                r#"{"iceServers":"secret"}"#,
                "iceServers: expected an ice server (an object with urls), got a string",
            ),
            (
                r#"{"iceServers":[7]}"#,
                "iceServers[0]: expected an ice server (an object with urls), got a number",
            ),
            (
                r#"{"iceServers":[{"credential":"secret"}]}"#,
                "iceServers[0].urls: expected a URL or an array of URLs, got nothing",
            ),
            (
                r#"{"v":{"iceServers":{"urls":[],"password":"secret"}}}"#,
                "v.iceServers.urls: expected a URL or an array of URLs, got an empty array",
            ),
            (
                r#"{"iceServers":[{"urls":[1]}]}"#,
                "iceServers[0].urls[0]: expected a URL, got a number",
            ),
            (
                r#"{"IceServerList":[{"Uris":["turn:a"],"Username":"secret"}]}"#,
                "IceServerList[0].credential: expected a string of 1 to 509 bytes (this entry has a turn: URL), got nothing",
            ),
            (
                r#"{"iceServers":[{"urls":"stun:a"},{"urls":["http://x.example"],"username":"secret","credential":"secret"}]}"#,
                "iceServers[1].urls[0]: expected a stun:, stuns:, turn: or turns: URL, got \"http://x.example\"",
            ),
            (
                r#"{"iceServers":[{"urls":["turn:a:99999"],"username":"secret","credential":"secret"}]}"#,
                "iceServers[0].urls[0]: expected a port from 1 to 65535, got \"turn:a:99999\"",
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
        for secret in ["hunter2", "turn"] {
            assert_eq!(printable(secret), "…");
        }
        assert_eq!(printable("turn:a\nb"), "turn:a…");
        assert_eq!(printable("turn:bücher.example"), "turn:b…");
        assert_eq!(printable(&"x:".repeat(500)).chars().count(), 101);
    }
}
