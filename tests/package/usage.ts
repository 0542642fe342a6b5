// How an app may use the package, and how it may not. Compiled by types.test.mjs, never run.
import { iceServersFromLink, init, openTurnSession, TurnError, TurnSession } from "turn-wasm";
import type {
  CredentialProvider, HttpSource, ProbeResult, RefreshReason, TurnErrorCode, TurnSessionOptions, TurnSessionState,
} from "turn-wasm";

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
  // @ts-expect-error: a header's value
  iceServersFromLink(new Headers());
  // @ts-expect-error: no such code
  new TurnError("oops", "message");
}
