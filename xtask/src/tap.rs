//! What Node's test runner reports in TAP.

/// How many tests ran, as their runner counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The counts in the closing lines of a report. A test that its parent's end cut off did not pass.
pub fn counts(report: &str) -> Counts {
    let count = |what: &str| -> u64 {
        let prefix = format!("# {what} ");
        report
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(&prefix)?.trim().parse().ok())
            .unwrap_or_default()
    };
    Counts {
        passed: count("pass"),
        failed: count("fail") + count("cancelled"),
    }
}

/// Each failed test of a report with where it stands and what it says, without the suites around it.
pub fn failures(report: &str) -> Vec<String> {
    let mut failures = Vec::new();
    let mut lines = report.lines();
    while let Some(line) = lines.next() {
        let Some(result) = line.trim_start().strip_prefix("not ok ") else {
            continue;
        };
        // TAP's own marks: such tests do not make a run fail.
        if result.contains(" # TODO") || result.contains(" # SKIP") {
            continue;
        }
        let name = result
            .split_once(" - ")
            .map_or(result, |(_, name)| name)
            .replace("\\#", "#");
        let indent = line.len() - line.trim_start().len() + "  ".len();
        let mut failure = name;
        let mut says = false;
        let mut of_subtests = false;
        for line in lines.by_ref() {
            let line = line.get(indent..).unwrap_or_default();
            match line {
                "..." => break,
                "failureType: 'subtestsFailed'" => of_subtests = true,
                _ if line.starts_with(' ') || line.is_empty() => {}
                _ => says = line.starts_with("error: ") || line.starts_with("location: "),
            }
            if says {
                failure.push_str("\n  ");
                failure.push_str(line);
            }
        }
        if !of_subtests {
            failures.push(failure);
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_the_last_ones() {
        let report = "TAP version 13\n    # pass 9\n# pass 8\n1..2\n# tests 4\n# suites 0\n# pass 2\n# fail 1\n# cancelled 1\n# skipped 0\n";
        assert_eq!(
            counts(report),
            Counts {
                passed: 2,
                failed: 2
            }
        );
        assert_eq!(counts(""), Counts::default());
    }

    #[test]
    fn failures_are_told_with_their_errors() {
        let report = "\
TAP version 13
# Subtest: calls
    ok 1 - works
      ---
      duration_ms: 1.0
      ...
    # Subtest: fails \\# in two lines
    not ok 2 - fails \\# in two lines
      ---
      duration_ms: 47.9
      location: 'a.test.mjs:2:59'
      failureType: 'testCodeFailure'
      error: |-
        2 is not 1:

          + 1
      code: 'ERR_ASSERTION'
      stack: |-
        TestContext.<anonymous> (a.test.mjs:2:100)
      ...
    not ok 3 - to do # TODO
      ---
      error: 'x'
      ...
    not ok 4 - says one
      ---
      error: \"it's bad\"
      ...
    1..4
not ok 1 - calls
  ---
  duration_ms: 92.1
  type: 'suite'
  failureType: 'subtestsFailed'
  error: '2 subtests failed'
  ...
1..1
";
        assert_eq!(
            failures(report),
            [
                "fails # in two lines\n  location: 'a.test.mjs:2:59'\n  error: |-\n    2 is not 1:\n  \n      + 1",
                "says one\n  error: \"it's bad\"",
            ]
        );
        // A report that was cut off.
        assert_eq!(failures("not ok 1 - calls"), ["calls"]);
        assert_eq!(failures("TAP version 13\nok 1 - calls\n"), [""; 0]);
    }
}
