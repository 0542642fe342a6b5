// How an app may use the package, and how it may not. Compiled by types.test.mjs, never run.
import { iceServersFromLink, init, openTurnSession, TurnError, TurnSession } from "turn-wasm";
import type {
  CredentialProvider, CredentialRequest, HttpSource, IceRestartPolicy, ProbeResult, RefreshReason, TurnErrorCode, TurnSessionEventMap,
  TurnSessionOptions, TurnSessionState, TurnSessionStatus, UrlOptions, WasmInput,
} from "turn-wasm";
import * as inline from "turn-wasm/inline";
import { useTurnSession, type TurnSessionView } from "turn-wasm/react";
import type wasm from "turn-wasm/wasm";

const provider: CredentialProvider = async ({ reason, signal }) => {
  const why: RefreshReason = reason;
  if (signal.aborted) throw new TurnError("aborted", why, { retryable: false });
  return { iceServers: [] };
};

const source: HttpSource = {
  url: new URL("https://app.example/turn"),
  method: "POST",
  headers: async () => ({ authorization: "Bearer token" }),
  body: { ttl: 600 },
  credentials: "include",
  timeout: 5000,
};

const links: CredentialProvider = async ({ signal }) => iceServersFromLink((await fetch("/whip", { signal })).headers.get("link"));

export async function uses(): Promise<void> {
  const named: RTCIceServer[] = iceServersFromLink("<stun:stun.example>; rel=ice-server");
  void [links, named];
  await init();
  await init(new URL("https://app.example/turn_wasm_bg.wasm"));
  await init(fetch("/turn_wasm_bg.wasm"));

  const options: TurnSessionOptions = {
    source,
    ttl: 86_400,
    trickle: false,
    urls: { port53: "auto", transports: ["udp", "tls"], max: 4 },
    iceRestart: "relayed",
    revoke: async (username: string) => void username,
    signal: new AbortController().signal,
  };
  const session: TurnSession = await openTurnSession(options);
  await openTurnSession({ source: "/turn" });
  await openTurnSession({ source: provider, revoke: "/turn/revoke" });

  const pc: RTCPeerConnection = session.createPeerConnection({ bundlePolicy: "max-bundle" });
  session.attach(pc, { iceRestart: "never" });
  session.detach(pc);
  const servers: RTCIceServer[] = session.iceServers;
  new RTCPeerConnection({ iceServers: servers });

  const state: TurnSessionState = session.state;
  const until: number | null = state.expiresAt;
  const reasons: ("port-53" | "transport" | "max" | "invalid")[] = state.dropped.map(({ reason }) => reason);
  void [until, reasons];

  session.addEventListener("refreshed", (event) => {
    const changed: boolean = event.detail.changed;
    const at: number = event.detail.refreshAt;
    void [changed, at];
  });
  session.addEventListener("restarted", ({ detail: { connection, duration, initiator } }) => {
    const which: RTCPeerConnection = connection;
    const took: number = duration;
    const who: "local" | "remote" = initiator;
    void [which, took, who];
  });
  session.addEventListener("closed", { handleEvent: ({ detail }) => void (detail satisfies null) }, { once: true });
  session.addEventListener("an event of a later version", (event: Event) => void event);

  try {
    await session.refresh();
  } catch (error) {
    if (error instanceof TurnError) {
      const code: TurnErrorCode = error.code;
      const status: number | undefined = error.status;
      void [code, status, error.retryable, error.cause];
    }
  }
  const description: RTCSessionDescription = await session.localDescription(pc, { timeout: 1000 });
  const results: ProbeResult[] = await session.probe();
  void [description, results];
  await session.close({ revoke: true });
}

// Every event, with every detail it has.
export function events(session: TurnSession): void {
  const on = <K extends keyof TurnSessionEventMap>(type: K, read: (detail: TurnSessionEventMap[K]["detail"]) => void): void =>
    session.addEventListener(type, ({ detail }) => read(detail));
  type Moved = { reason: RefreshReason; at: number | null };
  on("refreshed", ({ reason, expiresAt, refreshAt, username, changed }) =>
    void ([reason, expiresAt, refreshAt, username, changed] satisfies [RefreshReason, number, number, string | null, boolean]));
  on("refresherror", ({ reason, error, attempts, retryAt }) =>
    void [{ reason, at: retryAt } satisfies Moved, error satisfies TurnError, attempts satisfies number]);
  on("expired", ({ error }) => void (error satisfies TurnError));
  on("applied", ({ connection }) => connection.restartIce());
  on("applyerror", ({ connection, error }) => void [connection.close(), error.code]);
  on("restarting", ({ connection, initiator, reason }) =>
    void [connection.iceGatheringState, initiator satisfies "local" | "remote", reason satisfies "refresh" | "repair" | "other"]);
  on("restarted", ({ connection, initiator, duration }) => void [connection.iceGatheringState, initiator satisfies "local" | "remote", duration.toFixed()]);
  on("restartstalled", ({ connection, message }) => void [connection.iceGatheringState, message.length]);
  on("connectionlost", ({ connection }) => connection.close());
  on("warning", ({ message }) => void message.length);
  on("ttlassumed", ({ ttl }) => void ttl.toFixed());
  on("statechange", ({ status, previous }) => void ([status, previous] satisfies [TurnSessionStatus, TurnSessionStatus]));
  on("closed", (detail) => void (detail satisfies null));
  // No event was forgotten above.
  const all: Record<keyof TurnSessionEventMap, true> = {
    refreshed: true, refresherror: true, expired: true, applied: true, applyerror: true, restarting: true, restarted: true,
    restartstalled: true, connectionlost: true, warning: true, ttlassumed: true, statechange: true, closed: true,
  };
  void all;
  const listener = (event: TurnSessionEventMap["refreshed"]): void => void event.detail.username;
  session.addEventListener("refreshed", listener, { once: true });
  session.removeEventListener("refreshed", listener);
}

