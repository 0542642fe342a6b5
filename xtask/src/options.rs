//! The command line: which command, with which options.

use crate::bench::Part;
use crate::failure::{Failure, Result};
use crate::suite::Step;

pub const USAGE: &str = "\
usage: cargo xtask <command>

  demo [--port N] [--ttl S]  build everything and serve the demo (port 0: any; ttl of its credentials in seconds)
  build [--report]           build the npm package in pkg/ and weigh it; --report lists the largest functions
  test [--only STEP]         all checks in order, or one: fmt, clippy, crates, native, docs, fleet, build, package, browser, apps, e2e, libraries
  bench [--only PART] [--rounds N] [--update-readme]
                             the benchmark table beside plain JavaScript, in target/bench also as JSON and as a chart, or one
                             part of it: size, start, gathering, refresh, survival, memory, fleet, core; --rounds N for
                             fewer or more than 15 rounds; --update-readme puts the figures into README.md and docs/bench.md
  soak [--minutes N] [--seed S]
                             calls in both browsers over two TURN servers, with random faults, for N minutes (2 otherwise);
                             it names its seed, which brings the same faults again
  docs                       the API reference in target/docs, and the crates' own in target/doc; warnings are errors
  fleet [--whole] [--write]  simulate a fleet of sessions against one backend, with --whole one million of them;
                             --write puts the figures into docs/fleet.md
  mutants                    change the core in small ways and tell which changes no test notices (about 20 minutes)

Each prepares what the machine lacks for it first.";

#[derive(Debug, PartialEq, Eq)]
pub enum Options {
    Demo {
        port: Option<u16>,
        ttl: Option<u32>,
    },
    Build {
        report: bool,
    },
    Test {
        only: Option<Step>,
    },
    Bench {
        only: Option<Part>,
        rounds: Option<u32>,
        update_readme: bool,
    },
    Soak {
        minutes: Option<u32>,
        seed: Option<u32>,
    },
    Docs,
    Fleet {
        whole: bool,
        write: bool,
    },
    Mutants,
    Help,
}

impl Options {
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        // `--name=value` is two words from here on.
        let mut words = arguments
            .into_iter()
            .flat_map(|word| match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => {
                    vec![name.to_owned(), value.to_owned()]
                }
                _ => vec![word],
            });
        let command = words.next().ok_or_else(|| usage("no command given"))?;
        let mut options = match command.as_str() {
            "demo" => Self::Demo {
                port: None,
                ttl: None,
            },
            "build" => Self::Build { report: false },
            "test" => Self::Test { only: None },
            "bench" => Self::Bench {
                only: None,
                rounds: None,
                update_readme: false,
            },
            "soak" => Self::Soak {
                minutes: None,
                seed: None,
            },
            "docs" => Self::Docs,
            "fleet" => Self::Fleet {
                whole: false,
                write: false,
            },
            "mutants" => Self::Mutants,
            "help" | "--help" | "-h" => return Ok(Self::Help),
            other => return Err(usage(&format!("there is no command `{other}`"))),
        };
        while let Some(name) = words.next() {
            match (&mut options, name.as_str()) {
                (_, "--help" | "-h") => return Ok(Self::Help),
                (Self::Demo { port, .. }, "--port") => *port = Some(number(&name, words.next())?),
                (Self::Demo { ttl, .. }, "--ttl") => *ttl = Some(number(&name, words.next())?),
                (Self::Build { report }, "--report") => *report = true,
                (Self::Fleet { whole, .. }, "--whole") => *whole = true,
                (Self::Fleet { write, .. }, "--write") => *write = true,
                (Self::Bench { rounds, .. }, "--rounds") => {
                    *rounds = Some(number(&name, words.next())?);
                }
                (Self::Bench { update_readme, .. }, "--update-readme") => *update_readme = true,
                (Self::Bench { only, .. }, "--only") => {
                    *only = Some(one_of("part", Part::named, words.next())?);
                }
                (Self::Soak { minutes, .. }, "--minutes") => {
                    *minutes = Some(number(&name, words.next())?);
                }
                (Self::Soak { seed, .. }, "--seed") => *seed = Some(number(&name, words.next())?),
                (Self::Test { only }, "--only") => {
                    *only = Some(one_of("step", Step::named, words.next())?);
                }
                _ => return Err(usage(&format!("`{command}` takes no `{name}`"))),
            }
        }
        Ok(options)
    }
}

