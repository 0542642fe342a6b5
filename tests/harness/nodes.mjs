// The versions of Node that the package must be importable in: the one that runs the tests, and those that npm brought.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const own = { name: `Node ${process.versions.node}`, program: process.execPath };

/** `{name, program}` of each. On platforms that npm has no Node for, the running one alone. */
export const NODES = [
  own,
  ...["20", "22"]
    .filter((major) => !process.versions.node.startsWith(`${major}.`))
    .map((major) => ({ name: `Node ${major}`, program: fileURLToPath(new URL(`../node_modules/node-${major}/bin/node`, import.meta.url)) }))
    .filter(({ program }) => existsSync(program)),
];
