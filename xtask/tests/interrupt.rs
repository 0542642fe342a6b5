//! A command that is ended while it fills the cache: nothing half-built stays, and nothing goes on running.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A machine where everything but the npm tools is there, and where installing those never ends.
struct Machine {
    folder: PathBuf,
}

impl Machine {
    fn new(test: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("xtask-interrupt-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::create_dir_all(folder.join("libdir")).unwrap();
        fs::write(folder.join("libdir/libstd-0.rlib"), "").unwrap();
        let machine = Self { folder };
        machine.program("node", "echo v22.0.0");
        machine.program(
            "rustc",
            &format!("echo '{}'", machine.folder.join("libdir").display()),
        );
        machine.program(
            "cargo",
            &format!(
                r#"echo '{{"target_directory":"{}/target"}}'"#,
                machine.folder.display()
            ),
        );
        machine.program(
            "npm",
            &format!(
                r#"if [ "$1" = --version ]; then echo 10.0.0; exit; fi
echo half > half-built
sleep 300 & echo $! > '{0}/sleeper'
touch '{0}/begun'
wait"#,
                machine.folder.display()
            ),
        );
        machine
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.folder.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Starts `xtask build` and waits until it is in the middle of the fill.
    fn start(&self) -> Child {
        let _ = fs::remove_file(self.folder.join("begun"));
        self.end_sleeper();
        let path = format!(
            "{}:{}",
            self.folder.join("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let child = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("build")
            .env("PATH", path)
            .env("CARGO", self.folder.join("bin/cargo"))
            .env("XDG_CACHE_HOME", self.folder.join("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually(|| self.folder.join("begun").exists(), "the fill begins");
        child
    }

    fn cache(&self) -> PathBuf {
        self.folder.join("cache/turn-wasm")
    }

    fn end_sleeper(&self) {
        if let Ok(id) = fs::read_to_string(self.folder.join("sleeper")) {
            signal(id.trim(), "KILL");
        }
    }

    fn sleeper_lives(&self) -> bool {
        let id = fs::read_to_string(self.folder.join("sleeper")).unwrap();
        signal(id.trim(), "0")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end_sleeper();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn signal(process: &str, signal: &str) -> bool {
    let script = format!("kill -{signal} {process} 2>/dev/null");
    Command::new("sh")
        .args(["-c", &script])
        .status()
        .unwrap()
        .success()
}

fn eventually(mut condition: impl FnMut() -> bool, what: &str) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{what}: not within 20 s"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn folders(path: &Path) -> Vec<String> {
    fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name.starts_with("tools-"))
        .collect()
}

#[test]
fn sigterm_ends_the_fill_with_all_it_started_and_leaves_nothing() {
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let machine = Machine::new(name);
        let mut xtask = machine.start();
        signal(&xtask.id().to_string(), name);
        assert_eq!(xtask.wait().unwrap().code(), Some(code));
        assert_eq!(folders(&machine.cache()), Vec::<String>::new());
        eventually(|| !machine.sleeper_lives(), "the program it started ends");
    }
}

#[test]
fn after_a_kill_that_nothing_can_catch_the_next_fill_starts_afresh() {
    let machine = Machine::new("KILL");
    let mut xtask = machine.start();
    xtask.kill().unwrap();
    xtask.wait().unwrap();
    let left = folders(&machine.cache());
    assert!(left.iter().all(|name| name.contains(".tmp-")), "{left:?}");

    let mut again = machine.start();
    let now = folders(&machine.cache());
    assert_eq!(now.len(), 1, "{now:?}");
    assert_ne!(now, left);
    signal(&again.id().to_string(), "TERM");
    again.wait().unwrap();
    assert_eq!(folders(&machine.cache()), Vec::<String>::new());
}
