//! The life of a session, with the clock moved by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod driver;

use driver::{
    Dated, Driver, SECRET, TURN, apply, connected, credential, fetch, network, options,
    refresh_error, refreshed, relayed, response, status, status_changed, undated,
};
use turn_wasm::core::connection::{
    Act, CONTROLLED, Cause, EVEN, Facts, Ice, Initiator, OUTRANKED, Pair, Policy, Signaling,
};
use turn_wasm::core::failure::{Code, Failure};
use turn_wasm::core::selection::{Drop, Selection};
use turn_wasm::core::session::{
    Command, Event, Input, Options, Reason, Session, Status, TtlSource,
};
use turn_wasm::core::uri::Transport;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: f64 = 365.0 * DAY as f64;

fn seeded(seed: u64) -> Options {
    Options { seed, ..options() }
}

fn emitted(commands: &[Command]) -> Vec<&Event> {
    commands
        .iter()
        .filter_map(|command| match command {
            Command::Emit(event) => Some(event),
            _ => None,
        })
        .collect()
}

fn fetches(log: &[Dated]) -> Vec<(u64, Reason)> {
    log.iter()
        .filter_map(|(at, command)| match command {
            Command::Fetch { reason, .. } => Some((*at, *reason)),
            _ => None,
        })
        .collect()
}

fn code_of(commands: &[Command]) -> Option<Code> {
    commands.iter().find_map(|command| match command {
        Command::OpenFailed(failure)
        | Command::RefreshDone(Some(failure))
        | Command::Emit(Event::RefreshError { failure, .. }) => Some(failure.code),
        _ => None,
    })
}

fn revoked(commands: &[Command]) -> Option<Vec<&str>> {
    commands.iter().find_map(|command| match command {
        Command::Revoke(usernames) => Some(usernames.iter().map(|name| name.expose()).collect()),
        _ => None,
    })
}

// ---- opening -------------------------------------------------------------------------------------------------------

#[test]
fn a_good_first_response_opens_the_session() {
    let mut driver = Driver::new(options());
    assert_eq!(driver.input(Input::Open), [fetch(1, Reason::Initial)]);
    assert_eq!(driver.state().status, Status::Opening);
    assert_eq!(
        driver.fetched(credential("alice", 600.0)),
        [Command::Opened]
    );

    let state = driver.state();
    assert_eq!(state.status, Status::Active);
    assert_eq!(state.ttl_s, 600.0);
    assert_eq!(state.ttl_source, TtlSource::Response);
    assert_eq!(state.username.as_deref(), Some("al…"));
    assert_eq!(
        (state.attempts, state.connections, state.last_error),
        (0, 0, None)
    );
    let urls: Vec<String> = state
        .servers()
        .iter()
        .flat_map(|server| &server.urls)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        urls,
        [
            "stun:stun.example.org:3478",
            TURN,
            "turns:turn.example.org:443?transport=tcp"
        ]
    );
    assert_eq!(driver.expires_at(), Some(600_000));
    assert_eq!(driver.serves().as_deref(), Some("alice"));
}

#[test]
fn a_retryable_failure_is_tried_twice_more_within_five_seconds_then_opening_fails() {
    for seed in 0..100 {
        let mut driver = Driver::new(seeded(seed));
        driver.input(Input::Open);
        assert_eq!(driver.failed(network()), []);
        let (second, reason) = driver.forward_to_fetch(SECOND);
        assert!((250..=1_000).contains(&second) && reason == Reason::Initial);
        assert_eq!(driver.failed(status(503)), []);
        let (third, reason) = driver.forward_to_fetch(2 * SECOND);
        assert!((second + 250..=second + 2_000).contains(&third) && reason == Reason::Initial);
        let last = status(502);
        assert_eq!(driver.failed(last.clone()), [Command::OpenFailed(last)]);
        assert_eq!(driver.forward(HOUR), []);
        assert_eq!(driver.state().status, Status::Closed);
    }
}

#[test]
fn a_second_try_may_open_the_session() {
    let mut driver = Driver::new(options());
    driver.input(Input::Open);
    driver.failed(network());
    driver.forward_to_fetch(SECOND);
    assert_eq!(
        driver.fetched(credential("alice", 600.0)),
        [Command::Opened]
    );
    let state = driver.state();
    assert_eq!(
        (state.status, state.attempts, state.last_error),
        (Status::Active, 0, None)
    );
}

#[test]
fn opening_is_not_tried_again_once_five_seconds_are_over() {
    let mut driver = Driver::new(options());
    driver.input(Input::Open);
    driver.forward(4_900);
    let failure = Failure::retryable(Code::Timeout, "no answer");
    assert_eq!(
        driver.failed(failure.clone()),
        [Command::OpenFailed(failure)]
    );
}

#[test]
fn opening_does_not_wait_out_a_retry_after_beyond_its_five_seconds() {
    let mut driver = Driver::new(options());
    driver.input(Input::Open);
    let failure = Failure::from_status(429, Some(30_000));
    assert_eq!(
        driver.failed(failure.clone()),
        [Command::OpenFailed(failure)]
    );
}

#[test]
fn a_refusal_while_opening_rejects_at_once() {
    for refusal in [400, 401, 403, 404] {
        let mut driver = Driver::new(options());
        driver.input(Input::Open);
        let failure = status(refusal);
        assert_eq!(
            driver.failed(failure.clone()),
            [Command::OpenFailed(failure)]
        );
        assert_eq!(driver.forward(HOUR), []);
    }
}

