//! Running other programs: captured, with progress, or in view. Each runs in a process group of its own, so that
//! `interrupt.rs` can end it together with everything it started.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::failure::{Context, Failure, Result};
use crate::interrupt::{self, Running};
use crate::progress::Progress;

/// How much of a failed program's output is shown.
const LAST_LINES: usize = 40;

/// Runs the program and returns what it wrote to its standard output, without the trailing line break.
pub fn output(command: &mut Command) -> Result<String> {
    let described = describe(command);
    let child = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let _running = Running::new(child.id());
    let output = child.wait_with_output().context(|| described.clone())?;
    check_interrupt()?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "{described} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// Runs the program without showing its output: only a sign of life while it takes long, and its last lines if it fails.
pub fn with_progress(command: &mut Command) -> Result<Duration> {
    let described = describe(command);
    let mut progress = Progress::new();
    let mut child = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let running = Running::new(child.id());

    let (sender, lines) = mpsc::channel();
    let mut readers = Vec::new();
    for pipe in [
        child
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        child
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ]
    .into_iter()
    .flatten()
    {
        let sender = sender.clone();
        readers.push(thread::spawn(move || {
            for line in BufReader::new(pipe)
                .split(b'\n')
                .map_while(std::result::Result::ok)
            {
                if sender
                    .send(String::from_utf8_lossy(&line).trim_end().to_owned())
                    .is_err()
                {
                    break;
                }
            }
        }));
    }
    drop(sender);

    let mut said: Vec<String> = Vec::new();
    loop {
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => said.push(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        progress.tick(
            said.iter()
                .rev()
                .find(|line| !line.is_empty())
                .map_or("", String::as_str),
        );
    }
    for reader in readers {
        let _ = reader.join();
    }
    let status = child.wait().context(|| described.clone())?;
    let elapsed = progress.elapsed();
    drop(running);
    drop(progress);
    check_interrupt()?;
    if status.success() {
        return Ok(elapsed);
    }
    let tail = said
        .get(said.len().saturating_sub(LAST_LINES)..)
        .unwrap_or_default();
    Err(Failure::new(format!(
        "{described} failed ({status}); its last lines:\n{}",
        tail.join("\n")
    )))
}

/// Runs the program with its output in view.
pub fn in_view(command: &mut Command) -> Result<ExitStatus> {
    let described = describe(command);
    let mut child = start(command)?;
    let _running = Running::new(child.id());
    let status = child.wait().context(|| described)?;
    check_interrupt()?;
    Ok(status)
}

/// Runs the program with its output in view. Whatever else than success is an error.
pub fn succeeds(command: &mut Command) -> Result<()> {
    let status = in_view(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} failed ({status})",
        describe(command)
    )))
}

/// Runs the program with its output in view, and shows every line of its standard output to `reader` as well.
pub fn in_view_and_read(command: &mut Command, mut reader: impl FnMut(&str)) -> Result<ExitStatus> {
    let described = describe(command);
    let mut child = start(command.stdout(Stdio::piped()))?;
    let _running = Running::new(child.id());
    if let Some(pipe) = child.stdout.take() {
        let mut stdout = std::io::stdout();
        for line in BufReader::new(pipe)
            .split(b'\n')
            .map_while(std::result::Result::ok)
        {
            let line = String::from_utf8_lossy(&line);
            let _ = writeln!(stdout, "{line}");
            reader(&line);
        }
    }
    let status = child.wait().context(|| described)?;
    check_interrupt()?;
    Ok(status)
}

/// Makes the program start without the settings that cargo and rustup hand to what they run, and that would steer
/// another cargo inside it.
pub fn without_cargo_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_cargo_setting) {
            command.env_remove(&name);
        }
    }
    command
}

fn is_cargo_setting(name: &str) -> bool {
    let kept = [
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTRY_",
        "CARGO_REGISTRIES_",
        "CARGO_TERM_",
    ];
    let steering = [
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
        "LD_LIBRARY_PATH",
        "DYLD_",
    ];
    steering.iter().any(|prefix| name.starts_with(prefix))
        && !kept.iter().any(|prefix| name.starts_with(prefix))
}

fn start(command: &mut Command) -> Result<Child> {
    check_interrupt()?;
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let program = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| Failure::new(format!("cannot run `{program}`: {error}")))
}

fn check_interrupt() -> Result<()> {
    interrupt::received().map_or(Ok(()), |signal| Err(Failure::interrupted(signal)))
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_steer_a_cargo_are_told_from_those_that_reach_a_registry() {
        for steering in [
            "CARGO",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(is_cargo_setting(steering), "{steering}");
        }
        for kept in [
            "CARGO_HOME",
            "CARGO_HTTP_CAINFO",
            "CARGO_NET_OFFLINE",
            "RUSTUP_HOME",
            "PATH",
            "HTTPS_PROXY",
        ] {
            assert!(!is_cargo_setting(kept), "{kept}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_failed_program_is_reported_with_its_last_words() {
        let failure =
            with_progress(Command::new("sh").args(["-c", "echo first; echo last >&2; exit 3"]))
                .unwrap_err();
        let message = failure.to_string();
        assert!(
            message.contains("first") && message.contains("last") && message.contains('3'),
            "{message}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = output(&mut Command::new("no-such-program")).unwrap_err();
        assert!(failure.to_string().contains("no-such-program"), "{failure}");
    }
}
