// The recipes of docs/libraries.md, as they are printed there, with the libraries' packages: relayed calls that outlive their
// credentials, each on a page of its own, all at the same time. The TURN server deletes the allocations of an expired username
// within a second, as Cloudflare documents.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { Emulator } from "../harness/emulator.mjs";
import { bundlePage } from "../harness/library-page.mjs";
import { Site } from "../harness/site.mjs";
import { assertNeverStale } from "../harness/verdict.mjs";
import { WhipEndpoint } from "../harness/whip-endpoint.mjs";
import { SignallingServer } from "./peer-server.mjs";
import { SipProxy } from "./sip-proxy.mjs";

/** An end waits for the other one's offer for an eighth of it, and six calls at once on two cores take their time. */
const TTL_SECONDS = 30;
const TOKEN = "the-publisher's-token";

/** A call that has lost its path hears nothing for longer, and then nothing ever. */
const STILL_MS = 5000;

async function sip() {
  const proxy = await SipProxy.start();
  return { proxy, parameters: { proxy: proxy.url }, stop: () => proxy.stop() };
}

/** Who sent each INVITE, in their order. */
function inviters(proxy) {
  const invited = proxy.requests.filter(({ method }) => method === "INVITE");
  return invited.map(({ from }) => from).join(", ");
}

/**
 * By page in this folder, unless `page` names it: the sentence that it stands for, and `serve`, which starts what it needs beside the site
 * and resolves with the page's `parameters`, with `check`, given what `outlive` resolves with, which fails if that was not used as it should be,
 * and with `stop`.
 */
const LIBRARIES = {
  "simple-peer": { sentence: "simple-peer: a call moves over, by offers of its initiator" },
  peerjs: {
    sentence: "PeerJS: a data connection and a call move over, by way of the data connection",
    async serve() {
      const server = await SignallingServer.start();
      return { parameters: { server: server.options }, stop: () => server.stop() };
    },
  },
  jssip: {
    sentence: "JsSIP: a call moves over with re-INVITEs of the end that called, for which the other one asks",
    async serve() {
      const { proxy, ...served } = await sip();
      const check = ([, called]) => {
        // The call itself and the restarts.
        assert.match(inviters(proxy), /^end-0(, end-0){2,}$/);
        const asked = proxy.requests.filter(({ method, from }) => method === "INFO" && from === "end-1").length;
        const told = called.heard.filter(({ type, detail }) => type === "restarting" && detail.initiator === "local").length;
        assert.ok(asked >= told, `end 1 began ${told} restarts, and asked for ${asked}`);
      };
      return { ...served, check };
    },
  },
  "jssip-gateway": {
    page: "jssip",
    sentence: "JsSIP: a call that a gateway made moves over with re-INVITEs of the end that was called",
    async serve({ publicAddress: gateway }) {
      const { proxy, parameters, stop } = await sip();
      const check = () => {
        assert.match(inviters(proxy), /^end-0(, end-1){2,}$/);
        assert.deepEqual(proxy.requests.filter(({ method }) => method === "INFO"), []);
      };
      return { parameters: { ...parameters, gateway }, check, stop };
    },
  },
  "mediasoup-client": {
    sentence: "mediasoup-client: a transport moves over with its own methods",
    serve: ({ publicAddress }) => ({ parameters: { publicAddress } }),
  },
  "whip-whep": {
    sentence: "whip-whep: a publication moves over with PATCH requests",
    async serve({ site, browser, publicAddress }) {
      const endpoint = await WhipEndpoint.open({ site, browser }, TOKEN, () => publicAddress);
      site.json("/frames", ({ body }) => endpoint.framesDecoded(body));
      const check = () => {
        const restarts = endpoint.requests.filter(({ method, headers }) => method === "PATCH" && headers["if-match"] === "*");
        assert.ok(restarts.length >= 2, `${restarts.length} restarts`);
        assert.deepEqual([endpoint.requests.at(-1).method, endpoint.troubles], ["DELETE", []]);
      };
      return { parameters: { endpoint: site.url("/whip"), token: TOKEN }, check };
    },
  },
  "webrtc-adapter": { sentence: "webrtc-adapter: a call moves over as it does without it" },
};

/** All of them, or the one that LIBRARY asks for. */
const CHOSEN = Object.entries(LIBRARIES).filter(([library]) => [undefined, library].includes(process.env.LIBRARY));

