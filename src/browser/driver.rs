//! Runs a session: feeds the core with what happens, and carries out its commands.
//!
//! The core is never borrowed while JavaScript of the app may run. Commands run in the order in which they came;
//! events wait until no command is left and are dispatched then, so that a listener may call any method and finds its
//! effect at once.

use super::events::{Pending, View};
use super::handle::Handle;
use super::hooks::Hooks;
use super::object::{self, Members};
use super::options::Options;
use super::peer_connection::PeerConnection;
use super::peers::{self, Peers};
use super::request::Caused;
use super::source::{self, Source};
use super::timer::Timer;
use super::wakeups::{self, Wakeups};
use crate::core::clock::Now;
use crate::core::connection::Policy;
use crate::core::failure::{Code, Failure};
use crate::core::ice_server::{IceServer, Username};
use crate::core::session::{Command, ConnectionId, Input, Reason, Session, State};
use js_sys::{Array, Date, Function, Promise};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, AbortSignal};

/// The two ends of a promise.
struct Settle {
    resolve: Function,
    reject: Function,
}

impl Settle {
    fn promise(keep: impl FnOnce(Self)) -> Promise {
        let mut keep = Some(keep);
        Promise::new(&mut |resolve, reject| {
            if let Some(keep) = keep.take() {
                keep(Self { resolve, reject });
            }
        })
    }

    fn resolve(&self, value: &JsValue) {
        let _ = self.resolve.call1(&JsValue::UNDEFINED, value);
    }

    fn reject(&self, error: &JsValue) {
        let _ = self.reject.call1(&JsValue::UNDEFINED, error);
    }
}

/// Where the app's `AbortSignal` is listened to.
struct Abort {
    signal: AbortSignal,
    listener: Closure<dyn FnMut()>,
}

pub struct Driver {
    pub hooks: Hooks,
    core: RefCell<Session>,
    source: Source,
    revoke: Option<Source>,
    peers: RefCell<Peers>,
    commands: RefCell<VecDeque<Command>>,
    running: Cell<bool>,
    events: RefCell<VecDeque<Pending>>,
    dispatching: Cell<bool>,
    opening: RefCell<Option<Settle>>,
    refreshing: RefCell<Vec<Settle>>,
    revoking: RefCell<Option<Promise>>,
    fetching: RefCell<Option<AbortController>>,
    /// What JavaScript threw during the last fetch.
    cause: RefCell<JsValue>,
    /// What the last refused `setConfiguration` threw.
    refusal: RefCell<Option<JsValue>>,
    timer: Timer,
    wakeups: RefCell<Option<Wakeups>>,
    abort: RefCell<Option<Abort>>,
    listener: Closure<dyn FnMut(JsValue)>,
}

fn now() -> Now {
    let performance = object::get(&js_sys::global(), "performance");
    let monotonic = performance
        .dyn_ref::<web_sys::Performance>()
        .map_or(0.0, web_sys::Performance::now);
    Now {
        wall: Date::now(),
        monotonic,
    }
}

impl Driver {
    /// Opens a session; the promise resolves with its [`Handle`].
    pub fn open(options: Options, hooks: Hooks) -> Promise {
        let Options {
            session,
            source,
            revoke,
            signal,
        } = options;
        let driver = Rc::new_cyclic(|weak: &Weak<Self>| {
            let (on_timer, on_event) = (weak.clone(), weak.clone());
            Self {
                hooks,
                core: RefCell::new(Session::new(session, now())),
                source,
                revoke,
                peers: RefCell::default(),
                commands: RefCell::default(),
                running: Cell::new(false),
                events: RefCell::default(),
                dispatching: Cell::new(false),
                opening: RefCell::default(),
                refreshing: RefCell::default(),
                revoking: RefCell::default(),
                fetching: RefCell::default(),
                cause: RefCell::new(JsValue::UNDEFINED),
                refusal: RefCell::default(),
                timer: Timer::new(move || {
                    if let Some(driver) = on_timer.upgrade() {
                        driver.drop_gone();
                        driver.input(Input::Timer);
                    }
                }),
                wakeups: RefCell::default(),
                abort: RefCell::default(),
                listener: Closure::new(move |event: JsValue| {
                    if let Some(driver) = on_event.upgrade() {
                        driver.heard(&event);
                    }
                }),
            }
        });
        let opened = Settle::promise(|settle| {
            driver.opening.replace(Some(settle));
        });
        driver.listen(signal);
        if wakeups::is_offline() {
            driver.input(Input::Offline);
        }
        driver.input(Input::Open);
        opened
    }

