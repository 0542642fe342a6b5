// Runs a session: tells the core what happens, and carries out its commands.
//
// Commands run in the order in which they come. Events wait until no command is left and are dispatched then, so that a
// listener may call any method and finds its effect at once.
import { written } from "./body.js";
import { begin, end, exchange, start } from "./core.js";
import { errorFrom, fail, TurnError } from "./error.js";
import { localDescription } from "./gathering.js";
import { invalid, readOptions, readPolicy, readTimeout } from "./options.js";
import { facts, Peers, selectedPairs, usernames } from "./peers.js";
import { probeAll, prove } from "./probe.js";
import * as report from "./report.js";
import { fetchCredential, Refused, revokeUsername } from "./source.js";
import { listenForWakeups } from "./wakeups.js";

const TIMEOUT = 5000;

const STALLED = "no offer followed restartIce(), or no answer: the connection's negotiationneeded handler must send an offer, " +
  "and the other end answer it";

const closed = () => new TurnError("closed", "the session is closed; open another one with openTurnSession()");

const checked = (pc) => typeof pc?.setConfiguration === "function" ? pc : invalid("pc", "an RTCPeerConnection", pc);

// Only openTurnSession makes sessions.
const key = Symbol();

/** Opens a session, once the core is started. */
export async function open(place, options) {
  await start(place);
  const session = new TurnSession(key, options);
  await session[key]();
  return session;
}

export class TurnSession extends EventTarget {
  #engine;
  #source;
  #revoke;
  #signal;
  #opening = deferred();
  #peers = new Peers((event) => this.#heard(event));
  #commands = [];
  #running = false;
  #events = [];
  // From the start, so that events from before the app could listen wait until it can.
  #dispatching = true;
  #refreshing = [];
  // What is being applied, until that was done: each connection gets the same.
  #applying;
  #controller;
  // What JavaScript threw during the last fetch, and at each connection's last setConfiguration that failed.
  #cause;
  #refusals = {};
  #timer;
  #deafen;
  #revoking;
  #closing;
  // The state after the end.
  #last;

  constructor(proof, options) {
    if (proof !== key) throw new TypeError("sessions are made by openTurnSession()");
    super();
    const { source, revoke, signal, core } = readOptions(options);
    this.#engine = begin(...core, Math.random() * Number.MAX_SAFE_INTEGER);
    this.#check({ source, revoke });
    this.#source = source;
    this.#revoke = revoke;
    this.#signal = signal;
  }

  #check(sources) {
    for (const [option, { url }] of Object.entries(sources).filter(([, source]) => source?.url)) {
      const trusted = url.origin === location.origin && globalThis.isSecureContext === true;
      const [refusal] = this.#ask(report.CHECK_SOURCE, 0, Number(trusted), [option, url.protocol, url.hostname].join("\0"));
      if (!refusal) continue;
      end(this.#engine);
      throw errorFrom(refusal);
    }
  }

  // Fetches the first credential.
  async [key]() {
    if (navigator.onLine === false) this.#report(report.OFFLINE);
    this.#signal?.addEventListener("abort", this.#abort);
    this.#report(this.#signal?.aborted ? report.ABORT : report.OPEN);
    // With the request on its way: in Chromium it takes a fifth of a millisecond.
    if (!this.#last) this.#deafen = listenForWakeups((what) => this.#tell(what));
    await this.#opening.promise;
    // A task later the app has the session and has had its chance to listen.
    setTimeout(() => {
      this.#dispatching = false;
      this.#deliver();
    });
  }

  #abort = () => this.#report(report.ABORT);

  // ---- what happens -----------------------------------------------------------------------------------------------

  // With a look at the connections first: a closed one tells nobody.
  #tell(...what) {
    for (const id of this.#peers.gone()) this.#detach(id);
    this.#report(...what);
  }

  #ask(...what) {
    return exchange(this.#engine, ...what);
  }

  #report(what, ...values) {
    if (this.#last) return;
    this.#commands.push(...this.#ask(what, ...values));
    if (this.#running) return;
    this.#running = true;
    for (let row; !this.#last && (row = this.#commands.shift() ?? (this.#applying && ["applied"])); ) {
      const [command, ...values] = row;
      try {
        this.#perform[command](...values);
      } catch (error) {
        // A connection of another make may throw anywhere: the others are served all the same.
        reportError(error);
      }
    }
    this.#running = false;
    this.#deliver();
  }

  #deliver() {
    if (this.#dispatching) return;
    this.#dispatching = true;
    for (let event; (event = this.#events.shift()); ) this.dispatchEvent(event);
    this.#dispatching = false;
  }

  #emit(type, detail) {
    this.#events.push(new CustomEvent(type, { detail }));
  }

  #heard({ type, currentTarget: pc, url, errorCode }) {
    const id = this.#peers.id(pc);
    if (id === undefined) return;
    if (type === "icecandidateerror") this.#report(report.CANDIDATE_ERROR, id, errorCode, url ?? "");
    else this.#observe(id, pc);
  }

  #observe(id, pc) {
    this.#report(report.OBSERVED, id, ...facts(pc));
  }

  #detach(id) {
    this.#peers.remove(id);
    delete this.#refusals[id];
    this.#report(report.DETACHED, id);
  }

