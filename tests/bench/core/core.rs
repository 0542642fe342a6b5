//! How fast the core reads responses and handles inputs, each beside an input ten times as large: what grows with the size
//! of the input shows in the time for each byte or input.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use turn_wasm::core::clock::Now;
use turn_wasm::core::connection::{Facts, Policy};
use turn_wasm::core::response;
use turn_wasm::core::selection::{Port53, Selection};
use turn_wasm::core::session::{Command, Input, Options, Session};
use turn_wasm::core::value::Value;
use turn_wasm_bench::{padded, response};

/// Milliseconds between two refreshes of credentials that live for 600 s.
const BETWEEN: f64 = 450_000.0;

fn reading(criterion: &mut Criterion) {
    // Of more than 64 URLs the rest is left out.
    let kinds = [
        (
            "a response, by URLs",
            [6, 60].map(|urls| (urls, response("alice", urls))),
        ),
        (
            "a response, by members that mean nothing",
            [100, 1000].map(|members| (members, padded(members))),
        ),
    ];
    for (what, sizes) in kinds {
        let mut group = criterion.benchmark_group(what);
        for (size, words) in sizes {
            group.throughput(Throughput::Bytes(words.len() as u64));
            group.bench_with_input(
                BenchmarkId::from_parameter(size),
                &words,
                |bencher, words| {
                    bencher.iter(|| response::read(&Value::new(black_box(words))));
                },
            );
        }
        group.finish();
    }
}

/// A session with connections, driven through one refresh after the other.
struct Page {
    session: Session,
    bodies: [String; 2],
    commands: Vec<Command>,
    now: Now,
    serial: usize,
}

impl Page {
    fn open(connections: u32) -> Self {
        let options = Options {
            ttl: None,
            selection: Selection {
                port53: Port53::Keep,
                transports: None,
                max: None,
            },
            policy: Policy::Relayed,
            seed: 1,
        };
        let now = Now {
            wall: 1_714_521_600_000.0,
            monotonic: 0.0,
        };
        let mut page = Self {
            session: Session::new(options, now),
            bodies: [response("alice", 6), response("bobby", 6)],
            commands: Vec::new(),
            now,
            serial: 0,
        };
        page.handle(Input::Open);
        page.fetched();
        for connection in 1..=connections {
            page.handle(Input::Created {
                connection,
                policy: None,
            });
        }
        page
    }

    fn handle(&mut self, input: Input) {
        self.commands.clear();
        self.session.handle(input, self.now, &mut self.commands);
    }

    /// Answers the fetch that was just asked for.
    fn fetched(&mut self) {
        let fetch = self.commands.iter().find_map(|command| match command {
            Command::Fetch { fetch, .. } => Some(*fetch),
            _ => None,
        });
        let body = self.bodies[self.serial % 2].clone();
        self.serial += 1;
        self.handle(Input::Fetched {
            fetch: fetch.unwrap_or_default(),
            body,
        });
    }

    /// A refresh up to the last connection; returns how many inputs it took.
    fn refresh(&mut self) -> u64 {
        self.now.wall += BETWEEN;
        self.now.monotonic += BETWEEN;
        self.handle(Input::Refresh);
        self.fetched();
        let mut inputs = 3;
        for command in std::mem::take(&mut self.commands) {
            if let Command::Apply { connection, .. } = command {
                self.handle(Input::Observed {
                    connection,
                    facts: Facts::NEW,
                });
                inputs += 1;
            }
        }
        self.handle(Input::Applied);
        inputs
    }
}

fn handling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a refresh, by connections");
    for connections in [10, 100] {
        let mut page = Page::open(connections);
        let inputs = page.refresh();
        assert_eq!(
            inputs,
            3 + u64::from(connections),
            "every connection is served"
        );
        group.throughput(Throughput::Elements(inputs));
        group.bench_function(BenchmarkId::from_parameter(connections), |bencher| {
            bencher.iter(|| page.refresh());
        });
    }
    group.finish();
}

criterion_group! {
    name = core;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots();
    targets = reading, handling
}
criterion_main!(core);