    fn listen(self: &Rc<Self>, signal: Option<AbortSignal>) {
        let weak = Rc::downgrade(self);
        self.wakeups.replace(Some(Wakeups::new(move |input| {
            if let Some(driver) = weak.upgrade() {
                driver.drop_gone();
                driver.input(input);
            }
        })));
        let Some(signal) = signal else { return };
        if signal.aborted() {
            self.input(Input::Abort);
            return;
        }
        let weak = Rc::downgrade(self);
        let listener = Closure::<dyn FnMut()>::new(move || {
            if let Some(driver) = weak.upgrade() {
                driver.input(Input::Abort);
            }
        });
        let _ = signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref());
        self.abort.replace(Some(Abort { signal, listener }));
    }

    // ---- inputs and commands -------------------------------------------------------------------------------------

    pub fn input(self: &Rc<Self>, input: Input) {
        let mut commands = Vec::new();
        self.core.borrow_mut().handle(input, now(), &mut commands);
        self.commands.borrow_mut().extend(commands);
        if !self.running.replace(true) {
            loop {
                let Some(command) = self.commands.borrow_mut().pop_front() else {
                    break;
                };
                self.perform(command);
            }
            self.running.set(false);
            self.dispatch();
        }
    }

    fn perform(self: &Rc<Self>, command: Command) {
        match command {
            Command::Fetch { fetch, reason } => self.fetch(fetch, reason),
            Command::CancelFetch => {
                if let Some(controller) = self.fetching.take() {
                    controller.abort();
                }
            }
            Command::WakeIn(ms) => self.timer.start(ms as f64),
            Command::Apply {
                connection,
                version,
            } => self.apply(connection, version),
            Command::Inspect(connection) => self.inspect(connection),
            Command::Restart(connection) => {
                if let Some(peer) = self.peer(connection) {
                    let _ = peer.restart_ice();
                }
            }
            Command::Revoke(usernames) => self.revoke(usernames),
            Command::Opened => {
                if let Some(opening) = self.opening.take() {
                    opening.resolve(&Handle::new(self.clone()).into());
                }
            }
            Command::OpenFailed(failure) => {
                self.leave();
                if let Some(opening) = self.opening.take() {
                    opening.reject(&self.hooks.turn_error(&failure, &self.cause.borrow()));
                }
            }
            Command::RefreshDone(failure) => {
                for settle in self.refreshing.take() {
                    match &failure {
                        None => settle.resolve(&JsValue::UNDEFINED),
                        Some(failure) => {
                            settle.reject(&self.hooks.turn_error(failure, &self.cause.borrow()))
                        }
                    }
                }
            }
            Command::Emit(event) => {
                let pending = self.with_view(|view| view.pending(&event));
                if pending.kind == "closed" {
                    self.leave();
                }
                self.events.borrow_mut().push_back(pending);
            }
        }
    }

    fn dispatch(&self) {
        if self.dispatching.replace(true) {
            return;
        }
        loop {
            let Some(Pending { kind, detail }) = self.events.borrow_mut().pop_front() else {
                break;
            };
            self.hooks.emit(kind, &detail);
        }
        self.dispatching.set(false);
    }

    /// Ends everything that could still call back.
    fn leave(&self) {
        self.timer.stop();
        self.wakeups.take();
        if let Some(Abort { signal, listener }) = self.abort.take() {
            let _ = signal
                .remove_event_listener_with_callback("abort", listener.as_ref().unchecked_ref());
        }
        self.peers.borrow_mut().clear(self.listener());
    }

    // ---- commands that take a while ------------------------------------------------------------------------------

    fn fetch(self: &Rc<Self>, fetch: u64, reason: Reason) {
        let controller = source::controller();
        self.fetching.replace(Some(controller.clone()));
        let driver = self.clone();
        spawn_local(async move {
            let fetched = driver.source.fetch(reason, &controller).await;
            let input = match fetched {
                Ok(body) => {
                    driver.cause.replace(JsValue::UNDEFINED);
                    Input::Fetched { fetch, body }
                }
                Err(Caused { failure, cause }) => {
                    driver.cause.replace(cause);
                    Input::FetchFailed { fetch, failure }
                }
            };
            driver.drop_gone();
            driver.input(input);
        });
    }

    fn inspect(self: &Rc<Self>, connection: ConnectionId) {
        let driver = self.clone();
        spawn_local(async move {
            let pairs = match driver.peer(connection) {
                Some(peer) => peer.selected_pairs().await,
                None => Vec::new(),
            };
            driver.input(Input::Inspected { connection, pairs });
        });
    }

    fn revoke(self: &Rc<Self>, usernames: Vec<Username>) {
        if self.revoke.is_none() {
            return;
        }
        let driver = self.clone();
        let done = wasm_bindgen_futures::future_to_promise(async move {
            for username in usernames {
                if let Some(Err(Caused { failure, .. })) = driver.revoke_one(&username).await {
                    let message = format!("revoking {} failed: {failure}", username.redacted());
                    let detail = Members::new().with("message", message).done();
                    driver.hooks.emit("warning", &detail);
                }
            }
            Ok(JsValue::UNDEFINED)
        });
        self.revoking.replace(Some(done));
    }

    async fn revoke_one(&self, username: &Username) -> Option<Result<(), Caused>> {
        Some(self.revoke.as_ref()?.revoke(username).await)
    }

    // ---- connections ---------------------------------------------------------------------------------------------

    fn listener(&self) -> &Function {
        self.listener.as_ref().unchecked_ref()
    }

    fn peer(&self, id: ConnectionId) -> Option<PeerConnection> {
        self.peers.borrow().get(id)
    }

    fn heard(self: &Rc<Self>, event: &JsValue) {
        let peer = object::get(event, "currentTarget");
        let Some(connection) = self.peers.borrow().find(&peer) else {
            return;
        };
        let peer: PeerConnection = peer.unchecked_into();
        if object::text(event, "type").as_deref() == Some("icecandidateerror") {
            let url = object::text(event, "url").unwrap_or_default();
            let code = object::get(event, "errorCode").as_f64().unwrap_or(0.0) as u16;
            self.input(Input::CandidateError {
                connection,
                url,
                code,
            });
        } else if peer.is_closed() {
            self.detach(connection);
        } else {
            self.input(Input::Observed {
                connection,
                facts: peer.facts(),
            });
        }
    }

    fn drop_gone(self: &Rc<Self>) {
        let gone = self.peers.borrow().gone();
        for connection in gone {
            self.detach(connection);
        }
    }

    fn detach(self: &Rc<Self>, connection: ConnectionId) {
        self.peers.borrow_mut().remove(connection, self.listener());
        self.input(Input::Detached { connection });
    }

    /// Applies the servers in force: the connection's own configuration with `iceServers` replaced, for what is left
    /// out of a configuration falls back to its default.
    fn apply(self: &Rc<Self>, connection: ConnectionId, version: u64) {
        let found = {
            let peers = self.peers.borrow();
            peers.get(connection).zip(peers.extra(connection))
        };
        let Some((peer, extra)) = found.filter(|(peer, _)| !peer.is_closed()) else {
            self.detach(connection);
            return;
        };
        // What it shows now was gathered from the servers before.
        self.input(Input::Observed {
            connection,
            facts: peer.facts(),
        });
        let servers = peers::to_js(&self.servers(), &extra);
        let configuration = Members::copied_from(&peer.get_configuration())
            .with("iceServers", servers)
            .done();
        let input = match peer.set_configuration(&configuration) {
            Ok(()) => Input::Applied {
                connection,
                version,
            },
            Err(error) => {
                let message = object::text(&error, "message").unwrap_or_default();
                self.refusal.replace(Some(error));
                Input::ApplyFailed {
                    connection,
                    version,
                    message,
                }
            }
        };
        self.input(input);
    }

    // ---- what the app calls --------------------------------------------------------------------------------------

    pub fn servers(&self) -> Vec<IceServer> {
        self.core.borrow_mut().servers(now())
    }

    pub fn state(&self) -> State {
        self.core.borrow_mut().state(now())
    }

    pub fn with_view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let connection = |id| self.peer(id).map_or(JsValue::NULL, JsValue::from);
        let cause = self.cause.borrow().clone();
        look(&View {
            hooks: &self.hooks,
            state: self.state(),
            cause,
            connection: &connection,
        })
    }

    pub fn is_closed(&self) -> bool {
        self.core.borrow().is_closed()
    }

    pub fn create(self: &Rc<Self>, configuration: &JsValue) -> Result<PeerConnection, JsValue> {
        let extra = object::get(configuration, "iceServers")
            .dyn_into::<Array>()
            .unwrap_or_default();
        let servers = peers::to_js(&self.servers(), &extra);
        let peer = PeerConnection::new(
            &Members::copied_from(configuration)
                .with("iceServers", servers)
                .done(),
        )?;
        let connection = self.peers.borrow_mut().add(&peer, extra, self.listener());
        self.input(Input::Created {
            connection,
            policy: None,
        });
        Ok(peer)
    }

    pub fn attach(
        self: &Rc<Self>,
        peer: &PeerConnection,
        policy: Option<Policy>,
    ) -> Result<(), Caused> {
        let known = self.peers.borrow().find(peer);
        let connection = self
            .peers
            .borrow_mut()
            .add(peer, Array::new(), self.listener());
        let (facts, usernames) = (peer.facts(), peer.usernames());
        self.refusal.take();
        self.input(Input::Attached {
            connection,
            policy,
            facts,
            usernames,
        });
        match self.refusal.take().filter(|_| known.is_none()) {
            None => Ok(()),
            Some(error) => {
                self.detach(connection);
                let message = object::text(&error, "message").unwrap_or_default();
                let message = format!("setConfiguration refused the session's servers: {message}");
                Err(Caused {
                    failure: Failure::fatal(Code::ApplyFailed, message),
                    cause: error,
                })
            }
        }
    }

    pub fn leave_alone(self: &Rc<Self>, peer: &JsValue) {
        let known = self.peers.borrow().find(peer);
        if let Some(connection) = known {
            self.detach(connection);
        }
    }

    pub fn refresh(self: &Rc<Self>) -> Promise {
        let done = Settle::promise(|settle| self.refreshing.borrow_mut().push(settle));
        self.input(Input::Refresh);
        done
    }

    /// Resolves once everything is revoked that is to be.
    pub fn close(self: &Rc<Self>, revoke: bool) -> Promise {
        self.input(Input::Close { revoke });
        self.revoking
            .take()
            .unwrap_or_else(|| Promise::resolve(&JsValue::UNDEFINED))
    }
}
