// What the calls are made with: a form, and the page's address, so that a state can be shared. Only what differs from the
// usual stands in the address.

const TRANSPORTS = ["udp", "tcp", "tls"];
const RESTARTS = ["relayed", "always", "never"];

const element = (id) => document.getElementById(id);

/** Events: `change` when the form has changed. */
export class Settings extends EventTarget {
  /** What the server gives without being asked, in seconds. */
  #usualTtl = null;
  #form;

  constructor(form) {
    super();
    this.#form = form;
    this.#read(new URLSearchParams(location.search));
    form.addEventListener("input", () => this.#changed());
    // It stands elsewhere on the page.
    element("plain-reconfigure").addEventListener("input", () => this.#changed());
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** The server's own ttl and the longest that it gives, in seconds. */
  limit({ ttl, maxTtl }) {
    this.#usualTtl = ttl;
    element("ttl").max = String(maxTtl);
    if (element("ttl").value === "") element("ttl").value = String(ttl);
    this.#changed();
  }

  #read(parameters) {
    const flag = (name, usual) => ({ on: true, off: false })[parameters.get(name)] ?? usual;
    const ttl = parameters.get("ttl");
    if (ttl !== null) element("ttl").value = ttl;
    element("trickle").checked = flag("trickle", true);
    element("relay-only").checked = flag("relay", true);
    element("plain-reconfigure").checked = flag("reconfigure", false);
    const restart = parameters.get("restart");
    element("restart-policy").value = RESTARTS.includes(restart) ? restart : "relayed";
    const transports = parameters.get("transports")?.split(",").filter((name) => TRANSPORTS.includes(name)) ?? [];
    for (const name of TRANSPORTS) element(`transport-${name}`).checked = transports.length === 0 || transports.includes(name);
  }

  #changed() {
    const none = this.transports.length === 0;
    element("transport-udp").setCustomValidity(none ? "Choose one transport at least." : "");
    const words = [];
    const parameters = new URLSearchParams();
    const differs = (name, value, usual) => {
      if (value !== usual) parameters.set(name, typeof value === "boolean" ? (value ? "on" : "off") : String(value));
    };
    const { ttl, trickle, transports, iceRestart, relayOnly, reconfigure } = this;
    differs("ttl", ttl ?? this.#usualTtl, this.#usualTtl);
    differs("trickle", trickle, true);
    if (!none) differs("transports", transports.join(","), TRANSPORTS.join(","));
    differs("restart", iceRestart, "relayed");
    differs("relay", relayOnly, true);
    differs("reconfigure", reconfigure, false);
    // Commas and the like are safe in a query, and easier to read as they are.
    const query = decodeURIComponent(parameters.toString());
    history.replaceState(null, "", query ? `?${query}` : location.pathname);

    words.push(`ttl ${element("ttl").value || "–"} s`, trickle ? "trickle ICE" : "no trickle ICE");
    words.push(transports.length === TRANSPORTS.length ? "all transports" : none ? "no transport" : transports.join(" and "));
    words.push(relayOnly ? "relay only" : "any path");
    if (iceRestart !== "relayed") words.push(`restarts: ${iceRestart}`);
    element("settings-summary").textContent = words.join(", ");
    this.dispatchEvent(new Event("change"));
  }

  /** Points to what is wrong, if anything is. */
  check() {
    if (this.#form.checkValidity()) return true;
    element("settings").open = true;
    this.#form.reportValidity();
    return false;
  }

  set enabled(enabled) {
    element("settings-fields").disabled = !enabled;
    element("plain-reconfigure").disabled = !enabled;
    element("settings-hint").hidden = enabled;
  }

  /** In seconds; `null` for the server's own. */
  get ttl() {
    const ttl = Number(element("ttl").value);
    return ttl > 0 && ttl !== this.#usualTtl ? ttl : null;
  }

  get trickle() {
    return element("trickle").checked;
  }

  get transports() {
    return TRANSPORTS.filter((name) => element(`transport-${name}`).checked);
  }

  get iceRestart() {
    return element("restart-policy").value;
  }

  get relayOnly() {
    return element("relay-only").checked;
  }

  get reconfigure() {
    return element("plain-reconfigure").checked;
  }

  /** As they are now. */
  get all() {
    const { ttl, trickle, transports, iceRestart, relayOnly, reconfigure } = this;
    // Naming all of them would be a wish for their order.
    const some = transports.length < TRANSPORTS.length ? transports : null;
    return { ttl, trickle, transports: some, iceRestart, relayOnly, reconfigure };
  }
}
