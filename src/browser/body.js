// A response as the text that the core reads it from, in value.rs.

// Nothing in any provider's response lies deeper; what does is read as null. Keeps cycles from going on forever.
const DEPTH_MOST = 8;
// Values that are read of one response; the rest is read as null.
const COUNT_MOST = 10000;

const word = (text) => text.replaceAll("\0", "\ufffd") + "\0";

const bits = (number) => new BigUint64Array(Float64Array.of(number).buffer)[0];

/** Writes down what a response can hold. Functions, symbols and the like become null. */
export function written(body) {
  let count = 0;
  const write = (value, depth) => {
    const type = typeof value;
    if (++count > COUNT_MOST) return word("z");
    if (type === "string") return word("s" + value);
    if (type === "number") return word("n" + bits(value));
    if (type === "boolean") return word(value ? "t" : "f");
    if (!depth || type !== "object" || !value) return word("z");
    const isArray = Array.isArray(value);
    const names = Object.keys(value);
    const members = names.map((name) => {
      let member;
      try {
        member = value[name];
      } catch {
        // A getter of the app may throw.
      }
      return (isArray ? "" : word(name)) + write(member, depth - 1);
    });
    return word((isArray ? "a" : "o") + names.length) + members.join("");
  };
  return write(body, DEPTH_MOST);
}
