//! The options of `openTurnSession`, checked. An error names the option, what came and what was expected.

use super::object::{get, is_absent, kind, text};
use super::request::HttpRequest;
use super::source::Source;
use crate::core::connection::Policy;
use crate::core::failure::{Code, Failure};
use crate::core::response;
use crate::core::selection::{Port53, Selection};
use crate::core::session;
use crate::core::source_url::SourceUrl;
use crate::core::uri::Transport;
use js_sys::{Array, Function, JSON};
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, RequestCredentials, Url};

/// The longest timeout, in milliseconds: ten minutes.
const TIMEOUT_MOST: f64 = 600_000.0;

pub struct Options {
    pub session: session::Options,
    pub source: Source,
    pub revoke: Option<Source>,
    pub signal: Option<AbortSignal>,
}

fn invalid(option: &str, expected: &str, came: &JsValue) -> Failure {
    let came = match came.as_string() {
        Some(text) if text.len() <= 40 => format!("\"{text}\""),
        _ => kind(came).to_owned(),
    };
    Failure::fatal(
        Code::InvalidOption,
        format!("{option}: expected {expected}, got {came}"),
    )
}

impl Options {
    pub fn read(options: &JsValue) -> Result<Self, Failure> {
        if !options.is_object() {
            return Err(invalid("options", "an object with a source", options));
        }
        let ttl = get(options, "ttl");
        let ttl = match ttl.as_f64() {
            None if is_absent(&ttl) => None,
            Some(seconds) if response::is_ttl(seconds) => Some(seconds),
            _ => {
                return Err(invalid(
                    "ttl",
                    "seconds over 0, up to 31622400 (366 days)",
                    &ttl,
                ));
            }
        };
        let trickle = get(options, "trickle");
        let trickle = match trickle.as_bool() {
            None if is_absent(&trickle) => true,
            Some(trickle) => trickle,
            None => return Err(invalid("trickle", "a boolean", &trickle)),
        };
        let signal = get(options, "signal");
        let signal = match signal.dyn_into::<AbortSignal>() {
            Ok(signal) => Some(signal),
            Err(absent) if is_absent(&absent) => None,
            Err(other) => return Err(invalid("signal", "an AbortSignal", &other)),
        };
        let revoke = get(options, "revoke");
        Ok(Self {
            source: read_source("source", &get(options, "source"))?,
            revoke: if is_absent(&revoke) {
                None
            } else {
                Some(read_source("revoke", &revoke)?)
            },
            session: session::Options {
                ttl,
                selection: read_selection(&get(options, "urls"), trickle)?,
                policy: read_policy(&get(options, "iceRestart"))?.unwrap_or(Policy::Relayed),
                seed: (js_sys::Math::random() * 9e15) as u64,
            },
            signal,
        })
    }
}

/// `iceRestart`; `None` if it was left out.
pub fn read_policy(policy: &JsValue) -> Result<Option<Policy>, Failure> {
    match policy.as_string().as_deref() {
        Some("relayed") => Ok(Some(Policy::Relayed)),
        Some("always") => Ok(Some(Policy::Always)),
        Some("never") => Ok(Some(Policy::Never)),
        None if is_absent(policy) => Ok(None),
        _ => Err(invalid(
            "iceRestart",
            "\"relayed\", \"always\" or \"never\"",
            policy,
        )),
    }
}

/// A timeout in milliseconds.
pub fn read_timeout(option: &str, timeout: &JsValue, default: f64) -> Result<f64, Failure> {
    match timeout.as_f64() {
        None if is_absent(timeout) => Ok(default),
        Some(ms) if (1.0..=TIMEOUT_MOST).contains(&ms) => Ok(ms),
        _ => Err(invalid(option, "milliseconds from 1 to 600000", timeout)),
    }
}

fn read_selection(urls: &JsValue, trickle: bool) -> Result<Selection, Failure> {
    if !is_absent(urls) && !urls.is_object() {
        return Err(invalid("urls", "an object", urls));
    }
    let port53 = get(urls, "port53");
    let port53 = match port53.as_string().as_deref() {
        Some("keep") => Port53::Keep,
        Some("drop") => Port53::Drop,
        Some("auto") => Port53::auto(trickle),
        None if is_absent(&port53) => Port53::auto(trickle),
        _ => {
            return Err(invalid(
                "urls.port53",
                "\"auto\", \"keep\" or \"drop\"",
                &port53,
            ));
        }
    };
    let transports = get(urls, "transports");
    let transports = match transports.dyn_ref::<Array>() {
        None if is_absent(&transports) => None,
        Some(list) if list.length() > 0 => Some(
            list.iter()
                .map(|name| read_transport(&name))
                .collect::<Result<_, _>>()?,
        ),
        _ => {
            return Err(invalid(
                "urls.transports",
                "a list of \"udp\", \"tcp\" and \"tls\"",
                &transports,
            ));
        }
    };
    let max = get(urls, "max");
    let max = match max.as_f64() {
        None if is_absent(&max) => None,
        Some(most) if most >= 1.0 && most.fract() == 0.0 => Some(most as usize),
        _ => return Err(invalid("urls.max", "a whole number from 1 on", &max)),
    };
    Ok(Selection {
        port53,
        transports,
        max,
    })
}

