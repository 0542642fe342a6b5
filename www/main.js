// The page: buttons in, words out. The two calls are in sdk-side.js and plain-side.js.

import { about, liveAllocations, watchAnswers } from "./backend.js";
import { Camera } from "./camera.js";
import { Faults, nextTry } from "./faults.js";
import * as figures from "./figures.js";
import { History } from "./history.js";
import { Lanes } from "./lanes.js";
import { Log } from "./log.js";
import { Network } from "./network.js";
import { Panel, show } from "./panel.js";
import { TestPicture } from "./picture.js";
import { PlainSide } from "./plain-side.js";
import { Plots } from "./plots.js";
import { ProbeTable } from "./probe.js";
import { SdkSide, open } from "./sdk-side.js";
import { Settings } from "./settings.js";
import { summary, verdict } from "./verdict.js";
import { explain, missing } from "./words.js";

const element = (id) => document.getElementById(id);
const buttons = { start: element("start"), hangUp: element("hang-up"), refresh: element("refresh") };
const faultButtons = [element("revoke"), ...document.querySelectorAll("[data-fault]")];
const log = new Log({ list: element("log"), summary: element("log-summary"), filter: element("log-filter"), copy: element("log-copy") });
const probeTable = new ProbeTable(element("probe-results"), element("probe-summary"));
const settings = new Settings(element("settings-form"));
const network = new Network();
const faults = new Faults(network);
const lanes = new Lanes(element("lanes"));
const plots = new Plots([...document.querySelectorAll("[data-plot]")]);
const panels = { sdk: new Panel(), plain: new Panel("plain-") };

/** What the server offers. */
let offer = { ttl: 30, maxTtl: 172_800, embedded: false, faults: false };

/** The running calls and what belongs to them; `null` between calls. */
let running = null;
let answers = 0;

/** Both calls, with the one picture that they send. */
class Running {
  timers = [];
  source = null;
  history = new History();

