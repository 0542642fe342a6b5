// The description without trickle ICE, and the probe, in real browsers and with a real TURN server.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { SilentPort } from "../harness/silent-port.mjs";
import { Stage } from "../harness/stage.mjs";

for (const name of BROWSERS) {
  let stage;
  let silent;

  // What the endpoint hands out: coturn's servers over these transports, and URLs where nobody answers.
  const lists = {
    good: [["udp", "tcp"], []],
    "udp-alternate-silent": [["udp", "tcp"], ["udp"]],
    "tcp-silent": [["udp"], ["tcp"]],
    silent: [[], ["udp", "tcp"]],
  };

  before(async () => {
    stage = await Stage.open(name);
    silent = await SilentPort.open();
    for (const [list, [answered, unanswered]] of Object.entries(lists)) {
      stage.site.json(`/turn/${list}`, () => {
        const [server] = stage.coturn.iceServers({ ttl: 600, transports: answered });
        return { iceServers: [{ ...server, urls: [...server.urls, ...unanswered.map((transport) => silent.url(transport))] }], ttl: 600 };
      });
    }
  });
  after(async () => {
    silent?.close();
    await stage?.close();
  });

  // Runs in the page: one connection without trickle ICE, and its description.
  const describeOnce = async ({ list, timeout, configuration }) => {
    const { openTurnSession } = await import("/pkg/index.js");
    const session = await openTurnSession({ source: `/turn/${list}`, trickle: false });
    const pc = session.createPeerConnection(configuration ?? { iceTransportPolicy: "relay" });
    pc.createDataChannel("numbers");
    await pc.setLocalDescription();
    const began = performance.now();
    const { type, sdp } = await session.localDescription(pc, { timeout });
    const ms = performance.now() - began;
    // How its relays are reached. Each may be there twice: Firefox gathers on every interface.
    const relays = new Set();
    for (const { port, relayProtocol } of (await pc.getStats()).values()) {
      if (sdp.includes(` ${port} typ relay`)) relays.add(relayProtocol);
    }
    const result = {
      type,
      ms,
      relays: [...relays].sort().join(" "),
      candidates: sdp.match(/a=candidate/g)?.length ?? 0,
      gathering: pc.iceGatheringState,
    };
    pc.close();
    await session.close();
    return result;
  };

  describe(`localDescription in ${name}`, () => {
    it("has the candidates in it", async () => {
      const { type, relays } = await stage.run(describeOnce, { list: "good" });
      assert.deepEqual({ type, relays }, { type: "offer", relays: "tcp udp" });
    });

    it("does not wait for a URL whose transport another one has answered", async () => {
      const { ms, relays, gathering } = await stage.run(describeOnce, { list: "udp-alternate-silent", timeout: 20_000 });
      assert.deepEqual({ relays, gathering }, { relays: "tcp udp", gathering: "gathering" });
      // Less than what a transport without any answer costs.
      assert.ok(ms < 1000, `${ms} ms`);
    });

    it("gives a transport without any answer one second", async () => {
      const { ms, relays, gathering } = await stage.run(describeOnce, { list: "tcp-silent", timeout: 20_000 });
      assert.deepEqual({ relays, gathering }, { relays: "udp", gathering: "gathering" });
      assert.ok(ms >= 990 && ms < 3000, `${ms} ms`);
    });

    it("resolves after its timeout with what is there", async () => {
      const { ms, relays, candidates, gathering } = await stage.run(describeOnce, { list: "silent", timeout: 2000, configuration: {} });
      assert.deepEqual({ relays, gathering }, { relays: "", gathering: "gathering" });
      assert.ok(candidates > 0);
      assert.ok(ms >= 1990 && ms < 4000, `${ms} ms`);
    });

    it("waits for the candidates of the new generation after a restart", async () => {
      const rounds = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const { until } = await import("/harness/call.mjs");
        const session = await openTurnSession({ source: "/turn/good", trickle: false, iceRestart: "never" });
        const [a, b] = [0, 1].map(() => session.createPeerConnection({ iceTransportPolicy: "relay" }));
        const channel = a.createDataChannel("numbers");
        const rounds = [];
        for (let round = 0; round < 3; round++) {
          if (round > 0) a.restartIce();
          await a.setLocalDescription();
          const offer = await session.localDescription(a);
          await b.setRemoteDescription(offer);
          await b.setLocalDescription();
          const answer = await session.localDescription(b);
          await a.setRemoteDescription(answer);
          rounds.push([offer, answer].map(({ sdp }) => ({ ufrag: /a=ice-ufrag:(\S+)/.exec(sdp)[1], relays: sdp.match(/ typ relay/g)?.length ?? 0 })));
          await until(() => channel.readyState === "open" && a.iceGatheringState === "complete", "connected, gathered", 20_000);
          // Firefox does not take a restart while another one is under way.
          await until(() => a.iceConnectionState === "connected" && b.iceConnectionState === "connected", "connected", 20_000);
        }
        a.close();
        b.close();
        await session.close();
        return rounds;
      });
      for (const end of [0, 1]) {
        for (const round of rounds) assert.ok(round[end].relays >= 2, `end ${end}: ${round[end].relays} relays`);
        assert.equal(new Set(rounds.map((round) => round[end].ufrag)).size, 3, "each round is a generation of its own");
      }
    });

    it("resolves at once when gathering is complete, with the same description for two who ask", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn/good", trickle: false });
        const pc = session.createPeerConnection({ iceTransportPolicy: "relay" });
        pc.createDataChannel("numbers");
        await pc.setLocalDescription();
        const [first, second] = await Promise.all([session.localDescription(pc), session.localDescription(pc)]);
        if (pc.iceGatheringState !== "complete") {
          await new Promise((resolve) => pc.addEventListener("icegatheringstatechange", resolve, { once: true }));
        }
        let timers = 0;
        const { setTimeout } = globalThis;
        globalThis.setTimeout = (...values) => {
          timers++;
          return setTimeout(...values);
        };
        const third = await session.localDescription(pc);
        globalThis.setTimeout = setTimeout;
        pc.close();
        await session.close();
        return { same: first.sdp === second.sdp, relay: third.sdp.includes(" typ relay"), timers };
      });
      assert.deepEqual(result, { same: true, relay: true, timers: 0 });
    });

    it("takes the reflexive candidate for the answer where there are only STUN servers", async () => {
      const [{ urls: [url] }] = stage.coturn.iceServers({ ttl: 600 });
      const stun = url.replace(/^turn(.*)\?.*/, "stun$1");
      stage.site.json("/turn/stun", () => ({ iceServers: [{ urls: [stun, `stun:127.0.0.1:${silent.port}`] }], ttl: 600 }));
      const { candidates, ms } = await stage.run(describeOnce, { list: "stun", timeout: 5000, configuration: {} });
      assert.ok(candidates > 0);
      // Firefox has none on loopback, where it would be the host candidate over again.
      if (name === "chromium") assert.ok(ms < 4000, `${ms} ms`);
    });

    it("rejects with `closed` at whatever moment the connection closes", async () => {
      const codes = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn/tcp-silent", trickle: false });
        const codes = await Promise.all(
          Array.from({ length: 20 }, async (_, index) => {
            const pc = session.createPeerConnection({ iceTransportPolicy: "relay" });
            pc.createDataChannel("numbers");
            await pc.setLocalDescription();
            setTimeout(() => pc.close(), 40 * index);
            return session.localDescription(pc).then(() => "resolved", (error) => error.code ?? String(error));
          }),
        );
        await session.close();
        return codes;
      });
      assert.deepEqual([...new Set(codes)], ["closed"]);
    });

    it("rejects without a local description and with a bad timeout", async () => {
      const codes = await stage.run(async () => {
        const { openTurnSession, TurnError } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn/good" });
        const code = (promise) => promise.then(() => null, (error) => (error instanceof TurnError ? error.code : String(error)));
        const pc = session.createPeerConnection();
        const without = await code(session.localDescription(pc));
        pc.createDataChannel("numbers");
        await pc.setLocalDescription();
        const badTimeout = await code(session.localDescription(pc, { timeout: -1 }));
        pc.close();
        const closed = await code(session.localDescription(pc));
        await session.close();
        return { without, badTimeout, closed };
      });
      assert.deepEqual(codes, { without: "invalid-option", badTimeout: "invalid-option", closed: "closed" });
    });
  });

  describe(`probe in ${name}`, () => {
    // Runs in the page: `probe()` of a session with these servers, and how many connections there were. The browser
    // refuses `unwelcome`.
    const probeOnce = async ({ iceServers, timeout, unwelcome }) => {
      const { openTurnSession } = await import("/pkg/index.js");
      const made = [];
      let most = 0;
      const live = () => made.filter((pc) => pc.signalingState !== "closed").length;
      const Native = RTCPeerConnection;
      globalThis.RTCPeerConnection = class extends Native {
        constructor(...values) {
          if (values[0].iceServers.some(({ urls }) => urls.includes(unwelcome))) throw new DOMException("not this one", "SyntaxError");
          super(...values);
          made.push(this);
          most = Math.max(most, live());
        }
      };
      const session = await openTurnSession({ source: async () => ({ iceServers, ttl: 600 }) });
      const began = performance.now();
      const results = await session.probe({ timeout });
      const ms = performance.now() - began;
      await session.close();
      return { results, ms, most, made: made.length, open: live() };
    };

    const verdicts = (results) => results.map(({ ok, candidateType, error }) => [ok, candidateType, error?.code ?? null]);

    it("tells URLs that work from those where nobody answers, in their order, and leaves no connection open", async () => {
      const [server] = stage.coturn.iceServers({ ttl: 600, transports: ["udp", "tcp"] });
      const urls = [silent.url("udp"), ...server.urls, silent.url("tcp")];
      const { results, ms, made, open } = await stage.run(probeOnce, { iceServers: [{ ...server, urls }], timeout: 3000 });
      assert.deepEqual(results.map(({ url }) => url), urls);
      assert.deepEqual(verdicts(results), [[false, null, 0], [true, "relay", null], [true, "relay", null], [false, null, 0]]);
      for (const { ok, ms, error } of results) {
        assert.ok(ok ? ms < 2900 : ms >= 2990, `${ms} ms`);
        if (!ok) assert.match(error.message, /^nothing came within the timeout: /);
      }
      assert.ok(ms < 6000, `${ms} ms`);
      assert.deepEqual({ made, open }, { made: 4, open: 0 });
    });

    it("says what is wrong: a refused credential, nobody at the port, a URL that the browser refuses or does not use", async () => {
      const [server] = stage.coturn.iceServers({ ttl: 600 });
      const closed = await SilentPort.open();
      closed.close();
      const { results, open } = await stage.run(probeOnce, {
        iceServers: [
          { ...server, credential: "not-the-password" },
          { ...server, urls: [closed.url("tcp")] },
          { ...server, urls: ["turn:unwelcome.test", "turn:127.0.0.1:999?transport=tcp"] },
        ],
        timeout: 8000,
        unwelcome: "turn:unwelcome.test",
      });
      // Chromium leaves out TURN over TCP at most ports below 1024, without a word; for Firefox nobody is there.
      const codes = [401, 701, 0, name === "chromium" ? 0 : 701];
      assert.deepEqual(verdicts(results), codes.map((code) => [false, null, code]));
      const messages = results.map(({ error }) => error.message);
      assert.equal(messages[0], "the server refused the credential");
      assert.equal(messages[1], "the server did not answer");
      assert.equal(messages[2], "the browser refused this URL: not this one");
      assert.match(messages[3], name === "chromium" ? /^gathering ended without a candidate: the browser skips this port/ : /^the server did not answer$/);
      assert.equal(open, 0);
      assert.ok(!JSON.stringify(results).includes(server.username), "no secret in the results");
    });

    it("finds a STUN server that answers", async () => {
      const [{ urls: [url] }] = stage.coturn.iceServers({ ttl: 600 });
      const urls = [url.replace(/^turn(.*)\?.*/, "stun$1"), `stun:127.0.0.1:${silent.port}`];
      const { results, open } = await stage.run(probeOnce, { iceServers: [{ urls }], timeout: 3000 });
      // Firefox leaves out the reflexive candidate where it is the host candidate over again, as on loopback.
      assert.deepEqual(verdicts(results), [[true, name === "chromium" ? "srflx" : "host", null], [false, null, 0]]);
      assert.equal(open, 0);
    });

    it("has at most eight connections at once, and gives each of many silent URLs its share of the timeout", async () => {
      const [server] = stage.coturn.iceServers({ ttl: 600 });
      // Loopback is a whole network.
      const dead = Array.from({ length: 19 }, (_, index) => silent.url("udp").replace("127.0.0.1", `127.0.1.${index + 1}`));
      const { results, ms, most, made, open } = await stage.run(probeOnce, {
        iceServers: [{ ...server, urls: [...dead, ...server.urls] }],
        timeout: 6000,
      });
      assert.deepEqual(verdicts(results), [...dead.map(() => [false, null, 0]), [true, "relay", null]]);
      for (const { ms } of results.slice(0, 19)) assert.ok(ms >= 1500 && ms < 4000, `${ms} ms`);
      assert.ok(ms < 8000, `${ms} ms`);
      assert.deepEqual({ most, made, open }, { most: 8, made: 20, open: 0 });
    });
  });
}
