// The browsers the tests run in: fresh profile, headless, set up so that ICE works over loopback alone.
// CHROMIUM and FIREFOX name the programs; Debian's are the default.
import puppeteer from "puppeteer-core";
import { stopTree, tieToThisProcess } from "./children.mjs";

const PROGRAMS = {
  chromium: process.env.CHROMIUM || "/usr/bin/chromium",
  firefox: process.env.FIREFOX || "/usr/bin/firefox-esr",
};

/** The names {@link openBrowser} takes, or the one that BROWSER asks for. */
export const BROWSERS = process.env.BROWSER ? [process.env.BROWSER] : ["chromium", "firefox"];

// Without it gathering hangs silently where only loopback exists.
const LOOPBACK_FLAG = "--allow-loopback-in-peer-connection";

const LOOPBACK_PREFS = { "media.peerconnection.ice.loopback": true };

const CHROMIUM_FLAGS = [
  // Candidates show addresses instead of mDNS names, which nothing answers here.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--no-first-run",
  // Debian's Chromium cannot use its sandbox as root or in most containers.
  "--no-sandbox",
];

// What automation drivers add, and users do not have.
const UNTHROTTLED_FLAGS = ["--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding"];

// A page's timers keep their pace when another one is in front of it.
const UNTHROTTLED_PREFS = {
  "dom.min_background_timeout_value": 4,
  "dom.min_background_timeout_value_without_budget_throttling": 4,
  "dom.timeout.enable_budget_timer_throttling": false,
};

const FIREFOX_PREFS = {
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "permissions.default.camera": 1,
  "permissions.default.microphone": 1,
  // No traffic of the browser's own.
  "app.update.enabled": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.getAddons.cache.enabled": false,
  "media.gmp-manager.updateEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,",
};

/** A running browser. `page(url)` opens a page whose errors are collected in `page.troubles`. */
export class Browser {
  #browser;
  #untie;
  #resume = null;

  constructor(name, browser, untie) {
    this.name = name;
    this.#browser = browser;
    this.#untie = untie;
  }

  version() {
    return this.#browser.version();
  }

  async page(url) {
    const page = await this.#browser.newPage();
    page.troubles = [];
    page.on("pageerror", (error) => page.troubles.push(`uncaught: ${error?.message ?? error}`));
    page.on("console", (message) => {
      if (message.type() === "error") page.troubles.push(`console: ${message.text()}`);
    });
    page.setDefaultTimeout(30_000);
    if (url) await page.goto(String(url), { waitUntil: "load" });
    return page;
  }

  /** Stops all its processes in their tracks, as the sleep of a laptop does, until {@link resume}. */
  pause() {
    this.#resume ??= stopTree(this.#browser.process().pid);
  }

  resume() {
    this.#resume?.();
    this.#resume = null;
  }

  async close() {
    this.resume();
    try {
      await this.#browser.close();
    } finally {
      this.#browser.process()?.kill("SIGKILL");
      this.#untie();
    }
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }
}

/**
 * Starts `name` ("chromium" or "firefox"). `throttled`: the timers of hidden pages are slowed down, as they are for users.
 * `loopback`: ICE uses loopback addresses, as it does for nobody else.
 */
export async function openBrowser(name, { flags = [], prefs = {}, throttled = false, loopback = true } = {}) {
  const firefox = name === "firefox";
  const browser = await puppeteer.launch({
    browser: firefox ? "firefox" : "chrome",
    executablePath: PROGRAMS[name],
    headless: true,
    // Chromium ends by itself when its pipe breaks.
    pipe: !firefox,
    // The longest call of a test, and some more.
    protocolTimeout: 240_000,
    timeout: 60_000,
    ignoreDefaultArgs: throttled ? UNTHROTTLED_FLAGS : [],
    args: firefox ? flags : [...CHROMIUM_FLAGS, ...(loopback ? [LOOPBACK_FLAG] : []), ...flags],
    extraPrefsFirefox: firefox
      ? { ...FIREFOX_PREFS, ...(loopback ? LOOPBACK_PREFS : {}), ...(throttled ? {} : UNTHROTTLED_PREFS), ...prefs }
      : undefined,
    acceptInsecureCerts: true,
  });
  const untie = tieToThisProcess(browser.process().pid);
  return new Browser(name, browser, untie);
}
