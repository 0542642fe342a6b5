// The code blocks of the documentation, as they are printed there.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const README = fileURLToPath(new URL("../../README.md", import.meta.url));

/** The code blocks of a Markdown text: `{language, code, headings, line}`, `headings` from the outermost in, `line` that of the code. */
export function codeBlocks(markdown) {
  const blocks = [];
  let headings = [];
  let block = null;
  for (const [index, line] of markdown.split("\n").entries()) {
    const [, fence] = /^```(.*)$/.exec(line) ?? [];
    if (block && fence === "") {
      blocks.push({ ...block, code: block.lines.map((text) => `${text}\n`).join("") });
      block = null;
    } else if (block) {
      block.lines.push(line);
    } else if (fence !== undefined) {
      block = { language: fence, headings, line: index + 2, lines: [] };
    } else {
      const [, level, heading] = /^(#+) (.*)$/.exec(line) ?? [];
      if (level) headings = [...headings.slice(0, level.length - 1), heading];
    }
  }
  return blocks.map(({ lines, ...rest }) => rest);
}

/** The one code block right under a heading of the README. */
export async function readmeBlock(language, heading) {
  const found = codeBlocks(await readFile(README, "utf8")).filter((block) => block.language === language && block.headings.at(-1) === heading);
  if (found.length !== 1) throw new Error(`README.md has ${found.length} blocks of ${language} under "${heading}", expected one`);
  return found[0].code;
}
