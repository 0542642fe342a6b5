//! What was found, as a section of docs/fleet.md.

use std::fmt::Write;
use std::ops::Range;

use crate::scenario::{HOUR, MINUTE, Policy, margin};
use crate::study::{Question, Run, SHORT, Size, steady, wave};

/// The length of the stretches in which steady rates are counted, in seconds: in less, chance alone makes peaks.
pub fn stretch(ttl: u64) -> u64 {
    (ttl / 10).min(10 * MINUTE)
}

/// What follows an outage: until nobody waits any more, but at least a minute.
pub fn aftermath(run: &Run, outage: &Range<u64>) -> Range<u64> {
    let left = run.scenario.until - outage.end;
    let took = run.record.recovered_after(outage.end).unwrap_or(left);
    outage.end..outage.end + took.clamp(MINUTE, left)
}

/// The lines between which a section stands in the page.
pub fn marks(size: Size) -> [&'static str; 2] {
    match size {
        Size::Scaled => [
            "<!-- cargo xtask fleet -->",
            "<!-- end of cargo xtask fleet -->",
        ],
        Size::Whole => [
            "<!-- cargo xtask fleet --whole -->",
            "<!-- end of cargo xtask fleet --whole -->",
        ],
    }
}

/// The page with its section replaced.
///
/// # Errors
/// If the page lacks one of the section's marks.
pub fn replaced(page: &str, size: Size, section: &str) -> Result<String, String> {
    let [begin, end] = marks(size);
    let lacks = |mark: &str| format!("the page has no line `{mark}`");
    let (before, rest) = page.split_once(begin).ok_or_else(|| lacks(begin))?;
    let (_, after) = rest.split_once(end).ok_or_else(|| lacks(end))?;
    Ok(format!("{before}{begin}\n\n{section}\n{end}{after}"))
}

pub fn section(runs: &[Run]) -> String {
    let tables = [
        fleets(runs),
        steady_state(runs),
        first_refreshes(runs),
        long_outage(runs),
        short_outages(runs),
    ];
    tables.join("\n")
}

fn fleets(runs: &[Run]) -> String {
    let mut text = String::from(
        "**The fleets**\n\n| ttl | sessions | the backend gives at most | turn-wasm asks in the mean for |\n|---|---|---|---|\n",
    );
    for run in of(runs, Question::LongOutage) {
        if run.scenario.policy != Policy::TurnWasm || run.scenario.advice.is_some() {
            continue;
        }
        let ttl = run.scenario.ttl;
        let mean = f64::from(run.record.sessions) / Policy::TurnWasm.period(ttl) as f64;
        let several = if run.copies > 1 {
            format!(" ({} backends)", run.copies)
        } else {
            String::new()
        };
        line(
            &mut text,
            &[
                lifetime(ttl),
                whole(f64::from(run.record.sessions)),
                format!("{}/s{several}", whole(run.limit())),
                format!("{}/s", rate(mean)),
            ],
        );
    }
    text
}

fn steady_state(runs: &[Run]) -> String {
    let mut text = String::from(
        "**Steady state.** With a ttl of 600 s: from one hour to one and a half after all sessions opened within a minute, peaks over a minute. With a \
         ttl of 86,400 s: sessions\nopened at random over one period, the second period, peaks over ten minutes.\n\n\
         | ttl | policy | requests/s, mean | peak | peak / mean | sessions ever without a credential by then |\n|---|---|---|---|---|---|\n",
    );
    for run in runs.iter().filter(|run| run.shows_steady()) {
        let ttl = run.scenario.ttl;
        let span = steady(&run.scenario);
        let (mean, peak) = (
            run.record.mean(&span),
            run.record.peak_over(stretch(ttl), &span),
        );
        line(
            &mut text,
            &[
                lifetime(ttl),
                run.scenario.policy.name().into(),
                rate(mean),
                rate(peak),
                format!("{:.2}", peak / mean),
                share(run.record.lapsed_by(span.end), run.record.sessions),
            ],
        );
    }
    text
}

fn first_refreshes(runs: &[Run]) -> String {
    let mut text = String::from(
        "**The first refreshes of sessions that all opened within a minute**, nothing failing but for the limit. The busiest second.\n\n\
         | ttl | policy | they last | peak, requests/s | of the limit | refused | sessions ever without a credential |\n|---|---|---|---|---|---|---|\n",
    );
    for run in runs {
        let ttl = run.scenario.ttl;
        let asked = if ttl == SHORT {
            Question::LongOutage
        } else {
            Question::Wave
        };
        if run.question != asked || run.scenario.advice.is_some() {
            continue;
        }
        let mut wave = wave(run.scenario.policy, ttl);
        let lasts = minutes(wave.end - wave.start);
        // With what it refused.
        wave.end = if ttl == SHORT {
            wave.start + 10 * MINUTE
        } else {
            run.scenario.until
        };
        let peak = f64::from(run.record.peak(&wave));
        line(
            &mut text,
            &[
                lifetime(ttl),
                run.scenario.policy.name().into(),
                lasts,
                rate(peak),
                times(peak / run.limit()),
                percent(run.record.refused(&wave)),
                share(run.record.lapsed_by(wave.end), run.record.sessions),
            ],
        );
    }
    text
}

