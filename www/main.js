// The page: buttons in, numbers and words out. What an app would copy is in `open` below, in end.js and in negotiation.js.

import { CREDENTIALS, REVOCATION, liveAllocations, revokeAtProvider, watchAnswers } from "./backend.js";
import { Call } from "./call.js";
import { Camera } from "./camera.js";
import * as figures from "./figures.js";
import { Ledger } from "./ledger.js";
import { Log } from "./log.js";
import { receivedVideo } from "./pair.js";
import { TestPicture } from "./picture.js";
import { ProbeTable } from "./probe.js";
import { Ring } from "./ring.js";
import { tell } from "./story.js";
import { explain, missing, short, span } from "./words.js";

const element = (id) => document.getElementById(id);
const buttons = { start: element("start"), hangUp: element("hang-up"), refresh: element("refresh"), revoke: element("revoke") };
const log = new Log(element("log"), element("log-summary"));
const probeTable = new ProbeTable(element("probe-results"), element("probe-summary"));
const ring = new Ring(element("ring-left"), element("ring-refresh"));

/** The running call and what belongs to it; `null` between calls. */
let running = null;
let answers = 0;

class Running {
  ledger = new Ledger();
  startedAt = performance.now();
  timers = [];
  session = null;
  call = null;
  source = null;
  /** The TURN username in force. */
  username = null;
  /** Messages of calls that could not be repaired. */
  before = { sent: 0, received: 0, lost: 0, largestGap: 0 };

  /** Notes what the session holds now. */
  learn() {
    this.username = this.session.iceServers.find((server) => server.username)?.username ?? null;
    this.ledger.add(this.username, this.session.state.expiresAt);
  }

  get messages() {
    const { sent, received, lost, largestGap } = this.call.messages;
    const { before } = this;
    return {
      sent: before.sent + sent,
      received: before.received + received,
      lost: before.lost + lost,
      largestGap: Math.max(before.largestGap, largestGap),
    };
  }
}

/** The package, `null` until it is here. Loaded by the page's own hand, so that a failure can be said in words. */
let sdk = null;

async function load() {
  sdk = await import("/pkg/index.js");
  // The first session would do this; now its call need not wait for it.
  await sdk.init();
}

function open() {
  return sdk.openTurnSession({ source: CREDENTIALS, revoke: REVOCATION });
}

async function start() {
  notice(null);
  enable({ start: false });
  figures.showCall("connecting");
  figures.showOutlived(0);
  const starting = (running = new Running());
  try {
    starting.source = element("camera").checked ? await Camera.open(element("preview")) : new TestPicture(element("picture"));
    starting.session = await open();
    follow(starting);
    build(starting);
    await starting.call.connected();
  } catch (error) {
    stop(starting);
    await starting.session?.close({ revoke: true });
    running = null;
    figures.showCall("idle");
    notice(explain(error));
    log.write("error", explain(error), "bad");
    enable({ start: true });
    return;
  }
  log.write("connected", "The call is up, through the relay at both ends.", "good");
  enable({ hangUp: true, refresh: true, revoke: true });
}

/** Shows what the session does from now on. */
function follow(current) {
  const { session } = current;
  current.learn();
  log.write("opened", `First credential: ${short(current.username)} lives for ${span(session.state.expiresAt - Date.now())}.`, "good");
  session.addEventListener("refreshed", () => {
    current.learn();
    figures.showServers(session.state);
  });
  tell(session, log, { nameOf: (pc) => current.call?.endOf(pc)?.name ?? null, usernameOf: () => current.username });
  session.addEventListener("restarted", ({ detail }) => {
    const end = current.call?.endOf(detail.connection);
    if (end) end.restarts += 1;
  });
  session.addEventListener("connectionlost", ({ detail }) => {
    // Both ends may be lost; the first news of it rebuilds both.
    if (current.call.endOf(detail.connection)) rebuild(current);
  });
  figures.showServers(session.state);
  current.timers.push(setInterval(() => tick(current), 250), setInterval(() => look(current), 1_000));
}

function build(current) {
  const received = element("received");
  const call = new Call(current.session, current.source.stream, {
    onstream: (stream) => {
      received.srcObject = stream;
      // Refused only while the page is hidden; the element plays by itself afterwards.
      received.play().catch(() => {});
    },
  });
  call.addEventListener("statechange", () => {
    if (call === current.call) changed(current);
  });
  call.addEventListener("error", ({ detail }) => log.write("error", `Negotiation failed: ${detail.message}`, "bad"));
  current.call = call;
}

function changed(current) {
  const { state } = current.call;
  if (state === element("status").dataset.state) return;
  figures.showCall(state);
  if (state === "interrupted") log.write("interrupted", "The path between the two ends is interrupted.", "bad");
  if (state === "lost") log.write("lost", "The path between the two ends is lost.", "bad");
}