// The other entry is the same package.
export async function inlined(): Promise<inline.TurnSession> {
  await inline.init();
  const session: TurnSession = await inline.openTurnSession({ source: async ({ signal }: CredentialRequest) => fetch("/turn", { signal }) });
  const error: TurnError = new inline.TurnError("network", "no network");
  void error;
  return session;
}

export async function fromFile(file: typeof wasm): Promise<void> {
  const input: WasmInput = typeof file === "string" ? new URL(file, location.href) : file;
  await init(input);
  await init(Promise.resolve(input));
}

// In a component.
export function hook(user: { id: string } | null): string {
  const view: TurnSessionView = useTurnSession(user && { source, ttl: 600 }, [user?.id]);
  useTurnSession({ source: "/turn" });
  useTurnSession(undefined);
  switch (view.status) {
    case "idle":
    case "opening":
      return String(view.session satisfies undefined);
    case "open":
    case "closed":
      return (view.session satisfies TurnSession).state.status + (view.state satisfies TurnSessionState).status;
    case "failed":
      return (view.error satisfies TurnError).code;
  }
}

export async function disposes(): Promise<void> {
  const policy: IceRestartPolicy = "always";
  const urls: UrlOptions = { port53: "keep" };
  await using session = await openTurnSession({ source: "/turn", iceRestart: policy, urls });
  void session.iceServers;
}

export async function misuses(session: TurnSession): Promise<void> {
  // @ts-expect-error: a source is required
  await openTurnSession({});
  // @ts-expect-error: not a source
  await openTurnSession({ source: 5 });
  // @ts-expect-error: a number of seconds
  await openTurnSession({ source: "/turn", ttl: "600" });
  // @ts-expect-error: no such policy
  await openTurnSession({ source: "/turn", iceRestart: "sometimes" });
  // @ts-expect-error: no such transport
  await openTurnSession({ source: "/turn", urls: { transports: ["sctp"] } });
  // @ts-expect-error: no such method
  await openTurnSession({ source: { url: "/turn", method: "PUT" } });
  // @ts-expect-error: made by openTurnSession alone
  new TurnSession();
  // @ts-expect-error: read-only
  session.state.ttl = 5;
  // @ts-expect-error: read-only
  session.iceServers = [];
  // @ts-expect-error: no such member
  session.free();
  // @ts-expect-error: `refreshed` has no duration
  session.addEventListener("refreshed", (event) => event.detail.duration);
  // @ts-expect-error: no such option
  await openTurnSession({ source: "/turn", ttls: 600 });
  // @ts-expect-error: a whole HttpSource needs its url
  await openTurnSession({ source: { method: "POST" } });
  // @ts-expect-error: a provider is asynchronous
  await openTurnSession({ source: () => ({ iceServers: [] }) });
  // @ts-expect-error: an option of attach
  session.attach(new RTCPeerConnection(), "never");
  // @ts-expect-error: what is known of a response is for the package to say
  const provider: CredentialProvider = async ({ reason }) => reason.status;
  // @ts-expect-error: no such event to be typed
  type Unknown = TurnSessionEventMap["refresh"];
  // @ts-expect-error: nothing without a name
  session.addEventListener();
  // @ts-expect-error: `closed` has no details
  session.addEventListener("closed", ({ detail }) => detail.reason);
  // @ts-expect-error: read-only
  session.state.urls.push("turn:turn.example");
  // @ts-expect-error: may be null once closed
  const until: number = session.state.expiresAt;
  // @ts-expect-error: not exported
  await import("turn-wasm/dist/turn_wasm.js");
  // @ts-expect-error: a header's value
  iceServersFromLink(new Headers());
  // @ts-expect-error: the options of openTurnSession
  useTurnSession({ url: "/turn" });
  // @ts-expect-error: a list of values
  useTurnSession({ source: "/turn" }, "deps");
  // @ts-expect-error: there may be no session
  useTurnSession({ source: "/turn" }).session.refresh();
  // @ts-expect-error: read-only
  useTurnSession({ source: "/turn" }).error = undefined;
  // @ts-expect-error: no such code
  new TurnError("oops", "message");
}
