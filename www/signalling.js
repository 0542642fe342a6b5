// The way messages take between the two ends. Here it leads from the page to itself; in an app it is a WebSocket.

/** One end of it: `send(message)`, and a `message` event for each that arrives, in order. */
class Signalling extends EventTarget {
  #port;

  constructor(port) {
    super();
    this.#port = port;
    port.onmessage = ({ data }) => this.dispatchEvent(new CustomEvent("message", { detail: JSON.parse(data) }));
  }

  /** As JSON, since descriptions and candidates can be written so but not cloned. */
  send(message) {
    this.#port.postMessage(JSON.stringify(message));
  }

  close() {
    this.#port.close();
  }
}

/** Both ends. */
export function signallingPair() {
  const { port1, port2 } = new MessageChannel();
  return [new Signalling(port1), new Signalling(port2)];
}