#[test]
fn an_unreadable_response_while_opening_rejects_at_once() {
    let mut driver = Driver::new(options());
    driver.input(Input::Open);
    let commands = driver.fetched(driver::json(r#"{"iceServers":[]}"#));
    assert_eq!(code_of(&commands), Some(Code::ResponseInvalid));
    assert_eq!(commands.len(), 1);
}

#[test]
fn aborting_while_opening_cancels_the_fetch_and_rejects() {
    let mut driver = Driver::new(options());
    driver.input(Input::Open);
    let commands = driver.input(Input::Abort);
    assert_eq!(commands[0], Command::CancelFetch);
    assert_eq!(code_of(&commands), Some(Code::Aborted));
    assert_eq!(commands.len(), 2);
    assert_eq!(driver.fetched(credential("alice", 600.0)), []);
    assert_eq!(driver.state().status, Status::Closed);
}

#[test]
fn aborting_between_two_tries_rejects_and_nothing_is_tried_again() {
    let mut driver = Driver::new(options());
    driver.input(Input::Open);
    driver.failed(network());
    assert_eq!(code_of(&driver.input(Input::Abort)), Some(Code::Aborted));
    assert_eq!(driver.forward(HOUR), []);
}

#[test]
fn a_signal_aborted_beforehand_rejects_without_a_fetch() {
    let mut driver = Driver::new(options());
    assert_eq!(code_of(&driver.input(Input::Abort)), Some(Code::Aborted));
    assert_eq!(driver.input(Input::Open), []);
}

#[test]
fn closing_before_the_session_is_open_rejects_and_leaves_it_closed() {
    for opened in [false, true] {
        let mut driver = Driver::new(options());
        if opened {
            driver.input(Input::Open);
        }
        let commands = driver.input(Input::Close { revoke: true });
        assert_eq!(code_of(&commands), Some(Code::Closed), "{commands:?}");
        assert_eq!(emitted(&commands), Vec::<&Event>::new());
        assert_eq!(driver.state().status, Status::Closed);
    }
}

#[test]
fn a_page_that_is_offline_beforehand_opens_like_any_other() {
    let mut driver = Driver::new(options());
    assert_eq!(driver.input(Input::Offline), []);
    assert_eq!(driver.state().status, Status::Opening);
    assert_eq!(driver.input(Input::Open), [fetch(1, Reason::Initial)]);
    assert_eq!(
        driver.fetched(credential("alice", 600.0)),
        [Command::Opened]
    );
}

#[test]
fn aborting_an_open_session_closes_it_without_revocation() {
    let mut driver = Driver::opened(600.0);
    assert_eq!(
        driver.input(Input::Abort),
        [
            status_changed(Status::Active, Status::Closed),
            Command::Emit(Event::Closed)
        ]
    );
}

// ---- lifetime ------------------------------------------------------------------------------------------------------

/// Opens with this body, which comes 100 ms after the request, and tells the life's end and what it was read from.
fn read(ttl: Option<f64>, username: &str, members: &str) -> (u64, TtlSource) {
    let mut driver = Driver::new(Options { ttl, ..options() });
    driver.input(Input::Open);
    driver.forward(100);
    let commands = driver.fetched(response(username, members));
    assert_eq!(commands.first(), Some(&Command::Opened));
    (driver.expires_at().unwrap(), driver.state().ttl_source)
}

#[test]
fn the_lifetime_is_read_from_ttl_then_expires_at_then_username_then_option_then_assumed() {
    // 2024-05-01T00:00:00Z is where the clock stands.
    let moment = r#""expiresAt":"2024-05-01T00:02:00Z""#;
    let both = format!(r#""ttl":60,{moment}"#);
    let name = "1714521780:alice";
    let option = Some(240.0);
    assert_eq!(read(option, name, &both), (60_000, TtlSource::Response));
    assert_eq!(read(option, name, moment), (120_000, TtlSource::Response));
    assert_eq!(read(option, name, ""), (180_000, TtlSource::Username));
    assert_eq!(read(option, "alice", ""), (240_000, TtlSource::Option));
    assert_eq!(read(None, "alice", ""), (3_600_000, TtlSource::Assumed));
}

#[test]
fn an_assumed_lifetime_is_told_once() {
    let mut driver = Driver::new(options());
    driver.input(Input::Open);
    let commands = driver.fetched(response("alice", ""));
    assert_eq!(
        commands,
        [Command::Opened, Command::Emit(Event::TtlAssumed)]
    );
    driver.forward_to_fetch(HOUR);
    let commands = driver.fetched(response("bob", ""));
    assert!(!emitted(&commands).contains(&&Event::TtlAssumed));
    assert_eq!(driver.state().ttl_source, TtlSource::Assumed);
}

#[test]
fn a_lifetime_counts_from_the_moment_of_sending() {
    let mut driver = Driver::opened(60.0);
    let (sent, _) = driver.forward_to_fetch(MINUTE);
    driver.forward(8 * SECOND);
    driver.fetched(credential("bob", 60.0));
    assert_eq!(driver.expires_at(), Some(sent + 60_000));
    assert_eq!(driver.state().ttl_s, 60.0);
    assert!((sent + 30_000..=sent + 45_000).contains(&driver.refresh_at().unwrap()));
}

#[test]
fn an_expiry_in_the_past_is_an_error_that_names_clock_skew() {
    for (body, past) in [
        (
            response("alice", r#""expiresAt":"2024-04-30T23:00:00Z""#),
            "lies 3600 s",
        ),
        (response("1714518000:alice", ""), "lies 3600 s"),
        // The very moment at which it is read.
        (response("1714521600:alice", ""), "lies 0 s"),
    ] {
        let mut driver = Driver::new(options());
        driver.input(Input::Open);
        let commands = driver.fetched(body);
        let [Command::OpenFailed(failure)] = &commands[..] else {
            panic!("{commands:?}");
        };
        assert_eq!(failure.code, Code::ResponseInvalid);
        assert!(
            failure.message.contains("clock skew"),
            "{}",
            failure.message
        );
        assert!(failure.message.contains(past), "{}", failure.message);
    }
}

#[test]
fn an_expiry_in_the_past_does_no_harm_beside_a_ttl() {
    let past = r#""expiresAt":"2024-04-30T23:00:00Z""#;
    assert_eq!(
        read(Some(300.0), "alice", past),
        (300_000, TtlSource::Option)
    );
    assert_eq!(
        read(Some(300.0), "1714518000:alice", ""),
        (300_000, TtlSource::Option)
    );
    let both = format!(r#""ttl":60,{past}"#);
    assert_eq!(read(None, "alice", &both), (60_000, TtlSource::Response));
}

#[test]
fn an_absolute_expiry_is_believed_for_48_hours_and_a_ttl_for_longer() {
    let far = r#""expiresAt":"2054-05-01T00:00:00Z""#;
    assert_eq!(read(None, "alice", far).0, 100 + 48 * HOUR);
    assert_eq!(read(None, "3714521780:alice", "").0, 100 + 48 * HOUR);
    assert_eq!(read(None, "alice", r#""ttl":2678400"#).0, 31 * DAY);
}

#[test]
fn a_credential_that_is_dead_on_arrival_is_not_used_and_the_next_one_is_tried() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.forward(6 * SECOND);
    let commands = driver.fetched(credential("bob", 5.0));
    assert_eq!(code_of(&commands), Some(Code::Expired));
    assert_eq!(driver.serves().as_deref(), Some("alice"));
    assert_eq!(driver.state().status, Status::Retrying);
    let (_, reason) = driver.forward_to_fetch(SECOND);
    assert_eq!(reason, Reason::Scheduled);
}

#[test]
fn a_credential_that_dies_on_each_arrival_does_not_open_a_session() {
    let mut driver = Driver::new(options());
    driver.input(Input::Open);
    for _ in 0..2 {
        driver.forward(10);
        assert_eq!(driver.fetched(credential("alice", 0.01)), []);
        driver.forward_to_fetch(2 * SECOND);
    }
    driver.forward(10);
    let commands = driver.fetched(credential("alice", 0.01));
    assert!(
        matches!(&commands[..], [Command::OpenFailed(failure)] if failure.code == Code::Expired)
    );
}

#[test]
fn absurd_lifetimes_are_failures_that_keep_the_live_credential() {
    for ttl in [
        "0", "-1", "1e300", r#""abc""#, r#""NaN""#, "true", "[]", "31622401",
    ] {
        let mut driver = Driver::opened(600.0);
        driver.forward_to_fetch(600 * SECOND);
        let commands = driver.fetched(response("bob", &format!(r#""ttl":{ttl}"#)));
        assert_eq!(code_of(&commands), Some(Code::ResponseInvalid), "{ttl}");
        assert_eq!(driver.serves().as_deref(), Some("alice"), "{ttl}");
    }
}

// ---- the schedule --------------------------------------------------------------------------------------------------

#[test]
fn a_hidden_page_with_a_timer_a_minute_refreshes_in_time_for_five_minutes_and_more() {
    for ttl in [300, 330, 600, 3_600, 86_400] {
        for seed in 0..200 {
            let body = credential("alice", ttl as f64);
            let mut driver = Driver::opened_with(seeded(seed), body);
            let expires = driver.expires_at().unwrap();
            let log = driver.hidden_until(expires, |c| matches!(c, Command::Fetch { .. }));
            // With the longest answer that a source waits for by default.
            assert!(log[0].0 + 10 * SECOND <= expires, "ttl {ttl}, seed {seed}");
        }
    }
}

#[test]
fn the_state_lists_what_was_left_out_of_the_response() {
    let transports = Some(vec![Transport::Udp]);
    let mut driver = Driver::opened_with(
        Options {
            selection: Selection {
                transports,
                ..options().selection
            },
            ..options()
        },
        credential("alice", 600.0),
    );
    let state = driver.state();
    let dropped: Vec<_> = state
        .dropped()
        .iter()
        .map(|(url, why)| (url.as_str(), *why))
        .collect();
    let tls = "turns:turn.example.org:443?transport=tcp";
    assert_eq!(dropped, [(tls, Drop::Transport)]);
}

#[test]
fn the_refresh_starts_between_two_margins_and_one_before_expiry() {
    for ttl in [
        1, 2, 5, 10, 20, 60, 300, 600, 3_600, 14_400, 14_401, 86_400, 172_800, 2_678_400,
    ] {
        let life = ttl * SECOND;
        let margin = (life / 4).min(HOUR);
        let moments: Vec<u64> = (0..300)
            .map(|seed| {
                let mut driver = Driver::opened_with(seeded(seed), credential("alice", ttl as f64));
                driver.refresh_at().unwrap()
            })
            .collect();
        let (first, last) = (life - 2 * margin, life - margin);
        assert!(
            moments.iter().all(|m| (first..=last).contains(m)),
            "ttl {ttl}"
        );
        // Clients that opened together spread over the whole of it.
        for part in 0..4 {
            let from = first + part * margin / 4;
            let count = moments
                .iter()
                .filter(|m| (from..=from + margin / 4).contains(m))
                .count();
            assert!(count > 40, "ttl {ttl}: {count} of 300 in part {part}");
        }
    }
}

#[test]
fn the_fetch_goes_out_at_the_planned_moment_and_not_before() {
    for ttl in [1, 20, 600, 86_400] {
        let mut driver = Driver::opened(ttl as f64);
        let planned = driver.refresh_at().unwrap();
        assert_eq!(
            driver.forward_to(planned),
            [
                (planned, fetch(2, Reason::Scheduled)),
                (planned, status_changed(Status::Active, Status::Refreshing)),
            ]
        );
        assert_eq!(
            driver.refresh_at(),
            None,
            "nothing is planned during a fetch"
        );
    }
}

#[test]
fn a_session_lives_on_from_credential_to_credential() {
    let mut driver = Driver::opened(600.0);
    for name in ["bob", "carol", "dave"] {
        driver.forward_to_fetch(600 * SECOND);
        driver.forward(200);
        assert_eq!(
            driver.fetched(credential(name, 600.0)),
            [
                refreshed(Reason::Scheduled, true),
                status_changed(Status::Refreshing, Status::Active),
            ]
        );
        assert_eq!(driver.serves().as_deref(), Some(name));
    }
}

#[test]
fn a_month_is_waited_out_in_timers_of_at_most_thirty_seconds() {
    let mut driver = Driver::opened(2_678_400.0);
    // The driver checks each timer.
    assert_eq!(driver.forward(DAY), []);
}

// ---- one fetch at a time -------------------------------------------------------------------------------------------

#[test]
fn refresh_fetches_at_once_and_is_answered() {
    let mut driver = Driver::opened(600.0);
    assert_eq!(
        driver.input(Input::Refresh),
        [
            fetch(2, Reason::Manual),
            status_changed(Status::Active, Status::Refreshing)
        ]
    );
    assert_eq!(
        driver.fetched(credential("bob", 600.0)),
        [
            refreshed(Reason::Manual, true),
            Command::RefreshDone(None),
            status_changed(Status::Refreshing, Status::Active),
        ]
    );
}

#[test]
fn refresh_during_a_fetch_shares_it() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    assert_eq!(driver.input(Input::Refresh), []);
    assert_eq!(driver.input(Input::Refresh), []);
    let commands = driver.fetched(credential("bob", 600.0));
    let answers = commands
        .iter()
        .filter(|c| matches!(c, Command::RefreshDone(None)));
    assert_eq!(answers.count(), 1);
    let commands = {
        driver.forward_to_fetch(600 * SECOND);
        driver.fetched(credential("carol", 600.0))
    };
    assert!(
        !commands.contains(&Command::RefreshDone(None)),
        "nobody waits any more"
    );
}

#[test]
fn a_failed_refresh_is_answered_with_its_error_and_the_schedule_goes_on() {
    let mut driver = Driver::opened(600.0);
    driver.input(Input::Refresh);
    assert_eq!(
        driver.failed(network()),
        [
            refresh_error(Reason::Manual, network()),
            Command::RefreshDone(Some(network())),
            status_changed(Status::Refreshing, Status::Retrying),
        ]
    );
    let (_, reason) = driver.forward_to_fetch(SECOND);
    assert_eq!(reason, Reason::Scheduled, "no longer the app's own");
}

#[test]
fn nothing_that_happens_during_a_fetch_starts_another() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.forward_to_fetch(600 * SECOND);
    for input in [Input::Woke, Input::Online, Input::Timer, Input::Refresh] {
        assert_eq!(fetches(&driver.input_dated(input)), []);
    }
    driver.candidate_error(1, TURN, 401);
    assert_eq!(fetches(&driver.forward(30 * SECOND)), []);
}

#[test]
fn a_late_response_of_a_fetch_that_was_given_up_is_ignored() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    let given_up = driver.fetch;
    driver.failed(Failure::retryable(Code::Timeout, "no answer"));
    let late = || Input::Fetched {
        fetch: given_up,
        body: credential("late", 600.0),
    };
    assert_eq!(driver.input(late()), []);
    driver.forward_to_fetch(SECOND);
    assert_eq!(driver.input(late()), []);
    assert!(driver.is_fetching());
    assert_eq!(driver.serves().as_deref(), Some("alice"));
    driver.fetched(credential("bob", 600.0));
    assert_eq!(driver.input(late()), []);
    let failed_late = Input::FetchFailed {
        fetch: given_up,
        failure: network(),
    };
    assert_eq!(driver.input(failed_late), []);
    assert_eq!(driver.serves().as_deref(), Some("bob"));
}

// ---- retry ---------------------------------------------------------------------------------------------------------

#[test]
fn a_failed_refresh_keeps_the_live_credential_serving() {
    for failure in [network(), status(500), status(403), status(429)] {
        let mut driver = Driver::opened(600.0);
        driver.relayed_connection(1, connected());
        driver.forward_to_fetch(600 * SECOND);
        let commands = driver.failed(failure.clone());
        assert_eq!(
            commands[0],
            refresh_error(Reason::Scheduled, failure.clone())
        );
        assert_eq!(commands.len(), 2, "{commands:?}");
        assert_eq!(driver.serves().as_deref(), Some("alice"));
        let state = driver.state();
        assert_eq!((state.attempts, state.last_error), (1, Some(&failure)));
        driver.forward_to(599_999);
        assert_eq!(driver.serves().as_deref(), Some("alice"));
    }
}

#[test]
fn retries_are_spread_over_a_step_that_doubles_from_one_second_to_sixty() {
    let mut waits = vec![Vec::new(); 7];
    for seed in 0..200 {
        let mut driver = Driver::opened_with(seeded(seed), credential("alice", 86_400.0));
        driver.forward_to_fetch(DAY);
        for step in &mut waits {
            let (failed, _) = (driver.at, driver.failed(network()));
            step.push(driver.forward_to_fetch(MINUTE).0 - failed);
        }
    }
    for (step, waits) in waits.iter().enumerate() {
        let most = (SECOND << step).min(MINUTE);
        assert!(
            waits.iter().all(|w| (250..=most).contains(w)),
            "step {step}"
        );
        let late = waits.iter().filter(|w| **w > most / 2).count();
        assert!(
            (70..130).contains(&late),
            "step {step}: {late} of 200 in the later half"
        );
    }
}

#[test]
fn after_the_last_step_a_long_lived_credential_waits_for_a_part_of_its_life() {
    let mut driver = Driver::opened(86_400.0);
    driver.forward_to_fetch(DAY);
    for _ in 0..7 {
        driver.failed(network());
        driver.forward_to_fetch(MINUTE);
    }
    let mut tries = 0;
    while 86_400 * SECOND - driver.at > 2 * MINUTE {
        driver.failed(network());
        let (at, life) = (driver.at, 86_400 * SECOND - driver.at);
        let wait = driver.forward_to_fetch(HOUR).0 - at;
        let quarter = (life / 4).min(HOUR / 2);
        assert!(
            (quarter..=2 * quarter).contains(&wait),
            "{wait} of {life} left"
        );
        tries += 1;
    }
    assert!((6..20).contains(&tries), "{tries}");
    // Then in steps of a minute at the most again, in time and past the end.
    while driver.at < 86_500 * SECOND {
        driver.failed(network());
        driver.forward_to_fetch(MINUTE);
    }
}

#[test]
fn a_rejected_credential_is_asked_for_each_minute_however_long_its_life() {
    let mut driver = Driver::opened(86_400.0);
    driver.relayed_connection(1, connected());
    driver.candidate_error(1, TURN, 401);
    for _ in 0..30 {
        driver.failed(network());
        driver.forward_to_fetch(MINUTE);
    }
}

#[test]
fn a_good_fetch_starts_the_backoff_anew() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    for _ in 0..5 {
        driver.failed(network());
        driver.forward_to_fetch(MINUTE);
    }
    driver.fetched(credential("bob", 600.0));
    assert_eq!(driver.state().attempts, 0);
    assert_eq!(driver.state().last_error, None);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(network());
    driver.forward_to_fetch(SECOND);
}

#[test]
fn retry_after_is_waited_out() {
    let mut driver = Driver::opened(86_400.0);
    let (sent, _) = driver.forward_to_fetch(DAY);
    driver.failed(Failure::from_status(503, Some(120_000)));
    let (next, _) = driver.forward_to_fetch(200 * SECOND);
    assert!((sent + 120_000..=sent + 121_000).contains(&next));
}

#[test]
fn retry_after_beyond_the_credentials_life_is_cut_to_the_second_half_of_what_is_left() {
    let mut driver = Driver::opened(600.0);
    let expiry = 600 * SECOND;
    driver.forward_to_fetch(expiry);
    let mut tries = 0;
    while expiry - driver.at >= 500 {
        let life = expiry - driver.at;
        driver.failed(Failure::from_status(429, Some(HOUR)));
        let (next, reason) = driver.forward_to_fetch(life);
        assert_eq!(reason, Reason::Scheduled);
        let left = expiry - next;
        assert!(
            (life.min(10 * SECOND) / 2..=life.div_ceil(2)).contains(&left),
            "{left} of {life}"
        );
        tries += 1;
    }
    assert!((6..=12).contains(&tries), "{tries}");
    while driver.at < expiry {
        driver.failed(Failure::from_status(429, Some(HOUR)));
        let before = driver.at;
        driver.forward_to_fetch(500);
        assert!(driver.at >= before + 250);
    }
    // Nothing is left to lose by waiting.
    driver.failed(Failure::from_status(429, Some(HOUR)));
    let (next, _) = driver.forward_to_fetch(2 * HOUR);
    assert!(next >= 600_000 + HOUR, "{next}");
}

#[test]
fn retry_after_counts_in_full_from_the_very_moment_at_which_the_life_ends() {
    let mut driver = Driver::opened(600.0);
    let expiry = 600 * SECOND;
    driver.forward_to_fetch(expiry);
    driver.forward_to(expiry);
    driver.failed(Failure::from_status(503, Some(2 * MINUTE)));
    let (next, _) = driver.forward_to_fetch(2 * MINUTE + SECOND);
    assert!(next >= expiry + 2 * MINUTE, "{next}");
}

#[test]
fn a_refusal_stops_retrying_until_the_next_wake_up() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    assert_eq!(
        driver.failed(status(403)),
        [
            refresh_error(Reason::Scheduled, status(403)),
            status_changed(Status::Refreshing, Status::Refused),
        ]
    );
    assert_eq!(driver.refresh_at(), None);
    let log = driver.forward(2 * HOUR);
    assert_eq!(fetches(&log), []);
    driver.input(Input::Woke);
    let (woke, reason) = (driver.at, driver.forward_to_fetch(SECOND));
    assert!(reason.0 < woke + SECOND && reason.1 == Reason::Wake);
}

#[test]
fn a_refusal_stops_retrying_until_refresh() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(status(401));
    assert_eq!(
        driver.input(Input::Refresh),
        [
            fetch(3, Reason::Manual),
            status_changed(Status::Refused, Status::Refreshing)
        ]
    );
    driver.fetched(credential("bob", 600.0));
    assert_eq!(driver.state().status, Status::Active);
    driver.forward_to_fetch(600 * SECOND);
}

#[test]
fn a_response_that_cannot_be_read_is_no_refusal_once_the_session_is_open() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.fetched(driver::json(r#"{"iceServers":"none"}"#));
    assert_eq!(driver.state().status, Status::Retrying);
    driver.forward_to_fetch(SECOND);
}

#[test]
fn an_offline_page_waits_for_online() {
    let mut driver = Driver::opened(600.0);
    driver.input(Input::Offline);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(network());
    assert_eq!(driver.refresh_at(), None);
    assert_eq!(fetches(&driver.forward(2 * HOUR)), []);
    driver.input(Input::Online);
    let (online, (at, reason)) = (driver.at, driver.forward_to_fetch(SECOND));
    assert!(at < online + SECOND && reason == Reason::Wake);
}

#[test]
fn an_offline_page_whose_backend_answers_all_the_same_keeps_retrying() {
    let mut driver = Driver::opened(600.0);
    driver.input(Input::Offline);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(status(503));
    driver.forward_to_fetch(SECOND);
}

#[test]
fn coming_online_cuts_a_retry_wait_short() {
    let mut driver = Driver::opened(86_400.0);
    driver.forward_to_fetch(DAY);
    for _ in 0..6 {
        driver.failed(network());
        driver.forward_to_fetch(MINUTE);
    }
    driver.failed(network());
    driver.input(Input::Online);
    assert_eq!(driver.forward_to_fetch(999).1, Reason::Wake);
}

#[test]
fn a_wake_up_during_a_fetch_that_is_then_refused_leads_to_no_other_one() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.input(Input::Woke);
    driver.failed(status(403));
    assert_eq!(fetches(&driver.forward(MINUTE)), []);
}

#[test]
fn coming_online_while_opening_changes_nothing() {
    let mut driver = Driver::new(options());
    driver.input(Input::Open);
    driver.failed(network());
    let planned = driver.refresh_at();
    driver.input(Input::Online);
    assert_eq!(driver.refresh_at(), planned);
    assert_eq!(driver.forward_to_fetch(SECOND).1, Reason::Initial);
}

#[test]
fn coming_online_cuts_the_wait_after_a_wake_up_that_failed_short_as_well() {
    let mut driver = Driver::opened(86_400.0);
    driver.sleep(DAY - HOUR);
    driver.input(Input::Woke);
    for _ in 0..7 {
        assert_eq!(driver.forward_to_fetch(MINUTE).1, Reason::Wake);
        driver.failed(network());
    }
    while driver.refresh_at().unwrap() < driver.at + 5 * SECOND {
        driver.forward_to_fetch(MINUTE);
        driver.failed(network());
    }
    driver.input(Input::Online);
    assert!(driver.refresh_at().unwrap() <= driver.at + 999);
}

#[test]
fn a_refresh_that_is_due_at_the_very_moment_of_a_wake_up_is_spread_like_any_other() {
    let mut driver = Driver::opened(600.0);
    let planned = driver.refresh_at().unwrap();
    driver.sleep(planned - driver.at);
    assert_eq!(fetches(&driver.input_dated(Input::Woke)), []);
    assert_eq!(driver.forward_to_fetch(999).1, Reason::Wake);
}

// ---- expiry --------------------------------------------------------------------------------------------------------

#[test]
fn expiry_is_told_once_and_the_tries_go_on() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    let mut log = Vec::new();
    let mut tries = 0;
    while driver.at < 3 * HOUR {
        log.extend(driver.input_dated(Input::FetchFailed {
            fetch: driver.fetch,
            failure: network(),
        }));
        let more = driver.forward_until(driver.at + MINUTE, |c| matches!(c, Command::Fetch { .. }));
        tries += fetches(&more).len();
        log.extend(more);
    }
    let expired: Vec<u64> = log
        .iter()
        .filter(|(_, c)| matches!(c, Command::Emit(Event::Expired(f)) if f.code == Code::Expired))
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(expired, [600_000]);
    assert!(tries > 2 * 60, "{tries} tries in nearly three hours");
    assert_eq!(driver.state().status, Status::Expired);
}

#[test]
fn after_expiry_no_wait_is_longer_than_a_margin_was() {
    // 60 s would be two and a half lives of the credential: the call that could have been saved is over by then.
    let mut driver = Driver::opened(24.0);
    driver.forward_to(24 * SECOND);
    let mut waits = Vec::new();
    for _ in 0..200 {
        if !driver.is_fetching() {
            let from = driver.at;
            waits.push(driver.forward_to_fetch(MINUTE).0 - from);
        }
        driver.failed(network());
    }
    let longest = waits.iter().max().unwrap();
    assert!((5_900..=6_000).contains(longest), "{longest} ms");
}

#[test]
fn no_wait_takes_more_than_half_of_what_is_left_of_the_credentials_life() {
    let (mut waits, mut long) = (0, 0);
    for seed in 0..50 {
        let mut driver = Driver::opened_with(seeded(seed), credential("alice", 24.0));
        driver.forward_to_fetch(MINUTE);
        while driver.at < 22 * SECOND {
            let (from, left) = (driver.at, 24 * SECOND - driver.at);
            driver.failed(network());
            let wait = driver.forward_to_fetch(MINUTE).0 - from;
            assert!(wait <= left / 2, "{wait} of {left} ms");
            waits += 1;
            long += u32::from(wait > left / 3);
        }
    }
    // Spread over all of that half.
    assert!(long > waits / 10, "{long} of {waits}");
}

#[test]
fn an_expired_credential_is_not_handed_out_only_stun_is() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(status(403));
    driver.forward_to(599_999);
    assert_eq!(driver.servers().len(), 2);
    driver.forward_to(600_000);
    let servers = driver.servers();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].urls[0].to_string(), "stun:stun.example.org:3478");
    assert!(servers[0].credential.is_none());
}