fn number<N: std::str::FromStr>(name: &str, value: Option<String>) -> Result<N> {
    let value = value.ok_or_else(|| usage(&format!("{name} needs a number")))?;
    value.parse().map_err(|_| {
        usage(&format!(
            "{name} needs a number in its range, not `{value}`"
        ))
    })
}

/// What `--only` names: a `kind` of thing.
fn one_of<T>(kind: &str, named: impl Fn(&str) -> Option<T>, value: Option<String>) -> Result<T> {
    let name = value.ok_or_else(|| usage(&format!("--only needs the name of a {kind}")))?;
    named(&name).ok_or_else(|| usage(&format!("there is no {kind} `{name}`")))
}

fn usage(complaint: &str) -> Failure {
    Failure::usage(format!("{complaint}\n\n{USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_command_is_understood() {
        assert_eq!(
            parse("demo").unwrap(),
            Options::Demo {
                port: None,
                ttl: None
            }
        );
        assert_eq!(
            parse("demo --port 0 --ttl=20").unwrap(),
            Options::Demo {
                port: Some(0),
                ttl: Some(20)
            }
        );
        assert_eq!(parse("build").unwrap(), Options::Build { report: false });
        assert_eq!(
            parse("build --report").unwrap(),
            Options::Build { report: true }
        );
        assert_eq!(parse("test").unwrap(), Options::Test { only: None });
        assert_eq!(
            parse("test --only e2e").unwrap(),
            Options::Test {
                only: Some(Step::EndToEnd)
            }
        );
        assert_eq!(
            parse("fleet --whole --write").unwrap(),
            Options::Fleet {
                whole: true,
                write: true
            }
        );
        assert_eq!(
            parse("bench --only size --rounds 3 --update-readme").unwrap(),
            Options::Bench {
                only: Some(Part::Size),
                rounds: Some(3),
                update_readme: true
            }
        );
        assert_eq!(
            parse("soak --minutes 60 --seed 7").unwrap(),
            Options::Soak {
                minutes: Some(60),
                seed: Some(7)
            }
        );
        assert_eq!(parse("docs").unwrap(), Options::Docs);
        assert_eq!(parse("mutants").unwrap(), Options::Mutants);
        assert_eq!(parse("--help").unwrap(), Options::Help);
        assert_eq!(parse("test --help").unwrap(), Options::Help);
    }

    #[test]
    fn what_is_not_understood_is_named_with_the_usage_and_exit_code_2() {
        for (line, named) in [
            ("", "no command"),
            ("measure", "`measure`"),
            ("bench --only sizes", "`sizes`"),
            ("bench --rounds few", "`few`"),
            ("soak --seed -1", "`-1`"),
            ("demo --port", "--port needs"),
            ("demo --port 70000", "`70000`"),
            ("demo --ttl -1", "`-1`"),
            ("demo --report", "`--report`"),
            ("build --port 1", "`--port`"),
            ("build=x", "`build=x`"),
            ("test --only", "--only needs"),
            ("test --only lint", "`lint`"),
        ] {
            let failure = parse(line).unwrap_err();
            assert_eq!(failure.code(), 2, "{line}");
            let message = failure.to_string();
            assert!(
                message.contains(named) && message.contains("usage:"),
                "{line}: {message}"
            );
        }
    }

    #[test]
    fn the_usage_names_every_step_and_part() {
        let names = Step::ALL.map(Step::name).into_iter();
        for name in names.chain(Part::ALL.map(Part::name)) {
            assert!(USAGE.contains(name), "{name}");
        }
    }
}