// Runs in the page.
async function outlive({ bundle, parameters, within }) {
  const { outlive } = await import("/harness/kept-call.mjs");
  const { begin } = await import(bundle);
  return await outlive({ begin, parameters, within });
}

/** What one end's session did, in s since its first refresh. */
function restarts({ heard }) {
  const begun = heard.find(({ type }) => type === "refreshed")?.at;
  return heard
    .filter(({ type }) => ["refreshed", "restarting", "restarted", "restartstalled", "connectionlost", "expired"].includes(type))
    .map(({ at, type, detail }) => `${((at - begun) / 1000).toFixed(1)} ${type} ${detail?.initiator ?? ""} ${detail?.connection ?? ""}`)
    .join(", ");
}

/** One end of a call: fails unless something always came to it, all that was sent, and nothing twice. */
function assertHeard(t, whose, { flow, still }) {
  t.diagnostic(`${whose} received ${JSON.stringify(flow)}, nothing for at most ${still} ms`);
  assert.ok(still < STILL_MS, `${whose}: nothing came for ${still} ms`);
  const { sent, received, lost, repeated } = flow;
  assert.deepEqual({ received, lost, repeated }, { received: sent, lost: sent && 0, repeated: sent && 0 }, whose);
}

/** One end of a call: fails unless it was carried under each username that its session was given, one after the other, while they lived. */
function assertKept(t, whose, { pairs, served, heard }, emulator) {
  const carried = [...new Set(pairs.map(({ username }) => username))];
  const closest = assertNeverStale(pairs.map((pair) => ({ ...pair, end: whose })), emulator);
  t.diagnostic(`${whose} was carried under ${carried.join(", ")}, until ${Math.round(closest)} ms before the end of one`);
  // The other end may have taken longer.
  assert.deepEqual(carried, served.slice(0, carried.length), whose);
  assert.ok(carried.length >= 3, whose);
  const wrong = ["refresherror", "expired", "applyerror", "restartstalled", "connectionlost", "warning"];
  assert.deepEqual(heard.filter(({ type }) => wrong.includes(type)), [], whose);
}

describe("calls of other libraries", { concurrency: 1 }, () => {
  for (const name of BROWSERS) {
    describe(name, () => {
      let emulator;
      let site;
      let browser;
      // That of an end which others reach without its doing anything, as they do a server.
      let publicAddress;
      const calls = {};

      const call = async (library, { page: name = library, serve }) => {
        const bundle = `/libraries/${name}.mjs`;
        const code = await bundlePage(name);
        site.on(bundle, (request, response) => response.writeHead(200, { "content-type": "text/javascript" }).end(code));
        const { parameters, check, stop } = (await serve?.({ site, browser, publicAddress })) ?? {};
        const page = await browser.page(site.page);
        const ends = page.evaluate(outlive, { bundle, parameters, within: 90_000 });
        ends.catch(() => {});
        calls[library] = { ends, page, check, stop };
        await ends.catch(() => {});
      };

      before(async () => {
        emulator = await Emulator.start();
        site = await Site.start();
        site.json("/turn", () => emulator.mint(TTL_SECONDS), 201);
        site.json("/allocations", () => emulator.allocations);
        const { iceServers } = await emulator.mint(600);
        const relay = iceServers.find(({ username }) => username);
        const urls = relay.urls.filter((url) => url.endsWith("?transport=udp"));
        publicAddress = { iceServers: [{ ...relay, urls }], iceTransportPolicy: "relay" };
        browser = await openBrowser(name);
        await Promise.all(CHOSEN.map(([library, how]) => call(library, how)));
      });
      after(async () => {
        await browser?.close();
        for (const { stop } of Object.values(calls)) await stop?.();
        await site?.stop();
        await emulator?.stop();
      });

      for (const [library, { sentence }] of CHOSEN) {
        it(sentence, async (t) => {
          const { ends, page, check } = calls[library];
          for (const [index, end] of (await ends).entries()) {
            const whose = `${library} in ${name}, end ${index}`;
            if (end.served) t.diagnostic(`${whose}: ${restarts(end)}`);
            if (end.flow) assertHeard(t, whose, end);
            if (end.served) assertKept(t, whose, end, emulator);
          }
          check?.(await ends);
          assert.deepEqual(page.troubles, []);
        });
      }
    });
  }
});