#[test]
fn a_lapse_ends_with_the_next_credential_and_another_one_is_told_again() {
    let mut driver = Driver::opened(600.0);
    for name in ["bob", "carol"] {
        driver.forward_to_fetch(600 * SECOND);
        driver.failed(status(403));
        let log = undated(driver.forward(400 * SECOND));
        assert!(matches!(
            &log[..],
            [
                Command::Emit(Event::Expired(_)),
                Command::Emit(Event::StatusChanged {
                    status: Status::Expired,
                    previous: Status::Refused
                })
            ]
        ));
        driver.input(Input::Refresh);
        assert_eq!(
            driver.state().status,
            Status::Expired,
            "a fetch does not hide the lapse"
        );
        assert_eq!(
            driver.fetched(credential(name, 600.0)),
            [
                refreshed(Reason::Manual, true),
                Command::RefreshDone(None),
                status_changed(Status::Expired, Status::Active),
            ]
        );
    }
}

#[test]
fn a_connection_made_during_a_lapse_gets_servers_with_the_next_credential() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(status(403));
    driver.forward(HOUR);
    driver.input(Input::Created {
        connection: 1,
        policy: None,
    });
    assert_eq!(driver.given[&1], None);
    let attached = driver.input(Input::Attached {
        connection: 2,
        policy: None,
        facts: Facts::NEW,
        usernames: vec!["alice".into()],
    });
    assert_eq!(attached, [], "nothing worth applying is held");
    driver.input(Input::Refresh);
    let commands = driver.fetched(credential("bob", 600.0));
    assert!(commands.contains(&apply(1, 2)) && commands.contains(&apply(2, 2)));
    assert_eq!(driver.given[&1].as_deref(), Some("bob"));
}

#[test]
fn the_same_credential_with_a_new_life_reaches_connections_made_during_a_lapse() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(status(403));
    driver.forward(HOUR);
    driver.input(Input::Created {
        connection: 1,
        policy: None,
    });
    driver.input(Input::Refresh);
    let commands = driver.fetched(credential("alice", 600.0));
    assert!(commands.contains(&refreshed(Reason::Manual, false)));
    assert!(commands.contains(&apply(1, 1)));
}

