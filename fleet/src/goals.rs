//! What must hold of turn-wasm's fleets.

use crate::page::{aftermath, stretch};
use crate::scenario::{HOUR, Policy};
use crate::study::{DAY, Question, Run, steady};

/// In the steady state no stretch of time is busier than the mean by more than this.
const PEAK_TO_MEAN: f64 = 1.3;
/// After an outage never more than this times what the backend can give is asked for in one second. The highest is that
/// of sessions on their first seven tries, in a wave of refreshes that all but fills the limit by itself.
const SPIKE: f64 = 6.0;
/// Nor more than the limit, if the backend said when to come again.
const SPIKE_ADVISED: f64 = 1.0;
/// So many of all sessions may be without a live credential after an outage that all but outlasted the margin: with seconds
/// left to live, some are refused by a backend that everyone else asks too.
const LAPSED: f64 = 0.0001;

/// What was missed, in sentences.
pub fn missed(runs: &[Run]) -> Vec<String> {
    let mut missed = Vec::new();
    for run in runs
        .iter()
        .filter(|run| run.scenario.policy == Policy::TurnWasm)
    {
        let (scenario, record) = (&run.scenario, &run.record);
        let ttl = scenario.ttl;
        if run.shows_steady() {
            let span = steady(scenario);
            let ratio = record.peak_over(stretch(ttl), &span) / record.mean(&span);
            if ratio > PEAK_TO_MEAN {
                missed.push(format!("ttl {ttl} s: the steady state's peak is {ratio:.2} times the mean, expected at most {PEAK_TO_MEAN}"));
            }
        }
        let outlasted = ttl == DAY || run.question == Question::ShortOutages;
        let lapsed = f64::from(record.lapsed) / f64::from(record.sessions);
        if outlasted && lapsed > LAPSED {
            missed.push(format!(
                "ttl {ttl} s, {:?}: {} of {} sessions were without a live credential, expected at most {LAPSED} of them",
                run.question, record.lapsed, record.sessions
            ));
        }
        for outage in &scenario.outages {
            let after = aftermath(run, outage);
            let spike = f64::from(record.peak(&after)) / run.limit();
            let most = if scenario.advice.is_some() {
                SPIKE_ADVISED
            } else {
                SPIKE
            };
            if spike > most {
                missed.push(format!(
                    "ttl {ttl} s, {:?}: after the outage {spike:.1} times the limit was asked for in one second, expected at most {most}",
                    run.question
                ));
            }
            if after.end - after.start > HOUR {
                missed.push(format!(
                    "ttl {ttl} s, {:?}: sessions still waited {} s after the outage, expected at most an hour",
                    run.question,
                    after.end - after.start
                ));
            }
        }
    }
    missed
}
