/// <reference lib="esnext.disposable" />
/**
 * turn-wasm keeps WebRTC calls supplied with short-lived TURN credentials.
 *
 * Importing this module has no side effects and works under Node (SSR). The WebAssembly module loads once, on the
 * first call of {@link openTurnSession} or {@link init}.
 *
 * @module turn-wasm
 */

/**
 * Fetches the first credential and opens a session that keeps it, and every connection made or attached, fresh.
 *
 * A retryable failure of the first fetch is tried twice more within 5 s; a refusal (4xx other than 408, 425 and 429)
 * rejects at once.
 *
 * @throws {TurnError} `unsupported-environment`, `invalid-option`, `insecure-source`, `secret-in-browser`, `network`,
 *   `timeout`, `http-status`, `response-too-large`, `response-not-json`, `response-invalid`, `aborted`.
 */
export function openTurnSession(options: TurnSessionOptions): Promise<TurnSession>;

/** What {@link init} accepts: where the WebAssembly module is, its bytes, or the compiled module. */
export type WasmInput = URL | Request | Response | BufferSource | WebAssembly.Module;

/**
 * Loads the WebAssembly module ahead of time, or from a place of your choice. Optional: {@link openTurnSession} calls
 * it. A second call returns the first one's promise; after a failure the next call tries again.
 *
 * @param module Default: `dist/turn_wasm_bg.wasm` beside this module.
 * @throws {TurnError} `unsupported-environment` where WebAssembly is missing, forbidden by a content security policy,
 *   or the module cannot be fetched.
 */
export function init(module?: WasmInput | Promise<WasmInput>): Promise<void>;

/**
 * The ICE servers in a `Link` header, as WHIP and WHEP endpoints send them (RFC 9725): `<turn:…>; rel="ice-server"; username="…";
 * credential="…"`. Other links are passed over. What it returns may be what a {@link CredentialProvider} resolves with. It needs
 * neither a session nor a browser.
 *
 * @param header The header's value, for example `response.headers.get("link")`, in which several headers are joined with commas.
 *   Across origins the endpoint has to expose it: `Access-Control-Expose-Headers: Link`.
 */
export function iceServersFromLink(header: string | null): LinkedIceServer[];

/** An ICE server as a `Link` header names it. Fits `RTCIceServer`. */
export interface LinkedIceServer {
  /** One `stun:`, `turn:` or `turns:` URL. */
  urls: string;
  /** The TURN username, where the link has one. */
  username?: string;
  /** The TURN password, where the link has one. */
  credential?: string;
}

/** Options of {@link openTurnSession}. */
export interface TurnSessionOptions {
  /**
   * Where credentials come from: the address of your backend's endpoint, a request, or a function. What they answer is read by its
   * structure: Cloudflare's, Twilio's, Metered's, Xirsys', Kinesis', Azure's, Nextcloud's and Matrix' responses, those of TURN REST
   * backends, or a whole `RTCConfiguration`.
   */
  source: string | URL | HttpSource | CredentialProvider;
  /**
   * Lifetime of a credential in seconds, used when the response does not say. Range: over 0, up to 31622400 (366 days).
   * Without it and without a lifetime in the response, one hour is assumed and a `ttlassumed` event says so.
   */
  ttl?: number;
  /**
   * Whether the app uses trickle ICE. Default `true`. `false` drops every URL whose port is 53: browsers wait 11 s
   * (Firefox) to 40 s (Chromium) for an unanswered one before gathering completes.
   */
  trickle?: boolean;
  /** Which of the provider's URLs connections get. */
  urls?: UrlOptions;
  /** When a connection's ICE is restarted after a refresh. Default `"relayed"`. */
  iceRestart?: IceRestartPolicy;
  /** How a username is revoked through your backend: an address (`POST {username}`), a request, or a function. */
  revoke?: string | URL | HttpSource | ((username: string) => Promise<void>);
  /** Aborting closes the session (without revocation); before it is open, `openTurnSession` rejects with `aborted`. */
  signal?: AbortSignal;
}

/** Which URLs of the response connections get. Order is kept unless `transports` asks for another. */
export interface UrlOptions {
  /** `"auto"` (default) drops port 53 when `trickle` is false; `"drop"` always does; `"keep"` never does. */
  port53?: "auto" | "keep" | "drop";
  /** TURN transports to use, in order of preference. Default: all, in the response's order. STUN URLs stay. */
  transports?: ("udp" | "tcp" | "tls")[];
  /**
   * Most URLs a connection gets, 1 or more. Keeps one TURN URL of each transport, in the order of `transports` (without it udp, tcp,
   * tls), and one STUN URL before it fills up. Default: no cap. Firefox warns on its console from the fifth URL on.
   */
  max?: number;
}