// ---- time ----------------------------------------------------------------------------------------------------------

#[test]
fn a_sleep_ages_the_credential_and_waking_up_repairs_the_lapse() {
    let mut driver = Driver::opened(600.0);
    driver.sleep(8 * HOUR);
    assert_eq!(
        driver.state().status,
        Status::Expired,
        "known before any event came"
    );
    assert_eq!(driver.serves(), None);
    let commands = driver.input(Input::Woke);
    assert!(matches!(commands[0], Command::Emit(Event::Expired(_))));
    let (woke, (at, reason)) = (driver.at, driver.forward_to_fetch(SECOND));
    assert!(at < woke + SECOND && reason == Reason::Wake);
    driver.fetched(credential("bob", 600.0));
    assert_eq!(driver.expires_at(), Some(at + 600_000));
}

#[test]
fn a_sleep_that_no_event_tells_of_is_noticed_within_thirty_seconds() {
    let mut driver = Driver::opened(86_400.0);
    driver.forward(10 * SECOND);
    driver.sleep(2 * DAY);
    let woke = driver.at;
    let (at, _) = driver.forward_to_fetch(30 * SECOND);
    assert!(at <= woke + 30 * SECOND);
}

#[test]
fn a_short_sleep_does_not_move_the_refresh() {
    let mut driver = Driver::opened(86_400.0);
    let planned = driver.refresh_at().unwrap();
    driver.forward(HOUR);
    driver.sleep(HOUR);
    assert_eq!(driver.input(Input::Woke), []);
    assert_eq!(driver.refresh_at(), Some(planned));
    let (at, reason) = driver.forward_to_fetch(DAY);
    assert_eq!((at, reason), (planned, Reason::Scheduled));
}

#[test]
fn a_wake_up_sets_the_timer_anew_for_it_slept_too() {
    let mut driver = Driver::opened(600.0);
    let planned = driver.refresh_at().unwrap();
    driver.forward_to(planned - 20 * SECOND);
    driver.sleep(15 * SECOND);
    assert_eq!(driver.input(Input::Woke), []);
    assert_eq!(driver.forward_to_fetch(MINUTE).0, planned);
}

#[test]
fn a_wall_clock_set_back_by_years_changes_nothing() {
    let mut driver = Driver::opened(600.0);
    let planned = driver.refresh_at().unwrap();
    driver.forward(10 * SECOND);
    driver.set_wall(-20.0 * YEAR);
    assert_eq!(driver.forward(10 * SECOND), []);
    assert_eq!(driver.expires_at(), Some(600_000));
    assert_eq!(
        driver.forward_to_fetch(600 * SECOND),
        (planned, Reason::Scheduled)
    );
    driver.failed(status(403));
    driver.forward_to(600_000);
    assert_eq!(driver.serves(), None);
}

#[test]
fn a_wall_clock_set_forth_by_years_counts_as_a_sleep_and_setting_it_back_does_no_harm() {
    let mut driver = Driver::opened(600.0);
    driver.forward(10 * SECOND);
    driver.set_wall(3.0 * YEAR);
    driver.forward_to_fetch(30 * SECOND);
    driver.set_wall(-3.0 * YEAR);
    driver.fetched(credential("bob", 600.0));
    assert_eq!(driver.serves().as_deref(), Some("bob"));
    let planned = driver.refresh_at().unwrap();
    assert_eq!(driver.forward_to_fetch(600 * SECOND).0, planned);
}

#[test]
fn a_lapse_noticed_on_waking_is_repaired_within_a_second_at_a_random_moment() {
    let waits: Vec<u64> = (0..200)
        .map(|seed| {
            let mut driver = Driver::opened_with(seeded(seed), credential("alice", 600.0));
            driver.sleep(HOUR);
            driver.input(Input::Woke);
            let woke = driver.at;
            if driver.is_fetching() {
                return 0;
            }
            driver.forward_to_fetch(SECOND).0 - woke
        })
        .collect();
    assert!(waits.iter().all(|wait| *wait < SECOND));
    assert!((70..130).contains(&waits.iter().filter(|wait| **wait < 500).count()));
}

#[test]
fn waking_up_in_good_time_does_nothing() {
    let mut driver = Driver::opened(600.0);
    let planned = driver.refresh_at();
    driver.forward(MINUTE);
    assert_eq!(driver.input(Input::Woke), []);
    assert_eq!(driver.input(Input::Online), []);
    assert_eq!(driver.refresh_at(), planned);
}

#[test]
fn wake_ups_in_a_row_lead_to_one_fetch_and_do_not_put_it_off() {
    for seed in 0..50 {
        let mut driver = Driver::opened_with(seeded(seed), credential("alice", 600.0));
        driver.sleep(HOUR);
        let woke = driver.at;
        let mut sent = Vec::new();
        // Timers of a hidden page do not fire; only the events come.
        for _ in 0..10 {
            sent.extend(fetches(&driver.input_dated(Input::Woke)));
            sent.extend(fetches(&driver.input_dated(Input::Online)));
            driver.sleep(300);
        }
        assert_eq!(sent.len(), 1, "seed {seed}: {sent:?}");
        assert!(sent[0].0 < woke + 1_300, "seed {seed}: {sent:?}");
    }
}

#[test]
fn waking_up_after_a_lapse_cuts_a_retry_wait_short() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(network());
    driver.forward_to_fetch(SECOND);
    while driver.at < 600 * SECOND {
        driver.failed(Failure::from_status(503, Some(HOUR)));
        driver.forward_to_fetch(600 * SECOND);
    }
    driver.failed(Failure::from_status(503, Some(HOUR)));
    driver.forward(10 * SECOND);
    assert_eq!(driver.state().status, Status::Expired);
    driver.input(Input::Woke);
    assert_eq!(driver.forward_to_fetch(999).1, Reason::Wake);
}

#[test]
fn waking_up_with_a_live_credential_does_not_cut_a_retry_wait_short() {
    let mut driver = Driver::opened(86_400.0);
    driver.forward_to_fetch(DAY);
    driver.failed(Failure::from_status(503, Some(300_000)));
    let planned = driver.refresh_at();
    assert_eq!(driver.input(Input::Woke), []);
    assert_eq!(driver.refresh_at(), planned);
}

#[test]
fn coming_online_does_not_cut_short_what_the_backend_asked_for() {
    for (asked, cut) in [(Some(300_000), false), (None, true)] {
        let mut driver = Driver::opened(86_400.0);
        driver.forward_to_fetch(DAY);
        for _ in 0..7 {
            driver.failed(status(503));
            driver.forward_to_fetch(MINUTE);
        }
        driver.failed(Failure::from_status(503, asked));
        let planned = driver.refresh_at();
        driver.input(Input::Online);
        assert_eq!(driver.refresh_at() != planned, cut, "{asked:?}");
    }
}

#[test]
fn a_timer_that_is_due_in_a_millisecond_is_set_for_a_millisecond() {
    let mut driver = Driver::opened(600.0);
    let planned = driver.refresh_at().unwrap();
    driver.forward_to(planned - 1);
    driver.input(Input::Timer);
    assert_eq!(driver.forward_to_fetch(MINUTE).0, planned);
}

// ---- connections ---------------------------------------------------------------------------------------------------

fn create(driver: &mut Driver, connection: u32) -> Vec<Command> {
    driver.input(Input::Created {
        connection,
        policy: None,
    })
}

fn attach(driver: &mut Driver, connection: u32, facts: Facts, username: &str) -> Vec<Command> {
    driver.input(Input::Attached {
        connection,
        policy: None,
        facts,
        usernames: vec![username.into()],
    })
}

#[test]
fn a_new_credential_is_applied_to_each_connection() {
    let mut driver = Driver::opened(600.0);
    assert_eq!(create(&mut driver, 1), []);
    assert_eq!(create(&mut driver, 2), []);
    assert_eq!(driver.state().connections, 2);
    driver.forward_to_fetch(600 * SECOND);
    assert_eq!(
        driver.fetched(credential("bob", 600.0)),
        [
            refreshed(Reason::Scheduled, true),
            apply(1, 2),
            apply(2, 2),
            status_changed(Status::Refreshing, Status::Active),
            Command::Emit(Event::Applied(1)),
            Command::Emit(Event::Applied(2)),
        ]
    );
}

#[test]
fn fresh_servers_are_not_applied_in_the_middle_of_a_restart() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    let (offered, answered) = (
        Facts {
            signaling: Signaling::HaveRemoteOffer,
            ..connected()
        },
        Facts {
            ufrag: Some("second".into()),
            ..connected()
        },
    );
    driver.observe(1, offered);
    driver.input(Input::Refresh);
    let applied = |commands: &[Command]| {
        let is_apply = |c: &&Command| matches!(c, Command::Apply { .. });
        commands.iter().filter(is_apply).count()
    };
    assert_eq!(
        applied(&driver.fetched(credential("bob", 600.0))),
        0,
        "an offer is open"
    );
    assert_eq!(
        applied(&driver.observe(1, answered)),
        0,
        "the new generation is not connected"
    );
    assert_eq!(applied(&driver.inspected(1, "second")), 1, "it is over");
    assert_eq!(driver.serves().as_deref(), Some("bob"));
}

/// A relayed connection at the end of a restart of the other end, with servers that came meanwhile; what the end commanded, and the
/// facts then.
fn restarted_meanwhile(gathering: bool) -> (Driver, Vec<Command>, Facts) {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    let facts = Facts {
        ufrag: Some("second".into()),
        gathering,
        ..connected()
    };
    driver.observe(1, facts.clone());
    driver.input(Input::Refresh);
    driver.fetched(credential("bob", 600.0));
    let commands = driver.inspected(1, "second");
    (driver, commands, facts)
}

#[test]
fn servers_that_came_during_a_restart_are_applied_at_its_end_and_restarted_for_a_second_later() {
    let (mut driver, commands, _) = restarted_meanwhile(false);
    assert!(commands.contains(&apply(1, 2)), "{commands:?}");
    let over = driver.at;
    let restarts = restarts(&driver.forward(150 * SECOND));
    assert_eq!(restarts, [over + SECOND]);
}

#[test]
fn the_other_ends_restart_right_after_one_finds_the_servers_that_came_during_that() {
    let (mut driver, _, facts) = restarted_meanwhile(false);
    driver.forward(500);
    let third = Facts {
        ufrag: Some("third".into()),
        ..facts
    };
    driver.observe(1, third);
    driver.inspected(1, "third");
    // Ours has become unnecessary.
    assert!(restarts(&driver.forward(150 * SECOND)).is_empty());
}

#[test]
fn servers_are_not_applied_while_a_restart_that_is_over_still_gathers() {
    let (mut driver, commands, facts) = restarted_meanwhile(true);
    assert!(!commands.contains(&apply(1, 2)), "{commands:?}");
    let gathered = Facts {
        gathering: false,
        ..facts
    };
    assert!(driver.observe(1, gathered).contains(&apply(1, 2)));
}

#[test]
fn a_connection_in_the_middle_of_a_restart_does_not_count_as_served_with_the_others() {
    let mut driver = Driver::opened(600.0);
    create(&mut driver, 1);
    create(&mut driver, 2);
    driver.observe(1, connected());
    let offering = Facts {
        signaling: Signaling::HaveLocalOffer,
        ..connected()
    };
    let served = |commands: &[Command]| -> Vec<bool> {
        let events = emitted(commands);
        let is_told = |id| events.contains(&&Event::Applied(id));
        [1, 2].map(is_told).to_vec()
    };
    driver.input(Input::Refresh);
    let commands = driver.fetched(credential("bob", 600.0));
    assert_eq!(served(&commands), [true, true]);
    driver.observe(1, offering);
    driver.input(Input::Refresh);
    let commands = driver.fetched(credential("carol", 600.0));
    assert_eq!(served(&commands), [false, true]);
    let commands = driver.observe(1, connected());
    assert_eq!(served(&commands), [true, false]);
}

