// 6. Memory: what the WebAssembly module takes, and that it takes no more after many refreshes and sessions.
import { BROWSERS } from "../../harness/browsers.mjs";
import { figure } from "../figure.mjs";
import { line } from "../line.mjs";

export const title = "Memory";

const REFRESHES = 1000;
const SESSIONS = 100;
const CONNECTIONS = 10;

/** Seconds that a credential lives, and of which have passed when the next one is fetched. */
const TTL = 600;
const PASSED = 450;

/** 1.2 MiB. */
const MOST = 1_258_291;

// Runs in the page.
async function grown({ refreshes, sessions, connections, ttl, passed }) {
  const memories = [];
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...values) => {
    const started = await instantiate.apply(WebAssembly, values);
    memories.push((started.instance ?? started).exports.memory);
    return started;
  };
  const bytes = () => memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
  const { PageClock } = await import("/harness/page-clock.mjs");
  const { openTurnSession } = await import("/pkg/index.js");
  const clock = new PageClock();
  let serial = 0;
  const source = async () => ({
    iceServers: [
      { urls: ["stun:127.0.0.1:3478", "stun:127.0.0.1:53"] },
      {
        urls: ["turn:127.0.0.1:3478?transport=udp", "turn:127.0.0.1:53?transport=udp", "turn:127.0.0.1:3478?transport=tcp", "turns:127.0.0.1:5349?transport=tcp"],
        username: `${String(serial++).padStart(8, "0")}`.repeat(12),
        credential: "secret".repeat(16),
      },
    ],
    ttl,
  });

  const session = await openTurnSession({ source });
  const peers = Array.from({ length: connections }, () => session.createPeerConnection());
  const opened = bytes();
  for (let refresh = 0; refresh < refreshes; refresh++) {
    clock.sleep(passed * 1000);
    await session.refresh();
  }
  const refreshed = bytes();
  for (const pc of peers) pc.close();
  await session.close();
  for (let more = 0; more < sessions; more++) {
    const another = await openTurnSession({ source });
    another.createPeerConnection().close();
    await another.close();
  }
  return { instances: memories.length, opened, refreshed, closed: bytes() };
}

export async function measure(bench) {
  const site = await bench.site();
  const lines = [];
  for (const name of BROWSERS) {
    bench.says(`memory, ${name}`);
    const browser = await bench.browser(name);
    const page = await browser.page(site.page);
    const { instances, opened, refreshed, closed } = await page.evaluate(grown, { refreshes: REFRESHES, sessions: SESSIONS, connections: CONNECTIONS, ttl: TTL, passed: PASSED });
    await browser.close();
    if (instances !== 1) throw new Error(`${name} started the module ${instances} times`);
    const told = (what, bytes, more) => line({ what, browser: name, ours: figure(bytes, "bytes"), ...more });
    lines.push(
      told(`WebAssembly memory with a session of ${CONNECTIONS} connections`, opened, { goal: { atMost: MOST }, inReadme: true }),
      told(`growth in ${REFRESHES.toLocaleString("en")} refreshes`, refreshed - opened, { goal: { atMost: 0 }, inReadme: true }),
      told(`growth in ${SESSIONS} sessions, opened and closed`, closed - refreshed, { goal: { atMost: 0 }, inReadme: true }),
    );
  }
  await site.stop();
  return { lines, tables: [] };
}
