// A credential backend in the manner of the README's, run as a program of its own by backend.mjs: node backend-process.mjs
// PORT ORIGIN. It hands out what the demo backend at ORIGIN mints, and misbehaves as it is told.
import { DemoSession } from "./demo-session.mjs";
import { Site } from "./site.mjs";

const [port, upstream] = process.argv.slice(2);

/** How it misbehaves: `{share, status, headers, delay}`, `share` of the requests from 0 to 1, `delay` in ms. */
let fault = { share: 0 };
let requests = 0;

const session = new DemoSession(upstream);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const site = await Site.start({ port: Number(port) });

site.on("/credentials", async (_request, response, body) => {
  const { share = 1, status = null, headers = {}, delay = 0 } = fault;
  // Evenly: of a half every second one.
  const hit = Math.floor((requests + 1) * share) > Math.floor(requests * share);
  requests++;
  console.log(`request at=${Date.now()} status=${hit && status ? status : 201}`);
  if (hit && delay) await wait(delay);
  if (hit && status) {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end("{}");
    return;
  }
  const answer = await session.ask("/api/turn-credentials", body);
  response.writeHead(answer.status, { "content-type": "application/json", "cache-control": "no-store" }).end(await answer.text());
});

site.on("/credentials/revoke", async (_request, response, body) => {
  const answer = await session.ask("/api/turn-credentials/revoke", body);
  response.writeHead(answer.status).end();
});

site.on("/fault", (_request, response, body) => {
  fault = JSON.parse(body);
  response.writeHead(204).end();
});

console.log(`listening on ${site.origin}`);