#[test]
fn unchanged_servers_are_not_applied_but_live_longer() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    let (sent, _) = driver.forward_to_fetch(600 * SECOND);
    assert_eq!(
        driver.fetched(credential("alice", 600.0)),
        [
            refreshed(Reason::Scheduled, false),
            status_changed(Status::Refreshing, Status::Active),
        ]
    );
    assert_eq!(driver.expires_at(), Some(sent + 600_000));
    let log = driver.forward_until(sent + 600_000, |c| matches!(c, Command::Fetch { .. }));
    assert_eq!(fetches(&log).len(), 1);
    assert!(
        !log.iter()
            .any(|(_, c)| matches!(c, Command::Act(_, Act::Restart) | Command::Apply { .. }))
    );
    driver.failed(status(403));
    driver.forward_to(sent + 599_999);
    assert_eq!(driver.serves().as_deref(), Some("alice"));
}

#[test]
fn a_refusal_to_apply_does_not_keep_other_connections_from_being_served() {
    let mut driver = Driver::opened(600.0);
    for connection in 1..=3 {
        create(&mut driver, connection);
    }
    driver.refusing.push(2);
    driver.forward_to_fetch(600 * SECOND);
    let commands = driver.fetched(credential("bob", 600.0));
    let events = emitted(&commands);
    assert!(events.contains(&&Event::Applied(1)) && events.contains(&&Event::Applied(3)));
    assert!(!events.contains(&&Event::Applied(2)));
    assert!(events.iter().any(
        |event| matches!(event, Event::ApplyError(2, failure) if failure.code == Code::ApplyFailed)
    ));
    // Not again with the same servers, but with the next ones.
    let log = driver.forward_until(600 * SECOND + driver.at, |c| {
        matches!(c, Command::Fetch { .. })
    });
    assert!(!log.iter().any(|(_, c)| matches!(c, Command::Apply { .. })));
    driver.refusing.clear();
    let commands = driver.fetched(credential("carol", 600.0));
    assert!(commands.contains(&apply(2, 3)));
    assert!(emitted(&commands).contains(&&Event::Applied(2)));
}

#[test]
fn a_connection_made_elsewhere_is_given_the_servers_once() {
    let mut driver = Driver::opened(600.0);
    assert_eq!(
        attach(&mut driver, 1, Facts::NEW, "mallory"),
        [apply(1, 1), Command::Emit(Event::Applied(1))]
    );
    assert_eq!(driver.input(Input::Timer), []);
}

#[test]
fn what_was_told_as_applied_is_not_told_again() {
    let mut driver = Driver::opened(600.0);
    create(&mut driver, 1);
    driver.input(Input::Refresh);
    let commands = driver.fetched(credential("bob", 600.0));
    assert!(emitted(&commands).contains(&&Event::Applied(1)));
    assert_eq!(driver.input(Input::Applied), []);
}

#[test]
fn a_connection_that_was_attached_with_our_servers_has_nothing_to_wait_for() {
    let mut driver = Driver::opened(600.0);
    driver.forward(SECOND);
    attach(&mut driver, 1, connected(), "alice");
    driver.input(Input::Refresh);
    let commands = driver.fetched(credential("bob", 600.0));
    assert!(commands.contains(&apply(1, 2)));
}

#[test]
fn attaching_twice_changes_the_policy_and_applies_nothing() {
    let mut driver = Driver::opened(600.0);
    attach(&mut driver, 1, connected(), "alice");
    driver.inspected(1, "first");
    let again = driver.input(Input::Attached {
        connection: 1,
        policy: Some(Policy::Never),
        facts: connected(),
        usernames: vec!["alice".into()],
    });
    assert_eq!(again, []);
    driver.forward_to_fetch(600 * SECOND);
    driver.fetched(credential("bob", 600.0));
    driver.inspected(1, "first");
    let log = driver.forward(MINUTE);
    assert!(
        !log.iter()
            .any(|(_, c)| matches!(c, Command::Act(_, Act::Restart)))
    );
    assert_eq!(driver.state().connections, 1);
}

#[test]
fn a_connection_attached_during_a_refresh_gets_the_fresh_list() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    attach(&mut driver, 1, Facts::NEW, "mallory");
    create(&mut driver, 2);
    driver.fetched(credential("bob", 600.0));
    assert_eq!(driver.given[&1].as_deref(), Some("bob"));
    assert_eq!(driver.given[&2].as_deref(), Some("bob"));
}

#[test]
fn a_detached_connection_is_left_alone() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    assert_eq!(driver.input(Input::Detached { connection: 1 }), []);
    assert_eq!(driver.state().connections, 0);
    driver.forward_to_fetch(600 * SECOND);
    assert_eq!(
        driver.fetched(credential("bob", 600.0)),
        [
            refreshed(Reason::Scheduled, true),
            status_changed(Status::Refreshing, Status::Active)
        ]
    );
    // What is still on its way from it means nothing any more.
    for input in [
        Input::Applied,
        Input::ApplyFailed {
            connection: 1,
            message: String::new(),
        },
        Input::Observed {
            connection: 1,
            facts: connected(),
        },
        Input::Inspected {
            connection: 1,
            standing: EVEN,
            pairs: Vec::new(),
        },
        Input::Detached { connection: 1 },
    ] {
        assert_eq!(driver.input(input), []);
    }
}

#[test]
fn a_relayed_connection_with_foreign_credentials_is_restarted_once_it_is_attached() {
    let mut driver = Driver::opened(600.0);
    let commands = attach(&mut driver, 1, connected(), "mallory");
    assert!(commands.contains(&apply(1, 1)));
    driver.inspected(1, "first");
    let attached = driver.at;
    let commands = driver.forward(MINUTE);
    assert_eq!(restarts(&commands), [attached + SECOND]);
}

#[test]
fn a_relayed_connection_with_the_sessions_own_credential_is_not_restarted_when_attached() {
    let mut driver = Driver::opened(600.0);
    attach(&mut driver, 1, connected(), "alice");
    let mut log = driver.inspected(1, "first");
    log.extend(undated(driver.forward(100 * SECOND)));
    assert!(!log.contains(&Command::Act(1, Act::Restart)), "{log:?}");
}

#[test]
fn a_hundred_connections_share_one_fetch() {
    let mut driver = Driver::opened(600.0);
    for connection in 1..=100 {
        create(&mut driver, connection);
    }
    driver.forward_to_fetch(600 * SECOND);
    let commands = driver.fetched(credential("bob", 600.0));
    let applied = emitted(&commands)
        .into_iter()
        .filter(|event| matches!(event, Event::Applied(_)));
    assert_eq!(applied.count(), 100);
}

// ---- a credential that the TURN server refuses ---------------------------------------------------------------------

#[test]
fn an_authorization_error_on_our_url_fetches_another_credential_at_once() {
    for code in [401, 403, 441] {
        for url in [
            TURN,
            // As Firefox reports it.
            "turn:turn.example.org:3478",
            "turn:turn.example.org",
            "turns:turn.example.org:443?transport=tcp",
        ] {
            let mut driver = Driver::opened(600.0);
            driver.relayed_connection(1, connected());
            assert_eq!(
                driver.candidate_error(1, url, code),
                [
                    fetch(2, Reason::Rejected),
                    status_changed(Status::Active, Status::Refreshing)
                ],
                "{url} {code}"
            );
        }
    }
}

#[test]
fn other_candidate_errors_fetch_nothing() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    for (url, code) in [
        (TURN, 701),
        (TURN, 438),
        (TURN, 400),
        (TURN, 0),
        ("turn:turn.foreign.org:3478?transport=udp", 401),
        ("turn:turn.example.org:3479", 401),
        ("turns:turn.example.org:3478", 401),
        ("stun:stun.example.org:3478", 401),
        ("", 401),
        ("https://turn.example.org", 401),
    ] {
        assert_eq!(driver.candidate_error(1, url, code), [], "{url} {code}");
    }
    assert_eq!(
        driver.candidate_error(7, TURN, 401),
        [],
        "of an unknown connection"
    );
}

#[test]
fn an_error_of_a_generation_with_old_servers_fetches_nothing() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.input(Input::Refresh);
    driver.fetched(credential("bob", 600.0));
    assert_eq!(
        fetches(&driver.input_dated(Input::CandidateError {
            connection: 1,
            url: TURN.into(),
            code: 401,
        })),
        []
    );
}

#[test]
fn a_rejected_credential_is_replaced_and_the_relayed_connection_restarted_once_the_other_end_had_time()
 {
    // Firefox may notice six seconds after the other end that the path is gone.
    for (first, firefox, wait) in [
        (true, 0, 3 * SECOND),
        (false, 0, 6 * SECOND),
        (true, -1, 7 * SECOND),
        (false, -1, 10 * SECOND),
        (false, 1, 10 * SECOND),
    ] {
        let mut driver = Driver::opened(600.0);
        let facts = Facts {
            first: Some(first),
            firefox,
            ..connected()
        };
        driver.relayed_connection(1, facts);
        driver.candidate_error(1, TURN, 401);
        let commands = driver.fetched(credential("bob", 600.0));
        assert!(commands.contains(&apply(1, 2)));
        let applied = driver.at;
        assert!(!driver.inspected(1, "first").contains(&RESTART));
        let log = driver.forward(MINUTE);
        assert_eq!(restarts(&log), [applied + wait]);
        assert_eq!(driver.proofs, [applied + wait]);
    }
}

// ---- proof before a restart ----------------------------------------------------------------------------------------

const RESTART: Command = Command::Act(1, Act::Restart);

/// When connection 1 was restarted.
fn restarts(log: &[(u64, Command)]) -> Vec<u64> {
    let restarts = log.iter().filter(|(_, command)| *command == RESTART);
    restarts.map(|(at, _)| *at).collect()
}

/// A relayed connection, and fresh servers for it that were just applied; whose pair is still to be looked at.
fn refreshed_connection(proves: Option<u16>) -> Driver {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.proves = proves;
    driver.input(Input::Refresh);
    driver.forward(100);
    assert!(
        driver
            .fetched(credential("bob", 600.0))
            .contains(&apply(1, 2))
    );
    driver
}

#[test]
fn a_relayed_connection_is_restarted_as_soon_as_the_servers_gave_a_relay() {
    let mut driver = refreshed_connection(None);
    assert_eq!(driver.inspected(1, "first"), []);
    assert_eq!(driver.proofs, [driver.at]);
    assert_eq!(driver.forward(65), []);
    let commands = driver.input(Input::Proven {
        version: 2,
        code: 0,
    });
    assert!(commands.contains(&RESTART));
}

#[test]
fn while_the_servers_are_silent_nothing_is_restarted_and_they_are_tried_again_until_they_answer() {
    let mut driver = refreshed_connection(Some(701));
    let began = driver.at;
    assert_eq!(driver.inspected(1, "first"), []);
    assert_eq!(driver.forward(40 * SECOND), []);
    let tries: Vec<u64> = driver.proofs.iter().map(|at| at - began).collect();
    assert_eq!(
        tries,
        [0, 1_000, 3_000, 7_000, 15_000, 23_000, 31_000, 39_000]
    );
    driver.proves = Some(0);
    assert_eq!(restarts(&driver.forward(40 * SECOND)), [began + 47_000]);
}

#[test]
fn what_happens_to_another_connection_does_not_put_the_next_try_off() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    create(&mut driver, 2);
    driver.observe(2, connected());
    driver.proves = Some(701);
    driver.input(Input::Refresh);
    driver.forward(100);
    driver.fetched(credential("bob", 600.0));
    let began = driver.at;
    driver.inspected(1, "first");
    for _ in 0..35 {
        driver.forward(100);
        driver.observe(2, connected());
    }
    let tries: Vec<u64> = driver.proofs.iter().map(|at| at - began).collect();
    assert_eq!(tries, [0, 1_000, 3_000]);
    // Nor is it left to the timer, if that is late.
    driver.sleep(10 * SECOND);
    driver.observe(2, connected());
    assert_eq!(driver.proofs.last(), Some(&driver.at));
}

