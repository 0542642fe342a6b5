//! What this backend has done so far, as Prometheus reads it (text format 0.0.4). Labels are taken from fixed lists only:
//! nothing that a request says becomes one, so their number is bounded and no secret gets into them.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of the upstream's latency, in seconds: an emulator answers within a millisecond, and after
/// eight seconds nobody waits any more.
const BOUNDS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 4.0, 8.0,
];

#[derive(Debug, Default)]
pub struct Metrics {
    pub mints: Counter,
    /// Answers of the credential endpoints that are errors, by their code.
    pub refusals: Counters,
    /// By who asked for it.
    pub revocations: Counters,
    /// Requests to the provider, by operation and outcome, each try by itself.
    upstream: Mutex<BTreeMap<(&'static str, &'static str), Histogram>>,
    pub retries: Counters,
    pub connections: Connections,
}

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters with one label.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<&'static str, u64>>);

impl Counters {
    pub fn add(&self, label: &'static str) {
        *self.lock().entry(label).or_default() += 1;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub struct Connections {
    pub accepted: Counter,
    pub closed: Counter,
    /// Closed unserved, since there were too many.
    pub refused: Counter,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    sum: f64,
    count: u64,
}

impl Histogram {
    fn observe(&mut self, seconds: f64) {
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        self.sum += seconds;
        self.count += 1;
    }
}

impl Metrics {
    pub fn upstream(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        self.upstream
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((operation, outcome))
            .or_default()
            .observe(took.as_secs_f64());
    }

    pub fn write(&self, page: &mut Page) {
        page.counter(
            "turn_backend_mints_total",
            "Credentials given to clients.",
            &[("", self.mints.get())],
        );
        page.counters(
            "turn_backend_refusals_total",
            "Errors that the credential endpoints answered with, by the code in their body.",
            "code",
            &self.refusals,
        );
        page.counters(
            "turn_backend_revocations_total",
            "Usernames revoked at the TURN provider, by who asked for it.",
            "by",
            &self.revocations,
        );
        page.counters(
            "turn_backend_upstream_retries_total",
            "Requests to the TURN provider that were made again.",
            "operation",
            &self.retries,
        );
        self.write_upstream(page);
        let open = self.connections.accepted.get() - self.connections.closed.get();
        page.gauge(
            "turn_backend_connections",
            "Open HTTP connections.",
            &[("", open)],
        );
        page.counter(
            "turn_backend_connections_refused_total",
            "HTTP connections closed unserved because too many were open.",
            &[("", self.connections.refused.get())],
        );
    }

    fn write_upstream(&self, page: &mut Page) {
        let name = "turn_backend_upstream_seconds";
        page.head(
            name,
            "histogram",
            "Time that requests to the TURN provider took, each try by itself.",
        );
        let upstream = self.upstream.lock().unwrap_or_else(PoisonError::into_inner);
        for ((operation, outcome), histogram) in upstream.iter() {
            let labels = format!("operation=\"{operation}\",outcome=\"{outcome}\"");
            for (count, bound) in histogram.buckets.iter().zip(BOUNDS) {
                page.line(format_args!(
                    "{name}_bucket{{{labels},le=\"{bound}\"}} {count}"
                ));
            }
            page.line(format_args!(
                "{name}_bucket{{{labels},le=\"+Inf\"}} {}",
                histogram.count
            ));
            page.line(format_args!("{name}_sum{{{labels}}} {}", histogram.sum));
            page.line(format_args!("{name}_count{{{labels}}} {}", histogram.count));
        }
    }
}

/// A page of metrics in the making.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, counters: &Counters) {
        self.head(name, "counter", help);
        for (value, count) in counters.lock().iter() {
            self.line(format_args!("{name}{{{label}=\"{value}\"}} {count}"));
        }
    }

    /// `values`: labels as they are written between braces, or an empty text, and what they count.
    pub fn counter(&mut self, name: &str, help: &str, values: &[(&str, u64)]) {
        self.values(name, "counter", help, values);
    }

    pub fn gauge(&mut self, name: &str, help: &str, values: &[(&str, u64)]) {
        self.values(name, "gauge", help, values);
    }

    fn values(&mut self, name: &str, kind: &str, help: &str, values: &[(&str, u64)]) {
        self.head(name, kind, help);
        for (labels, value) in values {
            if labels.is_empty() {
                self.line(format_args!("{name} {value}"));
            } else {
                self.line(format_args!("{name}{{{labels}}} {value}"));
            }
        }
    }
}

impl Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(metrics: &Metrics) -> String {
        let mut page = Page::default();
        metrics.write(&mut page);
        page.to_string()
    }

    #[test]
    fn every_metric_has_a_help_line_and_a_type_before_its_values() {
        let metrics = Metrics::default();
        metrics.mints.add();
        metrics.refusals.add("no-session");
        metrics.upstream("generate", "ok", Duration::from_millis(3));
        let text = written(&metrics);
        let mut known = "";
        for line in text.lines() {
            match line.split_once(" HELP ") {
                Some((_, rest)) => known = rest.split_once(' ').unwrap().0,
                None if line.starts_with("# TYPE ") => assert!(line.contains(known), "{line}"),
                None => assert!(line.starts_with(known), "{line} after {known}"),
            }
        }
        assert!(text.contains("\nturn_backend_mints_total 1\n"), "{text}");
        assert!(
            text.contains("\nturn_backend_refusals_total{code=\"no-session\"} 1\n"),
            "{text}"
        );
    }

    #[test]
    fn a_latency_counts_in_every_bucket_that_it_fits_in() {
        let metrics = Metrics::default();
        metrics.upstream("generate", "ok", Duration::from_millis(30));
        metrics.upstream("generate", "ok", Duration::from_secs(9));
        let text = written(&metrics);
        let name = "turn_backend_upstream_seconds";
        let labels = "operation=\"generate\",outcome=\"ok\"";
        for (bound, count) in [
            ("0.025", 0),
            ("0.05", 1),
            ("1", 1),
            ("4", 1),
            ("8", 1),
            ("+Inf", 2),
        ] {
            let line = format!("\n{name}_bucket{{{labels},le=\"{bound}\"}} {count}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(text.contains(&format!("\n{name}_count{{{labels}}} 2\n")));
        assert!(text.contains(&format!("\n{name}_sum{{{labels}}} 9.03")));
    }
}
