// What gathering is measured with: which of the eight URLs get lost on the way, beside those on port 53, where nobody
// answers; the session's options; and what the app waits for.
const DROP = { trickle: false };
const KEEP = { urls: { port53: "keep" } };

export const WAYS = [
  { what: "port 53 kept, and silent", options: KEEP },
  { what: "port 53 left out (`trickle: false`), all else answers", options: DROP },
  { what: "port 53 left out, UDP blocked", options: DROP, lost: /stun:|=udp/ },
  { what: "port 53 left out, port 443 blocked", options: DROP, lost: /:443(\?|$)/ },
].flatMap((way) => ["complete", "localDescription"].map((until) => ({ ...way, until, name: `${way.what}: ${until}` })));

/** The same without port 53, with a number of URLs at the most. All answer, and the app waits for all. */
export const CAPPED = [1, 2, 3, 4, 6].map((max) => ({ max, options: { ...DROP, urls: { max } }, until: "complete", name: `at most ${max}` }));