#[test]
fn a_connection_that_goes_on_by_itself_meanwhile_is_restarted_for_its_servers_alone() {
    let mut driver = refreshed_connection(Some(701));
    driver.inspected(1, "first");
    driver.forward(SECOND);
    let interrupted = Facts {
        ice: Ice::Disconnected,
        ..connected()
    };
    driver.observe(1, interrupted);
    assert!(restarts(&driver.forward(10 * SECOND)).is_empty());
    driver.fetched(credential("carol", 600.0));
    driver.observe(1, connected());
    driver.inspected(1, "first");
    driver.proves = Some(0);
    let log = driver.forward(20 * SECOND);
    let told: Vec<&Command> = log
        .iter()
        .map(|(_, command)| command)
        .filter(|command| {
            matches!(
                command,
                Command::Act(_, Act::Restarting { .. } | Act::Restart)
            )
        })
        .collect();
    let restarting = Command::Act(
        1,
        Act::Restarting {
            initiator: Initiator::Local,
            cause: Cause::Refresh,
        },
    );
    assert_eq!(told, [&restarting, &RESTART]);
}

#[test]
fn servers_that_refuse_the_credential_are_asked_with_another_one_before_any_restart() {
    for code in [401, 403, 441] {
        let mut driver = refreshed_connection(Some(code));
        driver.forward(SECOND);
        let commands = driver.inspected(1, "first");
        assert_eq!(driver.proofs.len(), 1);
        assert!(!commands.contains(&RESTART));
        assert!(commands.contains(&fetch(3, Reason::Rejected)));
        driver.proves = Some(0);
        driver.fetched(credential("carol", 600.0));
        let applied = driver.at;
        assert_eq!(restarts(&driver.forward(MINUTE)), [applied + 3 * SECOND]);
        assert_eq!(driver.proofs.last(), Some(&(applied + 3 * SECOND)));
    }
}

#[test]
fn of_two_ends_that_waited_for_one_server_the_second_waits_three_seconds_more() {
    for (first, more) in [(true, 0), (false, 3 * SECOND)] {
        let facts = Facts {
            first: Some(first),
            ..connected()
        };
        let mut driver = Driver::opened(600.0);
        driver.relayed_connection(1, facts.clone());
        let interrupted = Facts {
            ice: Ice::Disconnected,
            ..facts
        };
        driver.observe(1, interrupted);
        driver.forward(100);
        driver.fetched(credential("bob", 600.0));
        driver.proves = None;
        assert!(restarts(&driver.forward(13 * SECOND)).is_empty());
        driver.input(Input::Proven {
            version: 2,
            code: 701,
        });
        driver.proves = Some(0);
        let restored = driver.at + SECOND;
        let log = driver.forward(10 * SECOND);
        assert_eq!(restarts(&log), [restored + more], "{first}");
    }
}

#[test]
fn servers_that_came_meanwhile_are_applied_as_soon_as_a_restart_counts_as_stalled() {
    let mut driver = refreshed_connection(Some(0));
    assert!(driver.inspected(1, "first").contains(&RESTART));
    let asked = driver.at;
    driver.forward(SECOND);
    driver.input(Input::Refresh);
    assert!(
        !driver
            .fetched(credential("carol", 600.0))
            .contains(&apply(1, 3))
    );
    let log = driver.forward(10 * SECOND);
    let stalled = asked + 5 * SECOND;
    assert!(log.contains(&(stalled, Command::Act(1, Act::Stalled))));
    assert!(log.contains(&(stalled, apply(1, 3))));
}

#[test]
fn the_proof_of_one_list_is_none_of_the_next() {
    let mut driver = refreshed_connection(None);
    driver.inspected(1, "first");
    driver.forward(SECOND);
    driver.input(Input::Refresh);
    driver.forward(100);
    driver.fetched(credential("carol", 600.0));
    driver.inspected(1, "first");
    let commands = driver.input(Input::Proven {
        version: 2,
        code: 0,
    });
    assert_eq!(commands, []);
    let commands = driver.input(Input::Proven {
        version: 3,
        code: 0,
    });
    assert!(commands.contains(&RESTART));
}

#[test]
fn many_connections_share_one_proof() {
    let mut driver = Driver::opened(600.0);
    for connection in 1..=100 {
        driver.relayed_connection(connection, connected());
    }
    driver.proves = None;
    driver.input(Input::Refresh);
    driver.forward(100);
    driver.fetched(credential("bob", 600.0));
    for connection in 1..=100 {
        assert_eq!(driver.inspected(connection, "first"), []);
    }
    assert_eq!(driver.proofs.len(), 1);
    let commands = driver.input(Input::Proven {
        version: 2,
        code: 0,
    });
    let restarts = commands
        .iter()
        .filter(|command| matches!(command, Command::Act(_, Act::Restart)));
    assert_eq!(restarts.count(), 100);
}

#[test]
fn an_expired_credential_is_not_tried_and_nothing_is_restarted_with_it() {
    let mut driver = Driver::opened(60.0);
    driver.relayed_connection(1, connected());
    driver.forward_to_fetch(MINUTE);
    driver.failed(status(403));
    driver.forward_to(2 * MINUTE);
    let interrupted = Facts {
        ice: Ice::Disconnected,
        ..connected()
    };
    driver.observe(1, interrupted);
    assert!(restarts(&driver.forward(MINUTE)).is_empty());
    assert!(driver.proofs.is_empty());
    driver.input(Input::Refresh);
    driver.fetched(credential("bob", 60.0));
    assert_eq!(restarts(&driver.forward(10 * SECOND)).len(), 1);
}

#[test]
fn a_connection_lost_in_a_sleep_is_told_when_fresh_servers_are_at_hand_for_another() {
    let lost = Command::Act(1, Act::Lost);
    let mut driver = Driver::opened(60.0);
    driver.relayed_connection(1, connected());
    driver.sleep(5 * MINUTE);
    let failed = Facts {
        ice: Ice::Failed,
        lost: true,
        ..connected()
    };
    assert!(!driver.observe(1, failed).contains(&lost));
    driver.input(Input::Woke);
    assert!(!undated(driver.forward(5 * SECOND)).contains(&lost));
    // A failure that will be followed by another try changes nothing.
    assert!(!driver.failed(network()).contains(&lost));
    driver.forward_to_fetch(MINUTE);
    assert!(driver.fetched(credential("bob", 60.0)).contains(&lost));

    // A backend that refuses has no other servers to wait for.
    let mut driver = Driver::opened(60.0);
    driver.relayed_connection(1, connected());
    driver.forward_to_fetch(MINUTE);
    driver.failed(status(403));
    driver.forward(MINUTE);
    let failed = Facts {
        ice: Ice::Failed,
        lost: true,
        ..connected()
    };
    assert!(driver.observe(1, failed).contains(&lost));
}

#[test]
fn a_connection_that_is_not_relayed_needs_no_proof() {
    let mut driver = Driver::opened_with(
        Options {
            policy: Policy::Always,
            ..options()
        },
        credential("alice", 600.0),
    );
    create(&mut driver, 1);
    driver.observe(1, connected());
    driver.proves = Some(701);
    driver.forward(SECOND);
    driver.input(Input::Refresh);
    driver.forward(100);
    assert!(driver.fetched(credential("bob", 600.0)).contains(&RESTART));
    assert!(driver.proofs.is_empty());
}

#[test]
fn a_connection_that_could_not_connect_with_a_rejected_credential_is_restarted() {
    let mut driver = Driver::opened(600.0);
    create(&mut driver, 1);
    driver.forward(SECOND);
    let checking = Facts {
        ice: Ice::Checking,
        ..connected()
    };
    driver.observe(1, checking);
    assert_eq!(
        fetches(&driver.input_dated(Input::CandidateError {
            connection: 1,
            url: TURN.into(),
            code: 401,
        }))
        .len(),
        1
    );
    driver.forward(130);
    let mut commands = driver.fetched(credential("bob", 600.0));
    assert!(commands.contains(&apply(1, 2)));
    commands.extend(undated(driver.forward(2 * SECOND)));
    assert!(
        commands.contains(&Command::Act(1, Act::Restart)),
        "{commands:?}"
    );
}

#[test]
fn a_connection_made_during_a_lapse_that_could_not_connect_is_restarted_with_the_next_credential() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(status(403));
    driver.forward(HOUR);
    create(&mut driver, 1);
    let failed = Facts {
        ice: Ice::Failed,
        ..connected()
    };
    driver.observe(1, failed);
    driver.input(Input::Inspected {
        connection: 1,
        standing: EVEN,
        pairs: Vec::new(),
    });
    driver.forward(10 * SECOND);
    driver.input(Input::Refresh);
    let mut commands = driver.fetched(credential("bob", 600.0));
    commands.extend(undated(driver.forward(2 * SECOND)));
    assert!(
        commands.contains(&Command::Act(1, Act::Restart)),
        "{commands:?}"
    );
}

#[test]
fn servers_that_come_after_failures_leave_the_other_end_three_seconds() {
    for (failures, wait) in [(0, 0), (1, 3 * SECOND), (2, 3 * SECOND)] {
        let mut driver = Driver::opened(600.0);
        driver.relayed_connection(1, connected());
        driver.input(Input::Refresh);
        for _ in 0..failures {
            driver.failed(network());
            driver.input(Input::Refresh);
        }
        driver.fetched(credential("bob", 600.0));
        let applied = driver.at;
        let at_once = driver.inspected(1, "first").contains(&RESTART);
        assert_eq!(at_once, failures == 0);
        if !at_once {
            let log = driver.forward(MINUTE);
            assert_eq!(restarts(&log), [applied + wait]);
        }
    }
}

#[test]
fn servers_whose_relays_are_raised_are_applied_again_and_the_connection_restarted() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.input(Input::Refresh);
    driver.fetched(credential("bob", 600.0));
    driver.forward(2 * SECOND);
    let second = |signaling| Facts {
        signaling,
        ufrag: Some("second".into()),
        ..connected()
    };
    driver.observe(1, second(Signaling::HaveLocalOffer));
    driver.observe(1, second(Signaling::Stable));
    // The pair of before stays selected. The last servers are those of a refresh, which come at once.
    let mut log = Vec::new();
    for tick in 0..500 {
        log.extend(driver.input(Input::Inspected {
            connection: 1,
            standing: EVEN,
            pairs: vec![relayed("pair", "first")],
        }));
        log.extend(undated(driver.forward(100)));
        if tick == 480 {
            driver.observe(
                1,
                Facts {
                    ufrag: Some("third".into()),
                    ..second(Signaling::HaveLocalOffer)
                },
            );
            driver.observe(
                1,
                Facts {
                    ufrag: Some("third".into()),
                    ..second(Signaling::Stable)
                },
            );
        }
    }
    driver.forward(6 * SECOND);
    driver.input(Input::Refresh);
    log.extend(driver.fetched(credential("carol", 600.0)));
    let once = |version| {
        [
            Command::Act(1, Act::Raise),
            Command::Apply {
                connection: 1,
                version,
            },
            Command::Emit(Event::Applied(1)),
        ]
    };
    let wanted: Vec<_> = once(2)
        .into_iter()
        .chain([RESTART])
        .chain(once(3))
        .collect();
    log.retain(|command| wanted.contains(command));
    assert_eq!(log, wanted);
}

