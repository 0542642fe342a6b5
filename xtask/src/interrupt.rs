//! Ctrl-C and SIGTERM: ends what a command started, so that the command can clean up and end itself.
//!
//! Every program runs in a process group of its own (`process.rs`), so a signal reaches a whole tree (cargo and its
//! rustcs, node and its browsers) and reaches it once. The waiting code then sees its program end, and unwinds
//! through the guards that remove temporary folders.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

static RECEIVED: AtomicI32 = AtomicI32::new(0);
static GROUPS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// The number of the signal that asked this process to end, if one did.
pub fn received() -> Option<u8> {
    u8::try_from(RECEIVED.load(Ordering::SeqCst))
        .ok()
        .filter(|signal| *signal != 0)
}

/// A running program's process group, ended by a signal that comes while this value lives.
#[must_use]
pub struct Running(u32);

impl Running {
    pub fn new(group: u32) -> Self {
        groups(|all| all.push(group));
        if received().is_some() {
            // The signal came between the start of the program and this line.
            end(group, "TERM");
        }
        Self(group)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        groups(|all| all.retain(|group| *group != self.0));
    }
}

fn groups<T>(action: impl FnOnce(&mut Vec<u32>) -> T) -> T {
    // A poisoned list is still a list of numbers.
    action(
        &mut GROUPS
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()),
    )
}

fn end(group: u32, signal: &str) {
    // The shell's own `kill`: small systems have no /bin/kill. A group that is gone already is no error.
    let _ = std::process::Command::new("sh")
        .args(["-c", &format!("kill -{signal} -{group} 2>/dev/null")])
        .status();
}

#[cfg(unix)]
pub fn install() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(5);

    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
        return; // without the handler the default action ends this process, which is all that is lost
    };
    std::thread::spawn(move || {
        let Some(signal) = signals.forever().next() else {
            return;
        };
        RECEIVED.store(signal, Ordering::SeqCst);
        for group in groups(|all| all.clone()) {
            end(group, "TERM");
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && signals.pending().next().is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
        for group in groups(|all| all.clone()) {
            end(group, "KILL");
        }
        // The main thread normally ends the process long before this.
        std::thread::sleep(PATIENCE);
        std::process::exit(128 + signal);
    });
}

#[cfg(not(unix))]
pub fn install() {}