/** The session holds a live credential, so a new call can take the place of one that is beyond repair at once. */
function rebuild(current) {
  const lost = current.call;
  lost.close();
  current.before = current.messages;
  build(current);
}

/** What changes by the second. */
function tick(current) {
  const { session, call, ledger } = current;
  figures.showSession(session.state, current.username, ring);
  if (!call) return;
  figures.showText("duration", span(performance.now() - current.startedAt));
  figures.showMessages(current.messages);
  const heardUntil = Date.now() - (performance.now() - call.heardUntil);
  for (const { username, revoked } of ledger.hear(heardUntil)) {
    const how = revoked ? "was revoked" : "has expired";
    log.write("outlived", `Credential ${short(username)} ${how}, and the call goes on.`, "good");
  }
  figures.showOutlived(ledger.outlived);
}

/** What has to be asked for. */
async function look(current) {
  const { call } = current;
  if (!call || call.state === "ended") return;
  const paths = await Promise.all(call.ends.map((end) => end.path()));
  call.ends.forEach((end, index) => figures.showEnd(end, paths[index]));
  figures.showVideo(await receivedVideo(call.b.pc));
  if (!buttons.revoke.hidden) figures.showAllocations((await liveAllocations().catch(() => null)) ?? []);
}

async function hangUp() {
  const ending = running;
  enable({});
  figures.showCall("ending");
  await ending.call.end();
  await ending.session.close({ revoke: true });
  tick(ending);
  stop(ending);
  if (running === ending) running = null;
  figures.showCall("ended");
  figures.showText("next-refresh", "–");
  figures.showText("time-left", "–");
  element("time-left").dataset.seconds = "0";
  ring.clear();
  log.write("ended", "Hung up. The backend was asked to revoke the credentials, so that nobody can use what is left of their life.");
  enable({ start: true });
  if (!buttons.revoke.hidden) figures.showAllocations((await liveAllocations().catch(() => null)) ?? []);
}

function stop(current) {
  for (const timer of current.timers) clearInterval(timer);
  current.call?.close();
  current.source?.stop();
}

async function refresh() {
  enable({ hangUp: true, revoke: true });
  await attempt(() => running.session.refresh());
}

async function revoke() {
  const { username, ledger } = running;
  enable({ hangUp: true, refresh: true });
  await attempt(async () => {
    await revokeAtProvider(username);
    ledger.revoke(username);
    log.write("revoked", `Credential ${short(username)} was revoked at the provider, which ends its relays. The session was not told: it repairs the path once the browser notices the silence.`);
  });
}

/** Tries the call's servers, or without a call those of a session for that alone. */
async function probe() {
  element("probe").disabled = true;
  notice(null);
  probeTable.clear("The servers are being tried…");
  let own = null;
  try {
    const session = running?.session ?? (own = await open());
    probeTable.show(await session.probe());
  } catch (error) {
    probeTable.clear("The servers could not be tried.");
    notice(explain(error));
  }
  await own?.close({ revoke: true });
  element("probe").disabled = false;
}

/** Does what a button asks for during a call, and says so if it fails. */
async function attempt(action) {
  const during = running;
  notice(null);
  try {
    await action();
  } catch (error) {
    if (running === during) notice(explain(error));
  }
  if (running === during) enable({ hangUp: true, refresh: true, revoke: true });
}

/** Enables exactly these buttons. A button that had the focus hands it on instead of dropping it. */
function enable(which) {
  const focused = document.activeElement;
  for (const [name, button] of Object.entries(buttons)) button.disabled = !which[name];
  element("camera").disabled = !which.start;
  if (focused instanceof HTMLButtonElement && focused.disabled) {
    Object.values(buttons).find((button) => !button.disabled && !button.hidden)?.focus();
  }
}

function notice(text) {
  element("notice").hidden = text === null;
  element("notice").textContent = text ?? "";
}

function prepare() {
  const lack = missing();
  if (lack) {
    enable({});
    notice(lack);
    return;
  }
  buttons.start.addEventListener("click", start);
  buttons.hangUp.addEventListener("click", hangUp);
  buttons.refresh.addEventListener("click", refresh);
  buttons.revoke.addEventListener("click", revoke);
  element("probe").addEventListener("click", probe);
  enable({});
  load().then(
    () => {
      enable({ start: true });
      element("probe").disabled = false;
    },
    (error) => notice(sdk ? explain(error) : "turn-wasm did not load. Build it with “cargo xtask build”, then load the page again."),
  );
  watchAnswers((answer) => figures.showAnswer(answer, ++answers));
  liveAllocations().then(
    (allocations) => {
      buttons.revoke.hidden = allocations === null;
      if (allocations) figures.showAllocations(allocations);
    },
    () => {},
  );
}

prepare();
