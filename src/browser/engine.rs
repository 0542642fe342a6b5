//! A session as JavaScript drives it: report what happened, then carry out the commands that come back.

use super::row::Rows;
use crate::core::clock::Now;
use crate::core::connection::{Facts, Ice, Pair, Policy, Signaling};
use crate::core::decimal::digits;
use crate::core::failure::{Code, Details, Failure};
use crate::core::selection::{Port53, Selection};
use crate::core::session::{Input, Options, Session};
use crate::core::source_url::SourceUrl;
use crate::core::text::{cut, part};
use crate::core::uri::Transport;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// A session, and the texts that go to and fro: the module imports nothing, so JavaScript writes and reads its memory.
pub struct Engine {
    session: Session,
    /// What JavaScript wrote, as its TextEncoder makes it.
    input: Vec<u8>,
    answer: String,
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
fn pairs(mut lines: &str) -> Vec<Pair> {
    let mut pairs = Vec::new();
    while !lines.is_empty() {
        let (line, rest) = cut(lines, b'\n');
        let (kind, names) = cut(line, b' ');
        let (ufrag, id) = cut(names, b' ');
        pairs.push(Pair {
            id: id.into(),
            relayed: kind == "relay",
            ufrag: (!ufrag.is_empty()).then(|| ufrag.into()),
        });
        lines = rest;
    }
    pairs
}

/// One a line.
fn usernames(mut lines: &str) -> Vec<String> {
    let mut usernames = Vec::new();
    while !lines.is_empty() {
        let (line, rest) = cut(lines, b'\n');
        usernames.push(line.into());
        lines = rest;
    }
    usernames
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

/// Begins a session: what all the other functions take it by, until [`end`]. Checked options: `ttl` NaN for none, `max` 0
/// for none, and in `choices` from the lowest bit on whether to drop port 53, two bits for the policy's place, and for each
/// wanted transport two bits for its place in `["udp", "tcp", "tls"]` from 1 on. The clocks as in [`Now`].
#[unsafe(no_mangle)]
pub extern "C" fn begin(
    ttl: f64,
    max: u32,
    choices: u32,
    seed: f64,
    wall: f64,
    monotonic: f64,
) -> *mut Engine {
    let mut transports = Vec::new();
    let mut places = choices >> 3;
    while places > 0 {
        transports.push(match places & 3 {
            1 => Transport::Udp,
            2 => Transport::Tcp,
            _ => Transport::Tls,
        });
        places >>= 2;
    }
    let options = Options {
        ttl: (ttl > 0.0).then_some(ttl),
        selection: Selection {
            port53: if choices & 1 != 0 {
                Port53::Drop
            } else {
                Port53::Keep
            },
            transports: (!transports.is_empty()).then_some(transports),
            max: (max > 0).then_some(max as usize),
        },
        policy: policy(choices >> 1 & 3).unwrap_or(Policy::Relayed),
        seed: seed as u64,
    };
    let now = Now { wall, monotonic };
    Box::into_raw(Box::new(Engine {
        session: Session::new(options, now),
        input: Vec::new(),
        answer: String::new(),
    }))
}

/// Lets go of a session.
#[unsafe(no_mangle)]
pub extern "C" fn end(engine: *mut Engine) {
    // SAFETY: session.js hands in what `begin` gave it, and forgets it.
    drop(unsafe { Box::from_raw(engine) });
}

/// Where to write this many bytes of text for the next [`report`].
#[unsafe(no_mangle)]
pub extern "C" fn input(engine: *mut Engine, length: usize) -> *mut u8 {
    // SAFETY: as for `report`.
    let engine = unsafe { &mut *engine };
    engine.input = vec![0; length];
    engine.input.as_mut_ptr()
}

/// How many bytes the answer of the last [`report`] has.
#[unsafe(no_mangle)]
pub extern "C" fn length(engine: *const Engine) -> usize {
    // SAFETY: as for `report`.
    unsafe { &*engine }.answer.len()
}

/// Something happened, by its place in browser/report.js, with what belongs to it there; of the text that was written into
/// [`input`] the first `split` bytes are the first one. Gives the place of the commands that follow. Or a question: of what
/// answers it. One export for all of them.
#[unsafe(no_mangle)]
pub extern "C" fn report(
    engine: *mut Engine,
    what: u32,
    id: u32,
    number: u32,
    split: usize,
    wall: f64,
    monotonic: f64,
) -> *const u8 {
    // SAFETY: core.js hands in what `begin` gave it, and nothing in here calls JavaScript that would again.
    let Engine {
        session,
        input,
        answer,
    } = unsafe { &mut *engine };
    // SAFETY: a TextEncoder wrote all of it, and writes nothing but UTF-8.
    let input = unsafe { str::from_utf8_unchecked(input) };
    let text = part(input, 0, split);
    let more = part(input, split, input.len());
    *answer = answered(
        session,
        what,
        id,
        number,
        text,
        more,
        Now { wall, monotonic },
    );
    answer.as_ptr()
}

fn answered(
    session: &mut Session,
    what: u32,
    id: u32,
    number: u32,
    text: &str,
    more: &str,
    now: Now,
) -> String {
    let mut rows = Rows::new();
    let connection = id;
    let failed = |failure| Input::FetchFailed {
        fetch: id.into(),
        failure,
    };
    let input = match what {
        0 => Input::Open,
        1 => Input::Timer,
        2 => Input::Woke,
        3 => Input::Online,
        4 => Input::Offline,
        5 => Input::Refresh,
        6 => Input::Abort,
        7 => Input::Close { revoke: false },
        8 => Input::Close { revoke: true },
        9 => failed(Failure::from_status(number as u16, digits(text))),
        10 => failed(Failure::new(Details {
            code: Code::parse(more),
            message: text.into(),
            status: (number >> 1) as u16,
            retryable: number & 1 != 0,
            retry_after: None,
        })),
        11 => Input::Created {
            connection,
            policy: None,
        },
        12 => {
            // The usernames in its configuration, one a line, stand before the local description.
            let (names, local) = cut(text, 0);
            Input::Attached {
                connection,
                policy: policy(number >> 8),
                facts: facts(number, local, more),
                usernames: usernames(names),
            }
        }
        13 => Input::Detached { connection },
        14 => Input::Applied,
        15 => Input::ApplyFailed {
            connection,
            message: text.into(),
        },
        16 => Input::Observed {
            connection,
            facts: facts(number, text, more),
        },
        17 => Input::Inspected {
            connection,
            standing: number,
            pairs: pairs(text),
        },
        18 => Input::CandidateError {
            connection,
            url: text.into(),
            code: number as u16,
        },
        19 => Input::Fetched {
            fetch: id.into(),
            body: text.into(),
        },
        20 => Input::Proven {
            version: id.into(),
            code: number as u16,
        },
        21 => {
            rows.servers(session.servers(now));
            return rows.finish();
        }
        22 => {
            rows.state(&session.state(now));
            return rows.finish();
        }
        _ => {
            let (option, url) = cut(text, 0);
            let (protocol, hostname) = cut(url, 0);
            let url = SourceUrl {
                protocol,
                hostname,
                trusted: number != 0,
            };
            rows.failure(url.check(option).err().as_ref());
            return rows.finish();
        }
    };
    let mut commands = Vec::new();
    session.handle(input, now, &mut commands);
    for command in &commands {
        rows.command(command);
    }
    rows.finish()
}