#[test]
fn an_end_whose_relays_are_outranked_raises_its_own_with_the_next_servers_and_restarts_no_more_for_it()
 {
    for standing in [EVEN, OUTRANKED] {
        let mut driver = Driver::opened(600.0);
        driver.relayed_connection(1, connected());
        let look = |driver: &mut Driver, standing| {
            driver.input(Input::Inspected {
                connection: 1,
                standing,
                pairs: vec![relayed("pair", "first")],
            })
        };
        let mut log = look(&mut driver, standing);
        // It is no reason to do anything at once.
        log.extend(undated(driver.forward(10 * SECOND)));
        assert_eq!(log, []);
        driver.input(Input::Refresh);
        log.extend(driver.fetched(credential("bob", 600.0)));
        // What it shows until it has gathered anew.
        log.extend(look(&mut driver, standing));
        log.extend(undated(driver.forward(4 * SECOND)));
        let expected = [
            Command::Act(1, Act::Raise),
            apply(1, 2),
            Command::Emit(Event::Applied(1)),
            RESTART,
        ];
        log.retain(|command| expected.contains(command));
        assert_eq!(log, expected[usize::from(standing == EVEN)..]);
    }
}

#[test]
fn towards_firefox_each_refresh_raises_the_relays_before_its_servers_are_applied() {
    for (mixed, relays) in [(true, true), (true, false), (false, true)] {
        let mut driver = Driver::opened(600.0);
        let facts = Facts {
            first: Some(false),
            firefox: i64::from(mixed),
            ..connected()
        };
        if relays {
            driver.relayed_connection(1, facts);
        } else {
            create(&mut driver, 1);
            driver.observe(1, facts);
        }
        driver.input(Input::Refresh);
        let commands = driver.fetched(credential("bob", 600.0));
        let place = |wanted: &Command| commands.iter().position(|command| command == wanted);
        let apply = place(&Command::Apply {
            connection: 1,
            version: 2,
        });
        let raise = place(&Command::Act(1, Act::Raise));
        assert!(apply.is_some());
        assert_eq!(raise, apply.filter(|_| mixed && relays).map(|at| at - 1));
    }
}

#[test]
fn a_restart_that_a_role_conflict_keeps_on_the_old_pair_is_followed_by_one_with_raised_relays() {
    let mut driver = Driver::opened(86_400.0);
    driver.relayed_connection(1, with_firefox(10, Signaling::Stable));
    for nth in 1..20 {
        // The app's own restarts: each overlooks Firefox's nomination.
        let offer = |signaling| Facts {
            ufrag: Some(format!("restart-{nth}")),
            ..with_firefox(10 + nth, signaling)
        };
        driver.forward(MINUTE);
        driver.observe(1, offer(Signaling::HaveLocalOffer));
        driver.observe(1, offer(Signaling::Stable));
        let mut log = Vec::new();
        while log.len() < 10 * SECOND as usize / 100 {
            let looked = driver.input(Input::Inspected {
                connection: 1,
                standing: CONTROLLED,
                pairs: vec![relayed("pair", "old")],
            });
            let meanwhile = undated(driver.forward(100));
            log.push([looked, meanwhile].concat());
            if log.concat().contains(&RESTART) {
                break;
            }
        }
        // Without raised relays it waits for Chromium to find out by itself.
        assert_eq!(log.len() < 20, nth <= 16, "restart {nth}: {}", log.len());
        let log = log.concat();
        let place = |wanted: &Command| log.iter().position(|command| command == wanted);
        assert!(place(&RESTART).is_some(), "restart {nth}: {log:?}");
        // As often as Chromium takes more URLs.
        let raised: Vec<_> = RAISED.iter().filter_map(place).collect();
        assert_eq!(
            raised.len(),
            if nth <= 16 { 3 } else { 0 },
            "restart {nth}: {log:?}"
        );
        assert!(raised.is_sorted() && raised.iter().all(|at| Some(*at) < place(&RESTART)));
        assert_eq!(log.iter().filter(|command| **command == RESTART).count(), 1);
        // That one is taken.
        let taken = |signaling| Facts {
            ufrag: Some(format!("again-{nth}")),
            ..with_firefox(100 + nth, signaling)
        };
        driver.observe(1, taken(Signaling::HaveLocalOffer));
        driver.observe(1, taken(Signaling::Stable));
        driver.inspected(1, &format!("again-{nth}"));
    }
}

/// A connection whose other end's fragment is this, 0 if that is not Firefox.
fn with_firefox(fragment: i64, signaling: Signaling) -> Facts {
    Facts {
        first: Some(false),
        firefox: fragment,
        signaling,
        ..connected()
    }
}

const RAISED: [Command; 3] = [
    Command::Act(1, Act::Raise),
    Command::Apply {
        connection: 1,
        version: 1,
    },
    Command::Emit(Event::Applied(1)),
];

#[test]
fn a_restart_that_firefox_offers_is_answered_from_servers_that_raise_the_relays() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, with_firefox(10, Signaling::Stable));
    for nth in 1..20 {
        let offered = with_firefox(10 + nth, Signaling::HaveRemoteOffer);
        let mut commands = driver.observe(1, offered.clone());
        commands.retain(|command| RAISED.contains(command));
        // Chromium takes 32 TURN URLs.
        assert_eq!(commands, if nth <= 16 { &RAISED[..] } else { &[] }, "{nth}");
        assert_eq!(driver.observe(1, offered), []);
        let answered = Facts {
            ufrag: Some(nth.to_string()),
            ..with_firefox(10 + nth, Signaling::Stable)
        };
        driver.observe(1, answered);
        driver.inspected(1, &nth.to_string());
        // It moved over to them: no restart is owed.
        assert_eq!(restarts(&driver.forward(20 * SECOND)), [] as [u64; 0]);
    }
}

#[test]
fn relays_are_not_raised_by_an_offer_that_is_no_restart_or_not_of_firefox_or_of_this_end() {
    for (last, next, signaling) in [
        (10, 10, Signaling::HaveRemoteOffer),
        (0, 0, Signaling::HaveRemoteOffer),
        (10, 11, Signaling::HaveLocalOffer),
        (10, 11, Signaling::Stable),
    ] {
        let mut driver = Driver::opened(600.0);
        driver.relayed_connection(1, with_firefox(last, Signaling::Stable));
        let commands = driver.observe(1, with_firefox(next, signaling));
        assert!(
            !commands.contains(&RAISED[0]),
            "{last} {next} {signaling:?}"
        );
        assert!(
            !commands.contains(&RAISED[1]),
            "{last} {next} {signaling:?}"
        );
    }
}

#[test]
fn a_restart_that_firefox_offers_after_a_refresh_finds_the_relays_raised() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, with_firefox(10, Signaling::Stable));
    driver.input(Input::Refresh);
    let commands = driver.fetched(credential("bob", 600.0));
    assert!(commands.contains(&RAISED[0]));
    let offered = with_firefox(11, Signaling::HaveRemoteOffer);
    assert!(!driver.observe(1, offered).contains(&RAISED[0]));
}

#[test]
fn a_restart_that_firefox_offers_brings_servers_that_waited() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, with_firefox(10, Signaling::Stable));
    // It came while the app negotiated something else.
    driver.observe(1, with_firefox(10, Signaling::HaveRemoteOffer));
    driver.input(Input::Refresh);
    let apply = Command::Apply {
        connection: 1,
        version: 2,
    };
    assert!(!driver.fetched(credential("bob", 600.0)).contains(&apply));
    let commands = driver.observe(1, with_firefox(11, Signaling::HaveRemoteOffer));
    assert_eq!(commands[..2], [RAISED[0].clone(), apply]);
}

#[test]
fn relays_raised_after_the_credentials_end_are_applied_with_the_fresh_one() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, with_firefox(10, Signaling::Stable));
    driver.sleep(601 * SECOND);
    let commands = driver.observe(1, with_firefox(11, Signaling::HaveRemoteOffer));
    assert!(commands.contains(&RAISED[0]));
    assert!(!commands.iter().any(|c| matches!(c, Command::Apply { .. })));
    let commands = driver.fetched(credential("bob", 600.0));
    let apply = Command::Apply {
        connection: 1,
        version: 2,
    };
    assert!(commands.contains(&apply), "{commands:?}");
}

#[test]
fn an_unrelayed_connection_that_works_is_not_restarted_for_a_rejected_credential() {
    let mut driver = Driver::opened(600.0);
    create(&mut driver, 1);
    driver.observe(1, connected());
    let direct = || Input::Inspected {
        connection: 1,
        standing: EVEN,
        pairs: vec![Pair {
            id: "direct".into(),
            relayed: false,
            ufrag: Some("first".into()),
        }],
    };
    driver.input(direct());
    driver.candidate_error(1, TURN, 401);
    let mut commands = driver.fetched(credential("bob", 600.0));
    commands.extend(driver.input(direct()));
    commands.extend(undated(driver.forward(10 * SECOND)));
    assert!(
        !commands.contains(&Command::Act(1, Act::Restart)),
        "{commands:?}"
    );
}

#[test]
fn a_rejection_while_the_backend_refuses_leads_to_no_fetch() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.input(Input::Refresh);
    // One that comes during the fetch neither.
    driver.candidate_error(1, TURN, 401);
    driver.failed(status(403));
    assert_eq!(fetches(&driver.forward(MINUTE)), []);
    driver.candidate_error(1, TURN, 401);
    assert_eq!(fetches(&driver.forward(MINUTE)), []);
}

#[test]
fn a_credential_that_stays_rejected_is_fetched_once_a_backoff_step() {
    let mut driver = Driver::opened(86_400.0);
    driver.relayed_connection(1, connected());
    let mut sent = Vec::new();
    while driver.at < 10 * MINUTE {
        driver.candidate_error(1, TURN, 401);
        if driver.is_fetching() {
            sent.push(driver.at);
            driver.fetched(credential("alice", 86_400.0));
        }
        let log = driver.forward(100);
        if driver.is_fetching() {
            sent.extend(fetches(&log).iter().map(|(at, _)| *at));
            driver.fetched(credential("alice", 86_400.0));
        }
    }
    let gaps: Vec<u64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(
        gaps[..8],
        [1, 2, 4, 8, 16, 32, 60, 60].map(|seconds| seconds * SECOND)
    );
}

#[test]
fn a_storm_of_errors_puts_off_neither_the_schedule_nor_the_answer_to_a_later_rejection() {
    let mut driver = Driver::opened(86_400.0);
    driver.relayed_connection(1, connected());
    // The backoff of rejections grows to a minute.
    for round in 1..=8 {
        driver.candidate_error(1, TURN, 401);
        if !driver.is_fetching() {
            driver.forward_to_fetch(MINUTE);
        }
        let ttl = if round < 8 { 86_400.0 } else { 20.0 };
        driver.fetched(credential("alice", ttl));
    }
    let planned = driver.refresh_at().unwrap();
    for _ in 0..50 {
        assert_eq!(driver.candidate_error(1, TURN, 401), []);
    }
    assert_eq!(
        driver.refresh_at(),
        Some(planned),
        "it comes before the backoff's next step"
    );
    driver.forward_to_fetch(20 * SECOND);
    driver.fetched(credential("alice", 86_400.0));
    driver.forward(MINUTE);
    driver.candidate_error(1, TURN, 401);
    assert!(driver.is_fetching());
}

#[test]
fn a_rejection_during_a_retry_wait_or_after_a_refusal_does_not_add_a_fetch() {
    for failure in [network(), status(403)] {
        let mut driver = Driver::opened(600.0);
        driver.relayed_connection(1, connected());
        driver.forward_to_fetch(600 * SECOND);
        driver.failed(failure);
        let planned = driver.refresh_at();
        assert_eq!(driver.candidate_error(1, TURN, 401), []);
        assert_eq!(driver.refresh_at(), planned);
    }
}

#[test]
fn an_interrupted_relayed_connection_makes_its_credential_suspect_at_once() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.forward(10 * SECOND);
    let commands = driver.observe(
        1,
        Facts {
            ice: Ice::Disconnected,
            ..connected()
        },
    );
    assert!(commands.contains(&fetch(2, Reason::Rejected)));
}