/**
 * `"relayed"`: restart a connection after a refresh only if its selected pair's local candidate is `relay`.
 * `"always"`: restart every connection after a refresh. `"never"`: the app restarts by itself.
 */
export type IceRestartPolicy = "relayed" | "always" | "never";

/** A request for credentials. */
export interface HttpSource {
  /** https, or a loopback or same-origin address in a secure context. Never the TURN provider's own API. */
  url: string | URL;
  /** Default `"POST"`. */
  method?: "GET" | "POST";
  /** Sent with each request; a function is asked anew each time, so that a bearer token can be fresh. */
  headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
  /** Sent as JSON. Not with `GET`. */
  body?: unknown;
  /** Default `"same-origin"`. */
  credentials?: RequestCredentials;
  /** Milliseconds until the whole response must be there, 1 to 600000. Default 10000. */
  timeout?: number;
}

/**
 * Why a credential is asked for. `initial`: the session opens. `scheduled`: it is time. `manual`: `refresh()`. `rejected`: the TURN
 * server refused the one held. `wake`: the page woke up or came online, and a fetch was due or the last one had failed. A retry
 * keeps the reason, but for that of `manual`, which is `scheduled`.
 */
export type RefreshReason = "initial" | "scheduled" | "manual" | "rejected" | "wake";

/**
 * Fetches a credential in your own way and resolves with the provider's response (the parsed JSON).
 * What it throws counts as a retryable failure, unless it is a {@link TurnError} with `retryable: false`.
 */
export type CredentialProvider = (request: CredentialRequest) => Promise<unknown>;

/** What a {@link CredentialProvider} is called with. */
export interface CredentialRequest {
  /** Why a credential is asked for; for your backend's statistics. */
  reason: RefreshReason;
  /** Aborted when the response is no longer wanted, as when the session is closed. Pass it on to `fetch`. */
  signal: AbortSignal;
}

/**
 * Where a session stands. `active`: the credential is live. `refreshing`: a fetch is under way. `retrying`: the last
 * fetch failed, another is planned. `refused`: the backend refused (4xx); nothing is tried until the next wake-up or
 * `refresh()`. `expired`: the credential's life is over; fetches go on, unless the backend refused. `closed`: for good.
 */
export type TurnSessionStatus = "active" | "refreshing" | "retrying" | "refused" | "expired" | "closed";

/** A snapshot of a session, without secrets. */
export interface TurnSessionState {
  /** Where the session stands. */
  readonly status: TurnSessionStatus;
  /** When the credential's life ends, ms since the epoch by the local clock. `null` once closed. */
  readonly expiresAt: number | null;
  /** When the next fetch is planned, ms since the epoch by the local clock; `null` if none is. */
  readonly refreshAt: number | null;
  /** The credential's whole life in seconds. */
  readonly ttl: number;
  /** What the ttl was read from. */
  readonly ttlSource: "response" | "username" | "option" | "assumed";
  /** The TURN username, redacted to its first characters. `null` if the servers need none. */
  readonly username: string | null;
  /** Failed fetches since the last good one. */
  readonly attempts: number;
  /** Connections that are kept fresh now. */
  readonly connections: number;
  /** The last fetch's error; `null` after a good one. */
  readonly lastError: TurnError | null;
  /** The URLs that connections get, in order. */
  readonly urls: readonly string[];
  /** URLs of the response that connections do not get, and why. */
  readonly dropped: readonly DroppedUrl[];
}

/** A URL of the response that connections do not get. */
export interface DroppedUrl {
  /** The URL as the response has it; an invalid one up to 100 characters, and without what stands before an `@`. */
  readonly url: string;
  /** The option that left it out, or `invalid`: a browser would refuse all servers for it. */
  readonly reason: "port-53" | "transport" | "max" | "invalid";
}

/** One URL's result of {@link TurnSession.probe}. */
export interface ProbeResult {
  /** The URL, as connections get it. */
  url: string;
  /** A candidate came. */
  ok: boolean;
  /** Milliseconds to the candidate, or until the failure was known. */
  ms: number;
  /**
   * `relay` of a TURN server, `srflx` of a STUN server; `host` where a STUN server answered with this device's own address,
   * so that no NAT lies between (Firefox; Chromium says `srflx` there as well). `null` without a candidate.
   */
  candidateType: "relay" | "srflx" | "host" | null;
  /** Why no candidate came; `null` if one did. */
  error: ProbeError | null;
}