fn read_transport(name: &JsValue) -> Result<Transport, Failure> {
    match name.as_string().as_deref() {
        Some("udp") => Ok(Transport::Udp),
        Some("tcp") => Ok(Transport::Tcp),
        Some("tls") => Ok(Transport::Tls),
        _ => Err(invalid(
            "urls.transports",
            "a list of \"udp\", \"tcp\" and \"tls\"",
            name,
        )),
    }
}

/// `source` or `revoke`: an address, a request, or a function.
fn read_source(option: &str, source: &JsValue) -> Result<Source, Failure> {
    if let Some(function) = source.dyn_ref::<Function>() {
        return Ok(Source::Provider(function.clone()));
    }
    if let Some(url) = read_url(source) {
        return Ok(Source::Http(HttpRequest {
            url: check_url(option, &url)?,
            get: false,
            headers: JsValue::UNDEFINED,
            body: None,
            credentials: RequestCredentials::SameOrigin,
            timeout: 10_000.0,
        }));
    }
    if !source.is_object() {
        return Err(invalid(
            option,
            "a URL, a request ({ url, … }) or a function",
            source,
        ));
    }
    let member = |name: &str| (format!("{option}.{name}"), get(source, name));
    let (name, url) = member("url");
    let url = read_url(&url).ok_or_else(|| invalid(&name, "a URL", &url))?;
    let (name, method) = member("method");
    let get = match method.as_string().as_deref() {
        Some("GET") => true,
        Some("POST") => false,
        None if is_absent(&method) => false,
        _ => return Err(invalid(&name, "\"GET\" or \"POST\"", &method)),
    };
    let (name, body) = member("body");
    let body = match () {
        () if is_absent(&body) => None,
        () if get => return Err(invalid(&name, "no body with GET", &body)),
        () => match JSON::stringify(&body) {
            Ok(json) if json.is_string() => Some(String::from(json)),
            _ => return Err(invalid(&name, "a value that JSON can hold", &body)),
        },
    };
    let (name, credentials) = member("credentials");
    let credentials = match credentials.as_string().as_deref() {
        Some("omit") => RequestCredentials::Omit,
        Some("same-origin") => RequestCredentials::SameOrigin,
        Some("include") => RequestCredentials::Include,
        None if is_absent(&credentials) => RequestCredentials::SameOrigin,
        _ => {
            return Err(invalid(
                &name,
                "\"omit\", \"same-origin\" or \"include\"",
                &credentials,
            ));
        }
    };
    let (name, headers) = member("headers");
    if !is_absent(&headers) && !headers.is_object() && !headers.is_function() {
        return Err(invalid(&name, "headers or a function", &headers));
    }
    let (name, timeout) = member("timeout");
    let timeout = read_timeout(&name, &timeout, 10_000.0)?;
    Ok(Source::Http(HttpRequest {
        url: check_url(option, &url)?,
        get,
        headers,
        body,
        credentials,
        timeout,
    }))
}

/// A string, or a `URL`'s text.
fn read_url(value: &JsValue) -> Option<String> {
    value
        .as_string()
        .or_else(|| value.dyn_ref::<Url>().map(Url::href))
}

/// The absolute address, if credentials may be fetched from there.
fn check_url(option: &str, text: &str) -> Result<String, Failure> {
    let global = js_sys::global();
    let location = get(&global, "location");
    let base =
        self::text(&get(&global, "document"), "baseURI").or_else(|| self::text(&location, "href"));
    let url = match base {
        Some(base) => Url::new_with_base(text, &base),
        None => Url::new(text),
    };
    let url = url.map_err(|_| invalid(option, "a URL", &JsValue::from_str(text)))?;
    SourceUrl {
        protocol: &url.protocol(),
        hostname: &url.hostname(),
        same_origin: self::text(&location, "origin").is_some_and(|origin| origin == url.origin()),
        secure_context: get(&global, "isSecureContext").is_truthy(),
    }
    .check(option)?;
    Ok(url.href())
}
