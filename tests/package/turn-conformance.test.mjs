// The embedded TURN server under coturn's own client, over each transport: what it has to carry, and what it has to refuse.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Emulator } from "../harness/emulator.mjs";
import { target, uclient } from "../harness/uclient.mjs";

/** Without a second relay for RTCP. */
const ALONE = "-c";

const CARRIED = {
  "over channels, with a pair of relays at neighbouring ports for RTP and RTCP": [],
  "over channels": [ALONE],
  "in Send indications": [ALONE, "-s"],
  "with channel data padded over every transport": [ALONE, "-D"],
  "with permissions and channels asked for again and again": [ALONE, "-G"],
  "between requests that are wrong": [ALONE, "-N"],
  "with clients that drop out and come back": [ALONE, "-B"],
  "with IPv4 asked for by name": [ALONE, "-X"],
};

const REFUSED = {
  "a relay that may not fragment": { flags: [ALONE, "-g"], code: 420 },
  "a relay for IPv6": { flags: [ALONE, "-x"], code: 440 },
};

// Each run takes some seconds, most of which it waits.
describe("the embedded TURN server under turnutils_uclient", { concurrency: true }, () => {
  let emulator;
  before(async () => {
    emulator = await Emulator.start({ args: ["--turn-tls"] });
  });
  after(() => emulator?.stop());

  /** With a credential of its own, since others may end. */
  const somewhere = async (transport) => target((await emulator.mint(600)).iceServers, transport);

  for (const transport of ["udp", "tcp", "tls"]) {
    describe(`over ${transport.toUpperCase()}`, { concurrency: true }, () => {
      for (const [what, flags] of Object.entries(CARRIED)) {
        it(`carries every message ${what}`, async () => {
          const { code, sent, received, log } = await uclient(await somewhere(transport), flags);
          assert.equal(code, 0, log);
          assert.ok(sent >= 10, log);
          assert.equal(received, sent, log);
        });
      }

      for (const [what, { flags, code: expected }] of Object.entries(REFUSED)) {
        it(`answers ${what} with ${expected}`, async () => {
          const { code, errors, log } = await uclient(await somewhere(transport), flags);
          assert.notEqual(code, 0, log);
          assert.ok(errors.length > 0 && errors.every((error) => error === expected), log);
        });
      }

      it("gives no relay for a wrong password", async () => {
        const wrong = { ...await somewhere(transport), credential: "wrong" };
        const { code, sent, log } = await uclient(wrong, [ALONE]);
        assert.notEqual(code, 0, log);
        assert.equal(sent, 0, log);
        assert.match(log, /Cannot complete Allocation/);
        await emulator.refused(wrong.username, 401, transport);
      });
    });
  }
});