  // ---- the core's commands, by their names in row.rs ----------------------------------------------------------------

  #perform = {
    fetch: async (fetch, reason) => {
      const controller = (this.#controller = new AbortController());
      try {
        const body = await fetchCredential(this.#source, reason, controller);
        this.#cause = undefined;
        this.#tell(report.FETCHED, fetch, 0, written(body));
      } catch (error) {
        this.#cause = error.cause;
        if (error instanceof Refused) this.#report(report.FETCH_REFUSED, fetch, error.status, error.retryAfter);
        else this.#report(report.FETCH_FAILED, fetch, 2 * (error.status ?? 0) + error.retryable, error.message, error.code);
      }
    },
    cancel: () => this.#controller.abort(),
    wakeIn: (ms) => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#tell(report.TIMER), ms);
    },
    apply: (id) => {
      const pc = this.#peers.get(id);
      try {
        const state = pc?.signalingState ?? "closed";
        if (state === "closed") return this.#detach(id);
        // What it shows now was gathered from the servers before. A stable one shows what its last event told.
        if (state !== "stable") this.#observe(id, pc);
        // Read back and only iceServers replaced: what a configuration leaves out falls back to its default.
        this.#applying ??= this.#servers();
        pc.setConfiguration({ ...pc.getConfiguration(), iceServers: this.#peers.servers(id, this.#applying) });
      } catch (error) {
        const refusal = (this.#refusals[id] = error?.message ? error : Error(String(error)));
        this.#report(report.APPLY_FAILED, id, 0, refusal.message);
      }
    },
    // When no command is left, so once for all connections.
    applied: () => {
      this.#applying = undefined;
      this.#report(report.APPLIED);
    },
    inspect: async (id) => this.#report(report.INSPECTED, id, ...(await selectedPairs(this.#peers.get(id)))),
    prove: async (version) => this.#tell(report.PROVEN, version, await prove(this.#servers(), TIMEOUT)),
    restart: (id) => this.#peers.get(id)?.restartIce(),
    raise: (id) => this.#peers.raise(id),
    revoke: (names) => {
      if (!this.#revoke) return;
      const warn = (shown, error) => this.#emit("warning", {
        message: `revoking ${shown} failed: ${error instanceof Refused ? `the endpoint answered with status ${error.status}` : error.message}`,
      });
      this.#revoking = Promise.all(names.map(([name, shown]) =>
        revokeUsername(this.#revoke, name).catch((error) => warn(shown, error))));
    },
    opened: () => this.#opening.resolve(),
    openFailed: (row) => {
      this.#opening.reject(errorFrom(row, this.#cause));
      this.#leave();
    },
    refreshDone: (row) => {
      for (const { resolve, reject } of this.#refreshing.splice(0)) row ? reject(errorFrom(row, this.#cause)) : resolve();
    },
    emit: (type, ...values) => {
      const detail = this.#details[type]?.(...values) ?? null;
      if (type === "closed") this.#leave();
      else this.#emit(type, detail);
    },
  };

  // An event's details from its row.
  #details = {
    refreshed: (reason, changed) => {
      const { expiresAt, refreshAt, username } = this.state;
      return { reason, expiresAt, refreshAt, username, changed };
    },
    refresherror: (reason, row) => {
      const { attempts, refreshAt } = this.state;
      return { reason, error: errorFrom(row, this.#cause), attempts, retryAt: refreshAt };
    },
    expired: (row) => ({ error: errorFrom(row) }),
    applied: (id) => ({ connection: this.#peers.get(id) }),
    applyerror: (id, row) => ({ connection: this.#peers.get(id), error: errorFrom(row, this.#refusals[id]) }),
    restarting: (id, initiator, reason) => ({ connection: this.#peers.get(id), initiator, reason }),
    restarted: (id, initiator, duration) => ({ connection: this.#peers.get(id), initiator, duration }),
    restartstalled: (id) => ({ connection: this.#peers.get(id), message: STALLED }),
    connectionlost: (id) => ({ connection: this.#peers.get(id) }),
    warning: (fault) => ({ message: `left out of the response: ${fault}` }),
    ttlassumed: () => ({ ttl: this.state.ttl }),
    statechange: (status, previous) => ({ status, previous }),
  };

  // Ends everything that could still call back, and lets the core go.
  #leave() {
    clearTimeout(this.#timer);
    this.#deafen?.();
    this.#signal?.removeEventListener("abort", this.#abort);
    for (const id of this.#peers.ids()) this.#peers.remove(id);
    this.#last = this.state;
    end(this.#engine);
    this.#engine = undefined;
    // The last event, after what could not be revoked was told.
    Promise.resolve(this.#revoking).then(() => {
      this.#emit("closed", null);
      this.#deliver();
    });
  }

  // ---- what the app asks for -----------------------------------------------------------------------------------------

  #checkLive() {
    if (this.#last) throw closed();
  }

  #servers(extra = []) {
    this.#checkLive();
    return [...this.#ask(report.SERVERS).map(([urls, username, credential]) =>
      credential === null ? { urls } : { urls, username, credential }), ...extra];
  }

  get iceServers() {
    return this.#servers();
  }

  get state() {
    if (this.#last) return this.#last;
    const [status, expiresAt, refreshAt, ttl, ttlSource, username, attempts, connections, error, urls, dropped] = this.#ask(report.STATE);
    return {
      status, expiresAt, refreshAt, ttl: ttl / 1000, ttlSource, username, attempts, connections,
      lastError: errorFrom(error, this.#cause),
      urls,
      dropped: dropped.map(([url, reason]) => ({ url, reason })),
    };
  }

  createPeerConnection(configuration) {
    const extra = configuration?.iceServers ?? [];
    const iceServers = this.#servers(extra);
    needsPeerConnections();
    const pc = new RTCPeerConnection({ ...configuration, iceServers });
    this.#report(report.CREATED, this.#peers.add(pc, extra));
    return pc;
  }

  attach(pc, options) {
    this.#checkLive();
    const policy = readPolicy(options?.iceRestart);
    if (checked(pc).signalingState === "closed") fail("apply-failed", "pc: the connection is closed; attach a live one");
    // Before it is taken in: a connection of another make may throw here.
    const [states, local, remote] = facts(pc);
    const names = usernames(pc);
    const known = this.#peers.id(pc);
    const id = known ?? this.#peers.add(pc, []);
    delete this.#refusals[id];
    this.#report(report.ATTACHED, id, states + 256 * (policy & 255), `${names}\0${local}`, remote);
    const cause = this.#refusals[id];
    if (known !== undefined || !cause) return;
    this.#detach(id);
    fail("apply-failed", `setConfiguration refused the session's servers: ${cause.message}`, { cause });
  }

  detach(pc) {
    const id = this.#peers.id(pc);
    if (id !== undefined) this.#detach(id);
  }

  async refresh() {
    this.#checkLive();
    const done = deferred();
    this.#refreshing.push(done);
    this.#report(report.REFRESH);
    return done.promise;
  }

  async localDescription(pc, options) {
    this.#checkLive();
    return localDescription(checked(pc), readTimeout("timeout", options?.timeout, TIMEOUT));
  }

  async probe(options) {
    const timeout = readTimeout("timeout", options?.timeout, TIMEOUT);
    const servers = this.#servers();
    needsPeerConnections();
    return probeAll(servers, timeout);
  }

  close(options) {
    return (this.#closing ??= this.#close(options?.revoke));
  }

  [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    return this.close();
  }

  async #close(revoke) {
    this.#report(revoke ? report.CLOSE_AND_REVOKE : report.CLOSE);
    await this.#revoking;
  }
}

function needsPeerConnections() {
  if (!globalThis.RTCPeerConnection) {
    fail("unsupported-environment", "this environment has no RTCPeerConnection; iceServers and refresh() work without it");
  }
}

// Promise.withResolvers, for browsers before 2024.
function deferred() {
  const settle = {};
  settle.promise = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
  return settle;
}
