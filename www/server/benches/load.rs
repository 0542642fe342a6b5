//! How many credentials a second the emulator issues, and the backend with the emulator behind it, how long they take and
//! what they cost in processor time and memory: `cargo bench -p turn-demo-server --profile server --bench load`.
//!
//! The programs are asked from this process over loopback, on connections that stay open, by clients that each wait for
//! an answer before they ask again. It prints figures and judges nothing: they depend on the machine and on what else
//! it does. `LOAD_SECONDS` (30), `LOAD_CLIENTS` (32).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Seconds before the measurement. Longer than the credentials live and the emulator remembers them, so that memory has
/// come to what it needs.
const WARM_UP: u64 = 10;

/// Seconds that a credential lives.
const TTL: u64 = 2;

/// A program under load; ends with its value.
struct Program {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Program {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_turn-demo-server"))
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = stdout.next().unwrap().unwrap();
        let address = line.strip_prefix("listening on http://").unwrap();
        Self {
            address: address.parse().unwrap(),
            child,
            stdout,
        }
    }

    /// The value of the next line, which is `name=value`.
    fn printed(&mut self, name: &str) -> String {
        let line = self.stdout.next().unwrap().unwrap();
        let value = line.strip_prefix(name).unwrap().strip_prefix('=');
        value.unwrap().to_owned()
    }

    /// Processor time used so far, where the system says it in /proc: in hundredths of a second, as Linux counts there.
    fn busy(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // After the program's name, which may hold anything, the state is the first field and user time the twelfth.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        Some(Duration::from_millis((ticks()? + ticks()?) * 10))
    }

    /// Mebibytes, where the system says it in /proc.
    fn memory(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib / 1024.0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One client: asks, waits for the whole answer, and asks again, until the end. Gives the latencies from `begin` on.
async fn client(
    address: SocketAddr,
    request: String,
    begin: Instant,
    end: Instant,
) -> (Vec<Duration>, u64) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut latencies, mut failures) = (Vec::new(), 0);
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let asked = Instant::now();
        if asked >= end {
            return (latencies, failures);
        }
        stream.write_all(request.as_bytes()).await.unwrap();
        let created = answer(&mut stream, &mut buffer).await;
        if asked < begin {
            continue;
        }
        if created {
            latencies.push(asked.elapsed());
        } else {
            failures += 1;
        }
    }
}

/// Reads one answer with a Content-Length; whether it is a 201.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    buffer.clear();
    loop {
        assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "hung up");
        let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&buffer[..head])
            .unwrap()
            .to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let whole = head + 4 + length.unwrap().parse::<usize>().unwrap();
        while buffer.len() < whole {
            assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "hung up");
        }
        return text.starts_with("http/1.1 201 ");
    }
}

fn variable(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

async fn measure(what: &str, program: &Program, request: &str) {
    let (seconds, clients) = (variable("LOAD_SECONDS", 30), variable("LOAD_CLIENTS", 32));
    let begin = Instant::now() + Duration::from_secs(WARM_UP);
    let end = begin + Duration::from_secs(seconds);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..clients {
        running.spawn(client(program.address, request.to_owned(), begin, end));
    }
    tokio::time::sleep_until(begin.into()).await;
    let (before, idle) = (program.memory(), program.busy());
    let answers = running.join_all().await;
    let (after, busy) = (program.memory(), program.busy());
    let failures: u64 = answers.iter().map(|(_, failures)| failures).sum();
    let mut latencies: Vec<Duration> = answers.into_iter().flat_map(|(all, _)| all).collect();
    latencies.sort_unstable();
    let rank = |share: f64| {
        let index = ((latencies.len() - 1) as f64 * share) as usize;
        latencies[index].as_secs_f64() * 1e3
    };
    let each = busy
        .zip(idle)
        .map(|(busy, idle)| (busy - idle).as_secs_f64() * 1e6 / latencies.len() as f64);
    println!(
        "{what}: {:.0} credentials/s for {seconds} s from {clients} clients, {failures} failures; ms p50 {:.2}, p99 {:.2}, longest {:.2}; processor µs for each {}; MiB {} before, {} after",
        latencies.len() as f64 / seconds as f64,
        rank(0.5),
        rank(0.99),
        rank(1.0),
        shown(each),
        shown(before),
        shown(after),
    );
}

fn shown(figure: Option<f64>) -> String {
    figure.map_or("?".to_owned(), |value| format!("{value:.1}"))
}

/// A POST that asks for a credential.
fn request(path: &str, address: SocketAddr, header: &str) -> String {
    let body = format!("{{\"ttl\":{TTL}}}");
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\n{header}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The session cookie that a page load brings.
async fn session(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let load = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(load.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    let cookie = page
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    cookie.unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::main]
async fn main() {
    let mut emulator = Program::start(&["emulate", "--port", "0"], &[]);
    let base = emulator.printed("TURN_API_BASE");
    let (id, token) = (
        emulator.printed("TURN_KEY_ID"),
        emulator.printed("TURN_KEY_API_TOKEN"),
    );
    let path = format!("/v1/turn/keys/{id}/credentials/generate-ice-servers");
    let bearer = format!("authorization: Bearer {token}");
    let asked = request(&path, emulator.address, &bearer);
    measure("emulator", &emulator, &asked).await;

    let arguments = [
        "--port",
        "0",
        "--session-limit",
        "off",
        "--address-limit",
        "off",
    ];
    let environment = [
        ("TURN_API_BASE", base.as_str()),
        ("TURN_KEY_ID", &id),
        ("TURN_KEY_API_TOKEN", &token),
    ];
    let backend = Program::start(&arguments, &environment);
    let cookie = session(backend.address).await;
    let asked = request(
        "/api/turn-credentials",
        backend.address,
        &format!("cookie: {cookie}"),
    );
    measure("backend with the emulator behind it", &backend, &asked).await;
}
