//! A session as JavaScript drives it: report what happened, then carry out what [`Engine::next`] says until it says
//! nothing.
//!
//! The core is never borrowed while JavaScript runs: a response is copied before it is handed over.

use super::js::{monotonic, wall};
use super::row;
use super::value;
use crate::core::clock::Now;
use crate::core::connection::{Facts, Ice, Pair, Policy, Signaling};
use crate::core::failure::{Code, Failure};
use crate::core::retry;
use crate::core::selection::{Port53, Selection};
use crate::core::session::{Command, Input, Options, Session};
use crate::core::source_url::SourceUrl;
use crate::core::uri::Transport;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use wasm_bindgen::prelude::*;

fn now() -> Now {
    Now {
        wall: wall(),
        monotonic: monotonic(),
    }
}

/// Checks an address that credentials may be fetched from: null, or why not. `trusted`: of the page's own origin, in a
/// secure context.
#[wasm_bindgen(js_name = checkSource)]
pub fn check_source(option: &str, protocol: &str, hostname: &str, trusted: bool) -> JsValue {
    let url = SourceUrl {
        protocol,
        hostname,
        trusted,
    };
    row::failure(url.check(option).err().as_ref())
}

#[wasm_bindgen]
pub struct Engine {
    session: RefCell<Session>,
    commands: RefCell<Vec<Command>>,
}

/// What a connection shows, packed by peers.js: the place of the signalling state, eight times that of the ICE state, and
/// bits for gathering and lost.
fn facts(packed: u32, local: &str, remote: &str) -> Facts {
    let signaling = match packed & 7 {
        0 => Signaling::Stable,
        1 => Signaling::HaveLocalOffer,
        2 => Signaling::HaveRemoteOffer,
        _ => Signaling::Closed,
    };
    let ice = match packed >> 3 & 7 {
        0 => Ice::New,
        1 => Ice::Checking,
        2 => Ice::Connected,
        3 => Ice::Disconnected,
        _ => Ice::Failed,
    };
    Facts::read(
        signaling,
        ice,
        packed & 64 != 0,
        packed & 128 != 0,
        local,
        remote,
    )
}

/// The selected pairs, one a line: the local candidate's type, its username fragment, the pair's id.
fn pairs(lines: &str) -> Vec<Pair> {
    let pair = |line: &str| {
        let mut words = line.split(' ');
        let relayed = words.next()? == "relay";
        let ufrag = words
            .next()
            .filter(|ufrag| !ufrag.is_empty())
            .map(ToString::to_string);
        Some(Pair {
            id: words.next()?.to_string(),
            relayed,
            ufrag,
        })
    };
    lines.split('\n').filter_map(pair).collect()
}

/// The place of a policy in `["relayed", "always", "never"]`; any other stands for none.
fn policy(place: u32) -> Option<Policy> {
    match place {
        0 => Some(Policy::Relayed),
        1 => Some(Policy::Always),
        2 => Some(Policy::Never),
        _ => None,
    }
}

#[wasm_bindgen]
impl Engine {
    /// Checked options: `ttl` NaN for none, `transports` by their places in `["udp", "tcp", "tls"]` or empty, `max` 0 for
    /// none.
    #[wasm_bindgen(constructor)]
    pub fn new(
        ttl: f64,
        drop_port53: bool,
        transports: &[u8],
        max: u32,
        restart: u32,
        seed: f64,
    ) -> Self {
        let transports: Vec<Transport> = transports
            .iter()
            .map(|place| match place {
                0 => Transport::Udp,
                1 => Transport::Tcp,
                _ => Transport::Tls,
            })
            .collect();
        let options = Options {
            ttl: (ttl > 0.0).then_some(ttl),
            selection: Selection {
                port53: if drop_port53 {
                    Port53::Drop
                } else {
                    Port53::Keep
                },
                transports: (!transports.is_empty()).then_some(transports),
                max: (max > 0).then_some(max as usize),
            },
            policy: policy(restart).unwrap_or(Policy::Relayed),
            seed: seed as u64,
        };
        Self {
            session: RefCell::new(Session::new(options, now())),
            commands: RefCell::default(),
        }
    }

    fn input(&self, input: Input) {
        let mut commands = Vec::new();
        self.session
            .borrow_mut()
            .handle(input, now(), &mut commands);
        self.commands.borrow_mut().extend(commands);
    }

    /// The next command: a method's name and its arguments; undefined when there is none.
    pub fn next(&self) -> JsValue {
        let mut commands = self.commands.borrow_mut();
        if commands.is_empty() {
            JsValue::UNDEFINED
        } else {
            row::command(commands.remove(0))
        }
    }

    /// Something happened, by its place in browser/report.js, with what belongs to it there. One export for all of
    /// them: each costs its own conversions.
    pub fn report(&self, what: u32, id: u32, number: u32, text: String, more: &str) {
        let connection = id;
        let failed = |failure| Input::FetchFailed {
            fetch: id.into(),
            failure,
        };
        self.input(match what {
            0 => Input::Open,
            1 => Input::Timer,
            2 => Input::Woke,
            3 => Input::Online,
            4 => Input::Offline,
            5 => Input::Refresh,
            6 => Input::Abort,
            7 => Input::Close { revoke: false },
            8 => Input::Close { revoke: true },
            9 => failed(Failure::from_status(
                number as u16,
                retry::retry_after(&text, wall()),
            )),
            10 => failed(Failure {
                status: (number > 1).then_some((number >> 1) as u16),
                retryable: number & 1 != 0,
                ..Failure::retryable(Code::parse(more), text)
            }),
            11 => Input::Created {
                connection,
                policy: None,
            },
            12 => {
                // The usernames in its configuration, one a line, stand before the local description.
                let (usernames, local) = text.split_once('\0').unwrap_or_default();
                Input::Attached {
                    connection,
                    policy: policy(number >> 8),
                    facts: facts(number, local, more),
                    usernames: usernames.split('\n').map(ToString::to_string).collect(),
                }
            }
            13 => Input::Detached { connection },
            14 => Input::Applied {
                connection,
                version: number.into(),
            },
            15 => Input::ApplyFailed {
                connection,
                version: number.into(),
                message: text,
            },
            16 => Input::Observed {
                connection,
                facts: facts(number, &text, more),
            },
            17 => Input::Inspected {
                connection,
                pairs: pairs(&text),
            },
            18 => Input::CandidateError {
                connection,
                url: text,
                code: number as u16,
            },
            _ => return,
        });
    }

    pub fn fetched(&self, fetch: u32, body: &JsValue) {
        let body = value::from_js(body);
        self.input(Input::Fetched {
            fetch: fetch.into(),
            body,
        });
    }

    pub fn servers(&self) -> JsValue {
        row::servers(&self.session.borrow_mut().servers(now()))
    }

    pub fn state(&self) -> JsValue {
        row::state(&self.session.borrow_mut().state(now()))
    }
}
