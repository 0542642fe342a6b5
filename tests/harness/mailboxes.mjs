// Signalling between two pages, as an app's server carries it: what one posts for the other comes as server-sent events,
// in order, also what was posted before the other one listened.

/** POST /mailbox?end=N puts a line of JSON into end N's mailbox; GET /mailbox?end=N empties it, as it fills. */
export function serveMailboxes(site) {
  const boxes = new Map();
  site.on("/mailbox", (request, response, body) => {
    const end = new URL(request.url, site.origin).searchParams.get("end");
    if (!boxes.has(end)) boxes.set(end, { waiting: [], reader: null });
    const box = boxes.get(end);
    if (request.method === "POST") {
      if (box.reader) box.reader.write(`data: ${body}\n\n`);
      else box.waiting.push(body);
      response.writeHead(204).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.flushHeaders();
    for (const message of box.waiting.splice(0)) response.write(`data: ${message}\n\n`);
    box.reader = response;
    response.once("close", () => {
      if (box.reader === response) box.reader = null;
    });
  });
}