/** Why a URL gave {@link TurnSession.probe} no candidate. */
export interface ProbeError {
  /**
   * The ICE error code. 401: the credential was refused; 701: no answer, as the browser found before the timeout; 0: the
   * browser reported none: nothing came within the timeout, or the browser does not use this URL. `message` says which.
   */
  code: number;
  /** What happened, in a sentence. */
  message: string;
}

/** Details of a session's events, by type. */
export interface TurnSessionEventMap {
  /** A fetch brought a credential. */
  refreshed: CustomEvent<{
    /** Why it was fetched. */
    reason: RefreshReason;
    /** When its life ends, ms since the epoch by the local clock. */
    expiresAt: number;
    /** When the next fetch is planned, ms since the epoch by the local clock. */
    refreshAt: number;
    /** The TURN username, redacted to its first characters. `null` if the servers need none. */
    username: string | null;
    /** Connections get other servers than before. */
    changed: boolean;
  }>;
  /** A fetch failed; the credential held before still serves. */
  refresherror: CustomEvent<{
    /** Why it was tried. */
    reason: RefreshReason;
    /** What went wrong. */
    error: TurnError;
    /** Failed fetches since the last good one. */
    attempts: number;
    /** When the next one is planned, ms since the epoch by the local clock; `null` if none is. */
    retryAt: number | null;
  }>;
  /** The credential's life ended without a fresh one. Fetches go on. */
  expired: CustomEvent<{
    /** Its code is `expired`; why no fresh one came was told by `refresherror`. */
    error: TurnError;
  }>;
  /** A connection got other servers than before through `setConfiguration`. */
  applied: CustomEvent<{
    /** Which one. */
    connection: RTCPeerConnection;
  }>;
  /** `setConfiguration` threw on a connection; its old servers are still in force, other connections are served. */
  applyerror: CustomEvent<{
    /** Which one. */
    connection: RTCPeerConnection;
    /** `apply-failed`, with what was thrown as its cause. */
    error: TurnError;
  }>;
  /** An ICE restart begins. */
  restarting: CustomEvent<{
    /** Of which connection. */
    connection: RTCPeerConnection;
    /** Which end began it: this one (`local`) or the other (`remote`). */
    initiator: "local" | "remote";
    /**
     * `refresh`: fresh servers are to be used. `repair`: the path was interrupted, or the last restart left Chromium on the old one. `other`:
     * the app or the other end wanted it.
     */
    reason: "refresh" | "repair" | "other";
  }>;
  /** An ICE restart is done: a pair of the new ICE generation is selected and connected. */
  restarted: CustomEvent<{
    /** Of which connection. */
    connection: RTCPeerConnection;
    /** Which end began it. */
    initiator: "local" | "remote";
    /** Milliseconds since it began. */
    duration: number;
  }>;
  /**
   * An ICE restart does not get on: no offer followed `restartIce()` within 5 s, for which the app's `negotiationneeded` handler must
   * make and send one, or no answer came within 15 s.
   */
  restartstalled: CustomEvent<{
    /** Of which connection. */
    connection: RTCPeerConnection;
    /** What is missing, in a sentence. */
    message: string;
  }>;
  /**
   * A connection cannot be repaired, or not for much longer: build a new one, for which the session holds servers, then close this one. In
   * Firefox each ICE restart takes longer than the one before, and one that takes over 5 s ends the call; the event comes while the path
   * still works once the last restart took over 4 s.
   */
  connectionlost: CustomEvent<{
    /** Which one. */
    connection: RTCPeerConnection;
  }>;
  /** Something to look at that keeps nothing from working: a part of the response was left out, or a username could not be revoked. */
  warning: CustomEvent<{
    /** What it is, in a sentence. */
    message: string;
  }>;
  /** Neither the response nor an option gave a lifetime. */
  ttlassumed: CustomEvent<{
    /** The seconds that are assumed. */
    ttl: number;
  }>;
  /** `state.status` changed. */
  statechange: CustomEvent<{
    /** What it is now. */
    status: TurnSessionStatus;
    /** What it was before. */
    previous: TurnSessionStatus;
  }>;
  /** The session was closed. The last event. */
  closed: CustomEvent<null>;
}

/**
 * Keeps one credential, and all connections that use it, fresh. Made by {@link openTurnSession}.
 *
 * Connections are held weakly: one that is closed or collected drops out.
 */
