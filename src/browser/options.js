// The options of openTurnSession, checked. An error names the option, what came and what was expected.
import { fail } from "./error.js";

export const POLICIES = ["relayed", "always", "never"];
const TRANSPORTS = ["udp", "tcp", "tls"];
const TTL_MOST = 31622400;

const isNumber = (value) => typeof value === "number";
const isObject = (value) => typeof value === "object" && value !== null;

// What a value is. Texts are shown only where they are short, for they may be secrets.
const shown = (value) =>
  typeof value === "string" && value.length <= 40 ? JSON.stringify(value)
  : typeof value === "number" || typeof value === "boolean" || value == null ? String(value)
  : Array.isArray(value) ? "an array"
  : `a value of type ${typeof value}`;

export const invalid = (option, expected, came) =>
  fail("invalid-option", `${option}: expected ${expected}, got ${shown(came)}`);

// A value that was left out, or one that passes; the fallback for the first.
const either = (option, value, fallback, expected, passes) =>
  value == null ? fallback : passes(value) ? value : invalid(option, expected, value);

const oneOf = (option, value, fallback, choices) =>
  either(option, value, fallback, `one of ${choices.map((choice) => `"${choice}"`).join(", ")}`, (given) => choices.includes(given));

export const readPolicy = (value) => POLICIES.indexOf(oneOf("iceRestart", value, undefined, POLICIES));

export const readTimeout = (option, value, fallback) =>
  either(option, value, fallback, "milliseconds from 1 to 600000", (ms) => isNumber(ms) && ms >= 1 && ms <= 600000);

export function readOptions(options) {
  if (!isObject(options)) invalid("options", "an object with a source", options);
  const { ttl, trickle, urls, iceRestart, revoke, signal, source } = options;
  const { port53, transports, max } = either("urls", urls, {}, "an object", isObject);
  const trickles = either("trickle", trickle, true, "a boolean", (given) => typeof given === "boolean");
  const port = oneOf("urls.port53", port53, "auto", ["auto", "keep", "drop"]);
  const list = either("urls.transports", transports, [], 'a list of "udp", "tcp" and "tls"', (given) =>
    Array.isArray(given) && given.length > 0 && given.every((name) => TRANSPORTS.includes(name)));
  return {
    source: readSource("source", source),
    revoke: revoke == null ? undefined : readSource("revoke", revoke),
    signal: either("signal", signal, undefined, "an AbortSignal", (given) => given instanceof AbortSignal),
    core: [
      either("ttl", ttl, NaN, `seconds over 0, up to ${TTL_MOST} (366 days)`, (given) => isNumber(given) && given > 0 && given <= TTL_MOST),
      either("urls.max", max, 0, "a whole number from 1 on", (given) => Number.isInteger(given) && given > 0),
      (port === "drop" || (port === "auto" && !trickles) ? 1 : 0) +
        2 * (readPolicy(iceRestart) & 3) +
        8 * [...new Set(list)].reduceRight((packed, name) => 4 * packed + TRANSPORTS.indexOf(name) + 1, 0),
    ],
  };
}

// `source` and `revoke`: a function, or a checked request.
function readSource(option, source) {
  if (typeof source === "function") return source;
  const request = typeof source === "string" || source instanceof URL ? { url: source } : source;
  if (!isObject(request)) invalid(option, "a URL, a request ({ url, … }) or a function", source);
  const method = oneOf(`${option}.method`, request.method, "POST", ["GET", "POST"]);
  const { body, headers } = request;
  if (body !== undefined && method === "GET") invalid(`${option}.body`, "no body with GET", body);
  return {
    url: readUrl(option, request.url),
    method,
    headers: either(`${option}.headers`, headers, undefined, "headers or a function", (given) => isObject(given) || typeof given === "function"),
    body: body === undefined ? undefined : toJson(`${option}.body`, body),
    credentials: oneOf(`${option}.credentials`, request.credentials, "same-origin", ["omit", "same-origin", "include"]),
    timeout: readTimeout(`${option}.timeout`, request.timeout, 10000),
  };
}

function toJson(option, body) {
  try {
    const json = JSON.stringify(body);
    if (json !== undefined) return json;
  } catch {
    // Said below: a cycle, a BigInt, or a toJSON that throws.
  }
  return invalid(option, "a value that JSON can hold", body);
}

// The absolute address. Whether credentials may be fetched from there is for the core to say.
function readUrl(option, value) {
  try {
    // Anything else would become a text first, undefined too.
    return new URL(typeof value === "string" || value instanceof URL ? value : "//", globalThis.document?.baseURI ?? location.href);
  } catch {
    return invalid(`${option}.url`, "a URL", value);
  }
}
