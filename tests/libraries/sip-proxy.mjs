// A SIP proxy for browsers (RFC 3261 over WebSocket, RFC 7118): whoever registers can be called, requests and responses are
// passed on as they are. It keeps no transactions: a WebSocket loses nothing.
import { WebSocketServer } from "ws";

const VIA = "SIP/2.0/WS proxy.invalid;branch=z9hG4bK-";

/** A message in its parts; `headers` as lines, in their order. */
function parse(text) {
  const [head, body = ""] = text.split(/\r\n\r\n([^]*)/);
  const [first, ...headers] = head.split("\r\n");
  return { first, headers, body };
}

const written = ({ first, headers, body }) => `${[first, ...headers].join("\r\n")}\r\n\r\n${body}`;

/** The first header of that name: its value. */
const header = ({ headers }, name) => headers.find((line) => line.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1).trim();

/** The user in a URI, `sip:USER@host`. */
const user = (text) => /sip:([^@>;]+)@/.exec(text)?.[1];

/** The host that a message came from, which a browser makes up, from its topmost Via. */
const sentBy = (message) => /^SIP\/2\.0\/\S+ ([^;]+)/.exec(header(message, "via"))?.[1];

export class SipProxy {
  /** The requests so far, but for registrations: `{method, from}`, `INVITE`, `ACK`, … and the user that it came from. */
  requests = [];
  #server;
  /** Sockets, by the user of a registered address, the user of a contact, or the host in a Via. */
  #places = new Map();

  static async start() {
    const proxy = new SipProxy();
    proxy.#server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "sip" });
    proxy.#server.on("connection", (socket) => socket.on("message", (data) => proxy.#take(parse(String(data)), socket)));
    await new Promise((resolve) => proxy.#server.once("listening", resolve));
    return proxy;
  }

  get url() {
    return `ws://127.0.0.1:${this.#server.address().port}`;
  }

  #take(message, socket) {
    const [method, uri] = message.first.split(" ");
    if (method === "SIP/2.0") this.#respond(message);
    else if (method === "REGISTER") this.#register(message, socket);
    else this.#forward(method, uri, message, socket);
  }

  #register(message, socket) {
    const contact = header(message, "contact");
    for (const place of [user(header(message, "to")), user(contact), sentBy(message)]) this.#places.set(place, socket);
    const kept = message.headers.filter((line) => /^(via|from|call-id|cseq):/i.test(line));
    const headers = [...kept, `To: ${header(message, "to")};tag=proxy`, `Contact: ${contact}`, "Content-Length: 0"];
    socket.send(written({ first: "SIP/2.0 200 OK", headers, body: "" }));
  }

  #forward(method, uri, message, socket) {
    this.requests.push({ method, from: user(header(message, "from")) });
    this.#places.set(sentBy(message), socket);
    const branch = /branch=([^;]+)/.exec(header(message, "via"))[1];
    this.#places.get(user(uri))?.send(written({ ...message, headers: [`Via: ${VIA}${branch}`, ...message.headers] }));
  }

  // To where the request came from: the Via below the proxy's own.
  #respond(message) {
    const own = message.headers.findIndex((line) => line.startsWith(`Via: ${VIA}`));
    const back = { ...message, headers: message.headers.toSpliced(own, 1) };
    this.#places.get(sentBy(back))?.send(written(back));
  }

  async stop() {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