fn long_outage(runs: &[Run]) -> String {
    let mut text = String::from(
        "**An outage of 30 minutes.** With a ttl of 600 s in the steady state; no credential of that life outlasts it. With a ttl of 86,400 s \
         in the middle of\nthe first refreshes of sessions that all opened within a minute. With `Retry-After` the backend says so in every answer of the \
         outage; of several backends it is one. Peaks are the busiest seconds.\n\n\
         | ttl | policy | peak in the outage, requests/s | peak after it | of the limit | refused after it | recovered after | \
         sessions ever without a credential | each without for |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for run in of(runs, Question::LongOutage) {
        for outage in &run.scenario.outages {
            let after = aftermath(run, outage);
            let peak = f64::from(run.record.peak(&after));
            line(
                &mut text,
                &[
                    lifetime(run.scenario.ttl),
                    policy(run),
                    rate(f64::from(run.record.peak(outage))),
                    rate(peak),
                    times(peak / run.limit()),
                    percent(run.record.refused(&after)),
                    recovered(run, outage),
                    share(run.record.lapsed, run.record.sessions),
                    dark(run),
                ],
            );
        }
    }
    text
}

fn short_outages(runs: &[Run]) -> String {
    let mut text = String::from(
        "**Outages shorter than a margin** (150 s and an hour). In the steady state, with a ttl of 600 s of 50,000 sessions at 500 credentials a \
         second; and at the\nbeginning and in the middle of the first refreshes of 50,000 sessions, 25 credentials a second, that all opened \
         within a minute.\n\n\
         | ttl | policy | outage | peak after it, requests/s | of the limit | refused after it | recovered after | sessions without a credential by then |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for run in runs {
        let sessions = match run.question {
            Question::ShortOutages => "",
            Question::ShortOutageInWave => ", in the first refreshes",
            _ => continue,
        };
        for outage in &run.scenario.outages {
            let after = aftermath(run, outage);
            let peak = f64::from(run.record.peak(&after));
            let ttl = run.scenario.ttl;
            let length = outage.end - outage.start;
            line(
                &mut text,
                &[
                    lifetime(ttl),
                    policy(run),
                    format!("{} % of a margin{sessions}", 100 * length / margin(ttl)),
                    rate(peak),
                    times(peak / run.limit()),
                    percent(run.record.refused(&after)),
                    recovered(run, outage),
                    share(run.record.lapsed_by(after.end), run.record.sessions),
                ],
            );
        }
    }
    text
}

/// The runs for one question, in their order.
fn of(runs: &[Run], question: Question) -> impl Iterator<Item = &Run> {
    runs.iter().filter(move |run| run.question == question)
}

// ---- cells ---------------------------------------------------------------------------------------------------------

fn line(text: &mut String, cells: &[String]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// Whose policy it is, and what the backend says in an outage.
fn policy(run: &Run) -> String {
    let name = run.scenario.policy.name();
    match run.scenario.advice {
        None => name.into(),
        Some(seconds) => format!("{name}, `Retry-After: {}`", whole(seconds as f64)),
    }
}

fn recovered(run: &Run, outage: &Range<u64>) -> String {
    match run.record.recovered_after(outage.end) {
        None => "not while it ran".into(),
        Some(seconds) if seconds < 10 * MINUTE => format!("{seconds} s"),
        Some(seconds) => minutes(seconds),
    }
}

fn dark(run: &Run) -> String {
    match run.record.dark_each() {
        _ if run.record.lapsed == 0 => "–".into(),
        seconds if seconds < 10.0 => format!("{seconds:.1} s"),
        seconds if seconds < 600.0 => format!("{seconds:.0} s"),
        seconds => minutes(seconds as u64),
    }
}

fn minutes(seconds: u64) -> String {
    if seconds < 3 * HOUR {
        format!("{} min", (seconds + 30) / MINUTE)
    } else {
        format!("{:.1} h", seconds as f64 / HOUR as f64)
    }
}

fn lifetime(ttl: u64) -> String {
    format!("{} s", whole(ttl as f64))
}

fn rate(per_second: f64) -> String {
    if per_second < 100.0 {
        format!("{per_second:.1}")
    } else {
        whole(per_second)
    }
}

fn times(ratio: f64) -> String {
    if ratio < 10.0 {
        format!("{ratio:.2} ×")
    } else {
        format!("{} ×", whole(ratio))
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A share of the sessions; of a few, how many.
fn share(count: u32, of: u32) -> String {
    let share = f64::from(count) / f64::from(of);
    if count > 0 && share < 0.001 {
        format!("{} of {}", whole(f64::from(count)), whole(f64::from(of)))
    } else if count == 0 {
        "none".into()
    } else {
        percent(share)
    }
}

/// A whole number in groups of three digits.
fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_shares_of_a_few_sessions_are_counted() {
        assert_eq!(whole(1_234_567.4), "1,234,567");
        assert_eq!(whole(999.0), "999");
        assert_eq!(rate(12.345), "12.3");
        assert_eq!(share(0, 1_000_000), "none");
        assert_eq!(share(3, 50_000), "3 of 50,000");
        assert_eq!(share(500, 50_000), "1.0 %");
    }

    #[test]
    fn a_section_is_replaced_between_its_marks_only() {
        let page = "a\n<!-- cargo xtask fleet -->\nold\n<!-- end of cargo xtask fleet -->\nb\n";
        let new = replaced(page, Size::Scaled, "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- cargo xtask fleet -->\n\nnew\n\n<!-- end of cargo xtask fleet -->\nb\n"
        );
        assert!(
            replaced(page, Size::Whole, "")
                .unwrap_err()
                .contains("--whole")
        );
    }
}