export class TurnSession extends EventTarget {
  private constructor();
  /**
   * `new RTCPeerConnection(configuration)` with the session's servers, kept fresh from then on.
   * `configuration.iceServers` are kept and come after the session's; everything else is passed on as it is.
   *
   * @throws {TurnError} `unsupported-environment` without RTCPeerConnection, `closed` after `close()`.
   * @throws What the constructor throws for the rest of `configuration`.
   */
  createPeerConnection(configuration?: RTCConfiguration): RTCPeerConnection;
  /**
   * Keeps a connection made elsewhere fresh: its servers are replaced by the session's now and at each refresh.
   * Attaching twice changes the policy. `iceRestart`: for this connection, by default the session's.
   *
   * @throws {TurnError} `closed`, `invalid-option`, or `apply-failed` if `setConfiguration` refuses.
   */
  attach(pc: RTCPeerConnection, options?: { iceRestart?: IceRestartPolicy }): void;
  /** Leaves a connection alone from now on. Its servers stay as they are. */
  detach(pc: RTCPeerConnection): void;
  /**
   * The servers in force, for other libraries. A new array each time; read it anew for each connection.
   *
   * @throws {TurnError} `closed` after `close()`.
   */
  readonly iceServers: RTCIceServer[];
  /** A snapshot of where the session stands, a new object each time; after `close()` the last one. No secrets. */
  readonly state: TurnSessionState;
  /**
   * Asks for a fresh credential now. A fetch already under way is shared.
   *
   * @throws {TurnError} the fetch's error; the credential held before still serves. `closed` after `close()`.
   */
  refresh(): Promise<void>;
  /**
   * For apps without trickle ICE, after `setLocalDescription`, also after that of an ICE restart: the local description with
   * the candidates in it. Sets nothing itself. Resolves as soon as
   * - gathering is complete, or
   * - each TURN transport (udp, tcp, tls) among the connection's servers has given a relay and for 100 ms nothing more came, or
   * - for 1000 ms nothing came after a relay: a transport without any answer is given up, or
   * - `timeout` ms are over (default 5000), with what is there.
   *
   * Without TURN servers, a server reflexive candidate counts as the relay does.
   *
   * @throws {TurnError} `closed` if the connection is closed meanwhile, `invalid-option` without a local description.
   */
  localDescription(pc: RTCPeerConnection, options?: { timeout?: number }): Promise<RTCSessionDescription>;
  /**
   * Tries each URL on a connection of its own, eight at a time, within `timeout` ms (default 5000) for all of them: from the
   * ninth URL on, silent ones get a share of it. The results come in the order of the URLs. Leaves no connection open.
   *
   * @throws {TurnError} `unsupported-environment`, `invalid-option`, `closed`.
   */
  probe(options?: { timeout?: number }): Promise<ProbeResult[]>;
  /**
   * Ends the session: no more fetches, connections are left as they are. With `revoke: true` every username that was
   * handed out and still lives is revoked through the `revoke` option; without that option nothing is. Never rejects; a
   * second call returns the first one's promise.
   */
  close(options?: { revoke?: boolean }): Promise<void>;
  /** {@link close} without revocation, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;

  /** As on every `EventTarget`; the events and their details are those of {@link TurnSessionEventMap}. */
  addEventListener<K extends keyof TurnSessionEventMap>(
    type: K,
    listener: ((this: TurnSession, event: TurnSessionEventMap[K]) => void) | { handleEvent(event: TurnSessionEventMap[K]): void } | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** For events that these types do not know. */
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  /** As on every `EventTarget`. */
  removeEventListener<K extends keyof TurnSessionEventMap>(
    type: K,
    listener: ((this: TurnSession, event: TurnSessionEventMap[K]) => void) | { handleEvent(event: TurnSessionEventMap[K]): void } | null,
    options?: boolean | EventListenerOptions,
  ): void;
  /** For events that these types do not know. */
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

/** Stable codes of {@link TurnError}. */
export type TurnErrorCode =
  | "unsupported-environment" | "invalid-option" | "insecure-source" | "secret-in-browser"
  | "network" | "timeout" | "http-status" | "response-too-large" | "response-not-json" | "response-invalid"
  | "expired" | "closed" | "apply-failed" | "aborted";

/** Every error of this package. The message says what came, what was expected and what to do; it holds no secret. */
export class TurnError extends Error {
  /** For your own {@link CredentialProvider}. `retryable` is `false` by default. */
  constructor(code: TurnErrorCode, message: string, options?: { status?: number; retryable?: boolean; cause?: unknown });
  /** For logs, and for telling it from other errors where `instanceof` cannot (another window's error). */
  readonly name: "TurnError";
  /** What kind of error it is. */
  readonly code: TurnErrorCode;
  /** The HTTP status, with `http-status`. */
  readonly status?: number;
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;
  /** What lies behind it: the browser's error, or what your own function threw. */
  readonly cause?: unknown;
}