  constructor() {
    this.sdk = new SdkSide(panels.sdk, log);
    this.plain = new PlainSide(panels.plain, log);
    for (const side of this.sides) side.addEventListener("change", () => this.judge());
    this.sdk.addEventListener("mark", ({ detail }) => this.history.mark(detail, "sdk"));
    this.plain.addEventListener("mark", ({ detail }) => this.history.mark(detail, "plain"));
    this.sdk.addEventListener("refusal", ({ detail: status }) => figures.showAnswer({ status, duration: null }, ++answers));
    plots.follow(this.history);
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
        this.showNextTry();
        lanes.show(this.sdk, this.plain);
      }, 250),
      setInterval(() => this.look(), 1_000),
    );
  }

  showNextTry() {
    const { session, call } = this.sdk;
    if (!call || session.state.expiresAt === null) return;
    const { state, text } = nextTry({ state: session.state, silence: this.sdk.silence, call: call.state, network });
    element("next-try").dataset.state = state;
    show(element("next-try"), text);
  }

  async look() {
    await Promise.all(this.sides.map((side) => side.look()));
    this.history.add(this.sdk.sample(), this.plain.sample());
    plots.show();
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

async function start() {
  if (!settings.check()) return;
  notice(null);
  enable({ start: false });
  const starting = (running = new Running());
  starting.judge();
  try {
    starting.source = element("camera").checked ? await Camera.open(element("preview")) : new TestPicture(element("picture"));
    starting.follow();
    const { stream } = starting.source;
    starting.plain.start(stream, settings.all);
    await starting.sdk.start(sdk.openTurnSession, stream, settings.all);
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
  log.write("connected", "The call is up at both ends.", "good");
  enable({ hangUp: true, refresh: true, faults: true });
}

async function hangUp() {
  const ending = running;
  enable({});
  // Hanging up needs the network and the backend.
  await Promise.allSettled([network.back(), faults.clear()]);
  await Promise.all(ending.sides.map((side) => side.end()));
  ending.stop();
  if (running === ending) running = null;
  say(summary(ending.sdk, ending.plain), "plain");
  log.write("ended", "Hung up. The backend was asked to revoke the credentials, so that nobody can use what is left of their life.");
  element("next-try").dataset.state = "idle";
  show(element("next-try"), "Start both calls, then break something.");
  enable({ start: true });
  await showAllocations();
}

async function showAllocations() {
  if (!offer.embedded) return;
  // Offline, what was seen last stays.
  const allocations = await liveAllocations().catch(() => null);
  if (allocations) figures.showAllocations(allocations);
}

async function refresh() {
  enable({ hangUp: true, faults: true });
  await attempt(() => running.sdk.session.refresh());
}

async function press({ currentTarget: button }) {
  const name = button.id === "revoke" ? "revoke" : button.dataset.fault;
  for (const each of faultButtons) each.disabled = true;
  await attempt(() => faults.press(name, running));
  showFaults();
  // It was disabled meanwhile, which drops the focus.
  if (document.activeElement === document.body) button.focus();
}

function showFaults() {
  for (const button of faultButtons) {
    if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", String(faults.lasts(button.dataset.fault)));
  }
}

/** Tries the call's servers, or without a call those of a session for that alone. */
async function probe() {
  element("probe").disabled = true;
  element("probe-progress").hidden = false;
  notice(null);
  probeTable.clear("The servers are being tried…");
  let own = null;
  try {
    const session = running?.sdk.session ?? (own = await open(sdk.openTurnSession, settings.all));
    probeTable.show(await session.probe());
  } catch (error) {
    probeTable.clear("The servers could not be tried.");
    notice(explain(error));
  }
  await own?.close({ revoke: true });
  element("probe-progress").hidden = true;
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
  if (running === during) enable({ hangUp: true, refresh: true, faults: true });
}

/** The focus was on a button that cannot be pressed any more, and nowhere to go. */
let focusWaits = false;

/** Enables exactly these buttons. A button that had the focus hands it on, as soon as there is another, instead of dropping it. */
function enable(which) {
  const focused = document.activeElement;
  for (const [name, button] of Object.entries(buttons)) button.disabled = !which[name];
  for (const button of faultButtons) button.disabled = !which.faults;
  element("camera").disabled = !which.start;
  settings.enabled = which.start === true;
  focusWaits ||= focused instanceof HTMLButtonElement && focused.disabled;
  const moved = focused !== document.body && !focused.disabled;
  const next = Object.values(buttons).find((button) => !button.disabled);
  if (focusWaits && next && !moved) next.focus();
  if (next) focusWaits = false;
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
  plots.follow(new History());
  // Read by support.js.
  document.documentElement.dataset.loaded = "true";
  const lack = missing();
  if (lack) {
    enable({});
    notice(lack);
    return;
  }
  buttons.start.addEventListener("click", start);
  buttons.hangUp.addEventListener("click", hangUp);
  buttons.refresh.addEventListener("click", refresh);
  for (const button of faultButtons) button.addEventListener("click", press);
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
  faults.addEventListener("fault", ({ detail: { says, kind } }) => {
    log.write(kind, says);
    running?.history.mark("fault");
    show(element("fault-status"), says);
    showFaults();
  });
  about().then(
    (offered) => {
      offer = offered;
      settings.limit(offer);
      lanes.foresee();
      offerFaults();
      return showAllocations();
    },
    (error) => notice(explain(error)),
  );
}

/** Shows the buttons for what this server lets be broken. */
function offerFaults() {
  element("faults").hidden = !offer.embedded && !offer.faults;
  for (const button of faultButtons) {
    const ofTurn = ["revoke", "fault-turn", "fault-offline"].includes(button.id);
    const possible = (offer.embedded || !ofTurn) && (offer.faults || button.id === "revoke");
    button.hidden = !possible;
    button.closest("li").hidden = !possible;
  }
}

prepare();
