// The page: buttons in, words out. The two calls are in sdk-side.js and plain-side.js.

import { liveAllocations, revokeAtProvider, watchAnswers } from "./backend.js";
import { Camera } from "./camera.js";
import * as figures from "./figures.js";
import { Log } from "./log.js";
import { Panel, show } from "./panel.js";
import { TestPicture } from "./picture.js";
import { PlainSide } from "./plain-side.js";
import { ProbeTable } from "./probe.js";
import { SdkSide, open } from "./sdk-side.js";
import { summary, verdict } from "./verdict.js";
import { explain, missing, short } from "./words.js";

const element = (id) => document.getElementById(id);
const buttons = { start: element("start"), hangUp: element("hang-up"), refresh: element("refresh"), revoke: element("revoke") };
const log = new Log(element("log"), element("log-summary"));
const probeTable = new ProbeTable(element("probe-results"), element("probe-summary"));
const panels = { sdk: new Panel(), plain: new Panel("plain-") };

/** The running calls and what belongs to them; `null` between calls. */
let running = null;
let answers = 0;

/** Both calls, with the one picture that they send. */
class Running {
  timers = [];
  source = null;

  constructor() {
    this.sdk = new SdkSide(panels.sdk, log);
    this.plain = new PlainSide(panels.plain, log);
    for (const side of this.sides) side.addEventListener("change", () => this.judge());
  }

  get sides() {
    return [this.sdk, this.plain];
  }

  judge() {
    const { text, tone } = verdict(this.sdk, this.plain);
    say(text, tone);
  }

  follow() {
    this.timers.push(
      setInterval(() => {
        for (const side of this.sides) side.tick();
        this.judge();
      }, 250),
      setInterval(() => this.look(), 1_000),
    );
  }

  async look() {
    await Promise.all(this.sides.map((side) => side.look()));
    await showAllocations();
  }

  stop() {
    for (const timer of this.timers) clearInterval(timer);
    this.source?.stop();
  }
}

/** The package, `null` until it is here. Loaded by the page's own hand, so that a failure can be said in words. */
let sdk = null;

async function load() {
  sdk = await import("/pkg/index.js");
  // The first session would do this; now its call need not wait for it.
  await sdk.init();
}

function settings() {
  return { ttl: null, reconfigure: element("plain-reconfigure").checked };
}

async function start() {
  notice(null);
  enable({ start: false });
  const starting = (running = new Running());
  starting.judge();
  try {
    starting.source = element("camera").checked ? await Camera.open(element("preview")) : new TestPicture(element("picture"));
    starting.follow();
    const { stream } = starting.source;
    starting.plain.start(stream, settings());
    await starting.sdk.start(sdk.openTurnSession, stream, settings());
  } catch (error) {
    starting.stop();
    starting.plain.abandon();
    await starting.sdk.abandon();
    running = null;
    say("The calls did not start.", "bad");
    notice(explain(error));
    log.write("error", explain(error), "bad");
    enable({ start: true });
    return;
  }
  log.write("connected", "The call is up, through the relay at both ends.", "good");
  enable({ hangUp: true, refresh: true, revoke: true });
}

async function hangUp() {
  const ending = running;
  enable({});
  await Promise.all(ending.sides.map((side) => side.end()));
  ending.stop();
  if (running === ending) running = null;
  say(summary(ending.sdk, ending.plain), "plain");
  log.write("ended", "Hung up. The backend was asked to revoke the credentials, so that nobody can use what is left of their life.");
  enable({ start: true });
  await showAllocations();
}

async function showAllocations() {
  if (!buttons.revoke.hidden) figures.showAllocations((await liveAllocations().catch(() => null)) ?? []);
}

async function refresh() {
  enable({ hangUp: true, revoke: true });
  await attempt(() => running.sdk.session.refresh());
}

async function revoke() {
  const { username, ledger } = running.sdk;
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
    const session = running?.sdk.session ?? (own = await open(sdk.openTurnSession, settings()));
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
  for (const id of ["camera", "plain-reconfigure"]) element(id).disabled = !which.start;
  if (focused instanceof HTMLButtonElement && focused.disabled) {
    Object.values(buttons).find((button) => !button.disabled && !button.hidden)?.focus();
  }
}

function say(text, tone) {
  element("verdict").dataset.tone = tone;
  show(element("verdict"), text);
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
