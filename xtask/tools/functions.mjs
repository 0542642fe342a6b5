// Prints the largest functions of a module that still has its name section: bytes of code, then the name.
import { readFileSync } from "node:fs";

const [file, count] = process.argv.slice(2);
const bytes = readFileSync(file);

let at = 8; // after the magic number and the version
function number() {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
}
function text() {
  const length = number();
  at += length;
  return bytes.toString("utf8", at - length, at);
}
function skipLimits() {
  const flags = number();
  number();
  if (flags & 1) number();
}

const CUSTOM = 0;
const IMPORT = 2;
const CODE = 10;
const FUNCTION_NAMES = 1;

let imported = 0;
const sizes = [];
const names = new Map();

while (at < bytes.length) {
  const section = bytes[at++];
  const size = number();
  const end = at + size;
  if (section === IMPORT) {
    for (let left = number(); left > 0; left -= 1) {
      text();
      text();
      const kind = bytes[at++];
      if (kind === 0) {
        number();
        imported += 1;
      } else if (kind === 1) {
        at += 1;
        skipLimits();
      } else if (kind === 2) {
        skipLimits();
      } else if (kind === 3) {
        at += 2;
      } else {
        throw new Error(`import of unknown kind ${kind}`);
      }
    }
  } else if (section === CODE) {
    for (let left = number(); left > 0; left -= 1) {
      const size = number();
      sizes.push(size);
      at += size;
    }
  } else if (section === CUSTOM && text() === "name") {
    while (at < end) {
      const kind = bytes[at++];
      const size = number();
      const subsectionEnd = at + size;
      if (kind === FUNCTION_NAMES) {
        for (let left = number(); left > 0; left -= 1) {
          const index = number();
          names.set(index, text());
        }
      }
      at = subsectionEnd;
    }
  }
  at = end;
}

sizes
  .map((size, index) => ({ size, name: names.get(imported + index) ?? `function ${imported + index}` }))
  .sort((one, other) => other.size - one.size)
  .slice(0, Number(count))
  .forEach(({ size, name }) => console.log(String(size).padStart(8), name));