#[test]
fn a_short_interruption_restarts_nothing() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.observe(
        1,
        Facts {
            ice: Ice::Disconnected,
            ..connected()
        },
    );
    driver.inspected(1, "first");
    driver.forward(1_900);
    driver.observe(1, connected());
    driver.inspected(1, "first");
    assert_eq!(driver.forward(MINUTE), []);
}

#[test]
fn a_failed_relayed_connection_makes_its_credential_suspect_at_once() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    let commands = driver.observe(
        1,
        Facts {
            ice: Ice::Failed,
            ..connected()
        },
    );
    assert!(commands.contains(&fetch(2, Reason::Rejected)));
}

#[test]
fn an_unrelayed_connection_that_fails_casts_no_doubt_on_the_credential() {
    let mut driver = Driver::opened(600.0);
    create(&mut driver, 1);
    driver.observe(1, connected());
    driver.input(Input::Inspected {
        connection: 1,
        standing: EVEN,
        pairs: vec![Pair {
            id: "direct".into(),
            relayed: false,
            ufrag: None,
        }],
    });
    driver.observe(
        1,
        Facts {
            ice: Ice::Failed,
            ..connected()
        },
    );
    assert_eq!(fetches(&driver.forward(MINUTE)), []);
}

#[test]
fn the_same_credential_fetched_again_stays_suspect() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    let failed = Facts {
        ice: Ice::Failed,
        ..connected()
    };
    driver.observe(1, failed);
    let rejected = driver.at;
    driver.forward(100);
    driver.fetched(credential("alice", 600.0));
    assert_eq!(
        driver.forward_to_fetch(2 * SECOND),
        (rejected + SECOND, Reason::Rejected)
    );
}

#[test]
fn a_break_from_before_a_restart_casts_no_doubt_on_the_credential_that_it_gathered_from() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.input(Input::Refresh);
    driver.forward(100);
    driver.fetched(credential("bob", 600.0));
    driver.forward(2 * SECOND);
    let interrupted = Facts {
        ice: Ice::Disconnected,
        ..connected()
    };
    driver.observe(1, interrupted.clone());
    driver.forward(100);
    let restarted = Facts {
        signaling: Signaling::HaveLocalOffer,
        ufrag: Some("second".into()),
        ..interrupted
    };
    driver.observe(1, restarted.clone());
    let fetched = driver.fetch;
    driver.forward(2 * SECOND);
    assert_eq!(driver.fetch, fetched);
    // It breaks again later.
    driver.observe(
        1,
        Facts {
            signaling: Signaling::Stable,
            ice: Ice::Connected,
            ..restarted.clone()
        },
    );
    driver.inspected(1, "second");
    driver.forward(2 * SECOND);
    let commands = driver.observe(
        1,
        Facts {
            signaling: Signaling::Stable,
            ..restarted
        },
    );
    assert!(commands.contains(&fetch(fetched + 1, Reason::Rejected)));
}

#[test]
fn a_connection_that_is_given_up_casts_no_more_doubt_on_the_credential() {
    let mut driver = Driver::opened(86_400.0);
    driver.relayed_connection(1, connected());
    let lost = Facts {
        ice: Ice::Failed,
        lost: true,
        ..connected()
    };
    driver.observe(1, lost);
    driver.forward(100);
    let commands = driver.fetched(credential("alice", 86_400.0));
    assert!(commands.contains(&Command::Act(1, Act::Lost)));
    // The same credential came back while the doubt was still there.
    driver.forward_to_fetch(2 * SECOND);
    driver.fetched(credential("alice", 86_400.0));
    assert_eq!(fetches(&driver.forward(HOUR)), []);
}

#[test]
fn a_scheduled_refresh_starts_the_backoff_of_rejections_anew() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    let reject = |driver: &mut Driver| {
        driver.candidate_error(1, TURN, 401);
        if !driver.is_fetching() {
            driver.forward_to_fetch(MINUTE);
        }
        let at = driver.at;
        driver.fetched(credential("alice", 600.0));
        at
    };
    for _ in 0..4 {
        reject(&mut driver);
    }
    driver.forward_to_fetch(600 * SECOND);
    driver.fetched(credential("alice", 600.0));
    driver.forward(SECOND);
    let first = reject(&mut driver);
    assert_eq!(reject(&mut driver), first + SECOND);
}

#[test]
fn the_second_end_counts_its_margin_from_the_life_that_was_extended() {
    let mut driver = Driver::opened(600.0);
    let second = Facts {
        first: Some(false),
        ..connected()
    };
    driver.relayed_connection(1, second);
    let (extended, _) = driver.forward_to_fetch(600 * SECOND);
    driver.fetched(credential("alice", 600.0));
    driver.input(Input::Refresh);
    driver.fetched(credential("bob", 600.0));
    driver.inspected(1, "first");
    let log = driver.forward_until(DAY, |c| matches!(c, Command::Act(_, Act::Restart)));
    assert_eq!(log.last().unwrap().0, extended + 300_000);
}

#[test]
fn an_interruption_older_than_the_credential_casts_no_doubt_on_it() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.observe(
        1,
        Facts {
            ice: Ice::Disconnected,
            ..connected()
        },
    );
    driver.inspected(1, "first");
    driver.forward(SECOND);
    driver.input(Input::Refresh);
    driver.fetched(credential("bob", 600.0));
    // The restart's new generation is gathered with the new credential, and still not connected.
    driver.observe(
        1,
        Facts {
            ice: Ice::Disconnected,
            ufrag: Some("second".into()),
            signaling: Signaling::HaveLocalOffer,
            ..connected()
        },
    );
    assert_eq!(fetches(&driver.forward(10 * SECOND)), []);
}

// ---- the end -------------------------------------------------------------------------------------------------------

#[test]
fn closing_during_a_fetch_cancels_it_and_its_response_is_ignored() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    assert_eq!(
        driver.input(Input::Close { revoke: false }),
        [
            Command::CancelFetch,
            status_changed(Status::Refreshing, Status::Closed),
            Command::Emit(Event::Closed),
        ]
    );
    assert_eq!(driver.fetched(credential("bob", 600.0)), []);
    assert_eq!(driver.forward(DAY), []);
}

#[test]
fn closing_answers_a_refresh_that_is_waited_for() {
    let mut driver = Driver::opened(600.0);
    driver.input(Input::Refresh);
    let commands = driver.input(Input::Close { revoke: false });
    assert_eq!(code_of(&commands), Some(Code::Closed));
    assert_eq!(commands.last(), Some(&Command::Emit(Event::Closed)));
}

#[test]
fn closing_during_a_retry_wait_ends_the_tries() {
    let mut driver = Driver::opened(600.0);
    driver.forward_to_fetch(600 * SECOND);
    driver.failed(network());
    assert_eq!(
        driver.input(Input::Close { revoke: false }),
        [
            status_changed(Status::Retrying, Status::Closed),
            Command::Emit(Event::Closed)
        ]
    );
    assert_eq!(driver.forward(DAY), []);
}

#[test]
fn closing_during_a_restart_leaves_the_connection_alone() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.input(Input::Refresh);
    driver.fetched(credential("bob", 600.0));
    let commands = driver.inspected(1, "first");
    assert!(commands.contains(&Command::Act(1, Act::Restart)));
    driver.input(Input::Close { revoke: false });
    assert_eq!(driver.observe(1, connected()), []);
    assert_eq!(driver.inspected(1, "second"), []);
    assert_eq!(driver.forward(DAY), []);
    assert_eq!(driver.state().connections, 0);
}

#[test]
fn revocation_names_every_username_that_was_handed_out() {
    let mut driver = Driver::opened(600.0);
    for name in ["bob", "bob", "alice", "carol"] {
        driver.input(Input::Refresh);
        driver.fetched(credential(name, 600.0));
        driver.forward(SECOND);
    }
    let commands = driver.input(Input::Close { revoke: true });
    assert_eq!(revoked(&commands), Some(vec!["alice", "bob", "carol"]));
    assert_eq!(commands.last(), Some(&Command::Emit(Event::Closed)));
}

#[test]
fn revocation_covers_each_username_of_a_list_with_several() {
    let body = driver::json(
        r#"{"iceServers":[{"urls":"turn:a.example.org","username":"alice","credential":"x"},
            {"urls":"turn:b.example.org","username":"bob","credential":"y"}],"ttl":60}"#,
    );
    let mut driver = Driver::opened_with(options(), body);
    driver.input(Input::Refresh);
    driver.fetched(credential("carol", 600.0));
    let commands = driver.input(Input::Close { revoke: true });
    assert_eq!(revoked(&commands), Some(vec!["alice", "bob", "carol"]));
}

#[test]
fn a_username_that_seems_expired_is_revoked_too() {
    // The device's clock may have been set forth: only the server knows whether it lives.
    let mut driver = Driver::opened(600.0);
    driver.sleep(DAY);
    let commands = driver.input(Input::Close { revoke: true });
    assert_eq!(revoked(&commands), Some(vec!["alice"]));
}

#[test]
fn a_superseded_username_is_revoked_up_to_its_end_and_no_longer() {
    for (late, revoked_ones) in [(0, vec!["bob"]), (1, vec!["alice", "bob"])] {
        let mut driver = Driver::opened(60.0);
        driver.input(Input::Refresh);
        driver.fetched(credential("bob", 600.0));
        driver.forward_to(60 * SECOND - late);
        let commands = driver.input(Input::Close { revoke: true });
        assert_eq!(revoked(&commands), Some(revoked_ones));
    }
}

#[test]
fn closing_without_revocation_revokes_nothing() {
    let mut driver = Driver::opened(600.0);
    let commands = driver.input(Input::Close { revoke: false });
    assert_eq!(revoked(&commands), None);
}

#[test]
fn a_closed_session_commands_nothing() {
    let mut driver = Driver::opened(600.0);
    driver.relayed_connection(1, connected());
    driver.input(Input::Close { revoke: false });
    for input in [
        Input::Open,
        Input::Timer,
        Input::Woke,
        Input::Online,
        Input::Offline,
        Input::Created {
            connection: 2,
            policy: None,
        },
        Input::Attached {
            connection: 3,
            policy: None,
            facts: connected(),
            usernames: Vec::new(),
        },
        Input::Detached { connection: 1 },
        Input::Abort,
        Input::Close { revoke: true },
    ] {
        assert_eq!(driver.input(input), []);
    }
    let answer = driver.input(Input::Refresh);
    assert_eq!((answer.len(), code_of(&answer)), (1, Some(Code::Closed)));
    let state = driver.state();
    assert_eq!(
        (state.status, state.expires_at, state.refresh_at),
        (Status::Closed, None, None)
    );
}

// ---- secrets -------------------------------------------------------------------------------------------------------

#[test]
fn nothing_that_can_be_printed_holds_a_secret() {
    let name = "1814521780:alice-and-her-phone";
    let mut driver = Driver::opened_with(options(), response(name, r#""ttl":600"#));
    driver.relayed_connection(1, connected());
    let mut text = driver.printed();
    driver.input(Input::Refresh);
    let commands = driver.fetched(response(&format!("{name}-2"), r#""ttl":600"#));
    text += &format!("{commands:?} {}", driver.printed());
    driver.input(Input::Refresh);
    let commands = driver.fetched(response(name, r#""ttl":"abc""#));
    text += &format!("{commands:?} {}", driver.printed());
    let commands = driver.input(Input::Close { revoke: true });
    text += &format!("{commands:?} {}", driver.printed());
    assert!(!text.contains(SECRET), "{text}");
    assert!(!text.contains("alice"), "{text}");
    assert!(text.contains("18145217…"), "the redacted name is shown");
}

#[test]
fn a_session_can_be_moved_between_threads_of_a_test() {
    fn is_send<T: Send>() {}
    is_send::<Session>();
}
