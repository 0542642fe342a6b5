//! A server as users start it, a visitor as a browser is one, and the two kinds of TURN client that the tests need.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod turn_client;
pub mod upstream;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use turn_demo_server::cloudflare::http_client;
use turn_demo_server::turn::Transport;

/// Longest wait for something that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

/// Asks again and again until there is a value, so that no test relies on a sleep being long enough.
pub async fn until<T>(what: &str, within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A new, empty folder that is not shared with another test.
pub fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A folder with a page in it, as `--www` wants one.
pub fn page_folder() -> PathBuf {
    let folder = folder();
    std::fs::write(
        folder.join("index.html"),
        "<!doctype html><title>page</title>",
    )
    .unwrap();
    folder
}

/// The program, with nothing in its environment that would change what it does.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turn-demo-server"));
    for name in [
        "TURN_KEY_ID",
        "TURN_KEY_API_TOKEN",
        "TURN_API_BASE",
        "CLOUDFLARE_API_TOKEN",
        "SESSION_SECRET",
    ] {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running server; ends with its value.
pub struct Server {
    child: Child,
    pub url: String,
    log: Arc<Mutex<String>>,
    stdout: Arc<Mutex<String>>,
}

impl Server {
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_in(arguments, &[]).await
    }

    pub async fn start_in(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_with_www(&page_folder(), arguments, environment).await
    }

    pub async fn start_with_www(
        www: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = program();
        command
            .args(["--port", "0", "--www"])
            .arg(www)
            .args(arguments)
            .envs(environment.iter().copied());
        Self::spawn(&mut command).await
    }

    pub async fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = collect(child.stderr.take().unwrap());
        let stdout = collect(child.stdout.take().unwrap());
        let url = until("the server says where it listens", SOON, async || {
            let stdout = stdout.lock().unwrap();
            let (line, _) = stdout.split_once('\n')?;
            Some(line.strip_prefix("listening on ")?.to_owned())
        })
        .await;
        Self {
            child,
            url,
            log,
            stdout,
        }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// Waits for a line that holds all of `parts`.
    pub async fn logged(&self, parts: &[&str]) -> String {
        until(
            &format!("a log line with {parts:?} in {}", self.log()),
            SOON,
            async || {
                self.log()
                    .lines()
                    .find(|line| parts.iter().all(|part| line.contains(part)))
                    .map(str::to_owned)
            },
        )
        .await
    }

    /// A browser that has loaded the page.
    pub async fn visitor(&self) -> Visitor {
        let mut visitor = self.stranger();
        let answer = visitor.send(visitor.request(Method::GET, "/")).await;
        assert_eq!(answer.status, StatusCode::OK);
        let cookie = answer.headers.get(SET_COOKIE).unwrap().to_str().unwrap();
        visitor.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        visitor.kept.lock().unwrap().clear();
        visitor
    }

    /// Somebody who has not.
    pub fn stranger(&self) -> Visitor {
        Visitor::new(&self.url)
    }

    /// The value of a metric, with its labels; 0 if there is none.
    pub async fn metric(&self, name: &str) -> f64 {
        let answer = self.stranger().get("/metrics").await;
        assert_eq!(answer.status, StatusCode::OK);
        let text = String::from_utf8(answer.body).unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// What `GET /api/demo/turn` says.
    pub async fn turn_state(&self) -> Value {
        let stranger = self.stranger();
        stranger
            .send(stranger.request(Method::GET, "/api/demo/turn"))
            .await
            .json()
    }

    pub async fn allocations_of(&self, username: &str) -> usize {
        let state = self.turn_state().await;
        let allocations = state["allocations"].as_array().unwrap();
        allocations
            .iter()
            .filter(|allocation| allocation["username"] == username[..8])
            .count()
    }

    pub fn address(&self) -> SocketAddr {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// What `emulate` prints for the backend's environment.
    pub async fn printed_key(&self) -> [(&'static str, String); 3] {
        let stdout = until("the key is printed", SOON, async || {
            let stdout = self.stdout();
            (stdout.lines().count() == 4).then_some(stdout)
        })
        .await;
        ["TURN_API_BASE", "TURN_KEY_ID", "TURN_KEY_API_TOKEN"].map(|name| {
            let value = stdout
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            (name, value.unwrap().to_owned())
        })
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(told.success());
    }

    /// Bytes of memory that the process holds.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    pub async fn exit_code(&mut self) -> Option<i32> {
        until("the server ends", SOON, async || {
            self.child.try_wait().unwrap()
        })
        .await
        .code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&text);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut text = into.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    });
    text
}

/// A browser, as far as it matters here. Paths of cookies are not looked at.
pub struct Visitor {
    http: reqwest::Client,
    base: String,
    /// The session's.
    pub cookie: Option<String>,
    /// What answers since then have set, by name.
    kept: Arc<Mutex<BTreeMap<String, String>>>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is an error as all of ours are.
    pub fn expect_error(&self, status: u16, code: &str) {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        let body = self.json();
        assert_eq!(body["error"]["code"], code, "{text}");
        assert!(!body["error"]["message"].as_str().unwrap().is_empty());
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
    }
}

impl Visitor {
    pub fn new(url: &str) -> Self {
        Self {
            http: http_client("http://").unwrap(),
            base: url.to_owned(),
            cookie: None,
            kept: Arc::default(),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // Longer than the server may take for anything, so that its answer is what a test sees.
        let request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .timeout(SOON * 2);
        let kept = self.kept.lock().unwrap();
        let kept = kept.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<String> = self.cookie.clone().into_iter().chain(kept).collect();
        if cookies.is_empty() {
            return request;
        }
        request.header(COOKIE, cookies.join("; "))
    }

    /// The same browser, asking another server over a new connection.
    pub fn at(&self, url: &str) -> Self {
        Self {
            http: http_client("http://").unwrap(),
            base: url.to_owned(),
            cookie: self.cookie.clone(),
            kept: Arc::clone(&self.kept),
        }
    }

    /// With another browser's session, and nothing else of it.
    pub fn with_session_of(self, other: &Self) -> Self {
        Self {
            cookie: other.cookie.clone(),
            ..self
        }
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let mut kept = self.kept.lock().unwrap();
            if cookie.contains("Max-Age=0") {
                kept.remove(name);
            } else {
                kept.insert(name.to_owned(), value.to_owned());
            }
        }
        Answer {
            status,
            headers,
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body))
            .await
    }

    pub async fn mint(&self) -> Answer {
        self.send(self.request(Method::POST, "/api/turn-credentials"))
            .await
    }

    /// A credential that lives for `ttl` seconds.
    pub async fn credential(&self, ttl: u64) -> Credential {
        let answer = self
            .post("/api/turn-credentials", serde_json::json!({ "ttl": ttl }))
            .await;
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        Credential::of(&answer.json())
    }

    pub async fn revoke(&self, username: &str) -> Answer {
        self.post(
            "/api/turn-credentials/revoke",
            serde_json::json!({ "username": username }),
        )
        .await
    }
}

#[derive(Clone, Debug)]
pub struct Credential {
    pub username: String,
    pub password: String,
    /// Of UDP and TCP.
    pub server: SocketAddr,
    /// With `--turn-tls`.
    pub tls: Option<SocketAddr>,
}

impl Credential {
    pub fn of(answer: &Value) -> Self {
        let server = &answer["iceServers"][1];
        let url = server["urls"][0].as_str().unwrap();
        let address = url
            .strip_prefix("turn:")
            .unwrap()
            .strip_suffix("?transport=udp")
            .unwrap();
        Self {
            username: server["username"].as_str().unwrap().to_owned(),
            password: server["credential"].as_str().unwrap().to_owned(),
            server: address.parse().unwrap(),
            tls: server["urls"].get(2).map(|url| {
                let port = url
                    .as_str()
                    .unwrap()
                    .strip_prefix("turns:localhost:")
                    .unwrap()
                    .strip_suffix("?transport=tcp")
                    .unwrap();
                SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
            }),
        }
    }

    /// Where the server takes this transport.
    pub fn at(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Udp | Transport::Tcp => self.server,
            Transport::Tls => self.tls.unwrap(),
        }
    }
}
