//! What a person sees while a program runs for more than a few seconds.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// A step shorter than this shows nothing; a longer one says once per interval that it lives.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// What fits on one line of a terminal with 80 columns, after the time.
const WIDTH: usize = 66;

pub struct Progress {
    begun: Instant,
    shown: Duration,
    terminal: bool,
    drawn: bool,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            shown: Duration::ZERO,
            terminal: std::io::stdout().is_terminal(),
            drawn: false,
        }
    }

    /// Shows the elapsed time and the program's last words, if the interval has passed. On a terminal the line is
    /// rewritten in place; anywhere else each line stands for itself.
    pub fn tick(&mut self, last: &str) {
        let elapsed = self.begun.elapsed();
        if elapsed < self.shown + INTERVAL {
            return;
        }
        self.shown = elapsed;
        let line = line(elapsed, last);
        if self.terminal {
            print!("\r\x1b[K{line}");
            let _ = std::io::stdout().flush();
            self.drawn = true;
        } else {
            println!("{line}");
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            print!("\r\x1b[K");
            let _ = std::io::stdout().flush();
        }
    }
}

/// One line: the elapsed time and the last words of the program, without control characters and cut to fit.
fn line(elapsed: Duration, last: &str) -> String {
    let last: String = last
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(WIDTH)
        .collect();
    format!("    {:>4} s  {last}", elapsed.as_secs())
        .trim_end()
        .to_owned()
}

/// A duration as people read it: `850 ms`, `12.3 s`, `4 min 05 s`.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_the_elapsed_seconds_and_the_last_words() {
        assert_eq!(
            line(Duration::from_secs(35), "  Compiling std v0.0.0\r"),
            "      35 s  Compiling std v0.0.0"
        );
        assert_eq!(line(Duration::from_secs(5), ""), "       5 s");
    }

    #[test]
    fn a_line_is_cut_and_carries_no_control_characters() {
        let shown = line(
            Duration::from_secs(5),
            &format!("\x1b[2K{}", "é".repeat(500)),
        );
        assert!(!shown.contains('\x1b'));
        assert_eq!(shown.chars().count(), "       5 s  ".len() + WIDTH);
    }

    #[test]
    fn durations_are_written_for_people() {
        assert_eq!(seconds(Duration::from_millis(850)), "850 ms");
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(seconds(Duration::from_secs(245)), "4 min 05 s");
    }
}
