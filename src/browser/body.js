// A response as the text that the core reads it from, in core/value.rs.

// Nothing in any provider's response lies deeper; what does is read as null. Keeps cycles from going on forever.
const DEPTH_MOST = 8;
// Values that are read of one response; the rest is read as null.
const COUNT_MOST = 10000;

// RFC 3339, of which the browser's own parser reads all that is sent.
const MOMENT = /^\d{4}-\d\d-\d\d.*(Z|[+-]\d\d:\d\d)$/i;

const word = (text) => text.replaceAll("\0", "\ufffd") + "\0";

const bits = (number) => new BigUint64Array(Float64Array.of(number).buffer)[0];

/** Writes down what a response can hold. Functions, symbols and the like become null. */
export function written(body) {
  let count = 0;
  const write = (value, depth, field) => {
    const type = typeof value;
    if (++count > COUNT_MOST) return word("z");
    if (type === "string") return /^expires/i.test(field) && MOMENT.test(value) ? write(Date.parse(value)) : word("s" + value);
    if (type === "number") return word("n" + bits(value));
    if (type === "boolean") return word(value ? "t" : "f");
    if (!depth || type !== "object" || !value) return word("z");
    const isArray = Array.isArray(value);
    const members = Object.keys(value).map((name) => {
      let member;
      try {
        member = value[name];
      } catch {
        // A getter of the app may throw.
      }
      return (isArray ? "" : word("k" + name)) + write(member, depth - 1, name);
    });
    return word(isArray ? "a" : "o") + members.join("") + word("e");
  };
  return write(body, DEPTH_MOST);
}
