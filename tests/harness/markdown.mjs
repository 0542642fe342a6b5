// Markdown as the documentation uses it: its code as it is printed there, its headings, its links.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);

/** The lines of a text: `{number, line}` with `code`, the language of the block they are in (`null` outside); fences are left out. */
function* lines(markdown) {
  let code = null;
  for (const [index, line] of markdown.split("\n").entries()) {
    const [, language] = /^```(.*)$/.exec(line) ?? [];
    if (language === undefined) yield { number: index + 1, line, code };
    else code = code === null ? language : null;
  }
}

/** The code blocks: `{language, code, headings, line}`, `headings` from the outermost in, `line` the number of the first one. */
export function codeBlocks(markdown) {
  const blocks = [];
  let headings = [];
  let last = 0;
  for (const { number, line, code } of lines(markdown)) {
    if (code === null) {
      const [, level, heading] = /^(#+) (.*)$/.exec(line) ?? [];
      if (level) headings = [...headings.slice(0, level.length - 1), heading];
      continue;
    }
    // A fence lies between two blocks, so their lines do not follow each other.
    if (number !== last + 1) blocks.push({ language: code, headings, line: number, code: "" });
    blocks.at(-1).code += `${line}\n`;
    last = number;
  }
  return blocks;
}

/** The names by which links lead to the headings, as GitHub makes them. */
export function headingAnchors(markdown) {
  return [...lines(markdown)]
    .filter(({ code, line }) => code === null && /^#+ /.test(line))
    .map(({ line }) => line.replace(/^#+ /, "").toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-"));
}

/** Where the links and pictures lead to. */
export function links(markdown) {
  const text = [...lines(markdown)].filter(({ code }) => code === null).map(({ line }) => line).join("\n");
  return [...text.matchAll(/\]\(([^)\s]+)\)|\b(?:src|srcset|href)="([^"]+)"/g)].map(([, target, attribute]) => target ?? attribute);
}

/** What stands under a heading of a page, named from the repository's root, as far as the next heading. */
export async function section(page, heading) {
  const all = [...lines(await readFile(fileURLToPath(new URL(page, ROOT)), "utf8"))];
  const isHeading = ({ code, line }) => code === null && /^#+ /.test(line);
  const first = all.findIndex((one) => isHeading(one) && one.line.replace(/^#+ /, "") === heading);
  if (first < 0) throw new Error(`${page} has no heading "${heading}"`);
  const rest = all.slice(first + 1);
  const end = rest.findIndex(isHeading);
  return rest.slice(0, end < 0 ? rest.length : end).map(({ line }) => line).join("\n");
}

/** The one code block of that language right under a heading of a page, named from the repository's root. */
export async function printed(page, language, heading) {
  const blocks = codeBlocks(await readFile(fileURLToPath(new URL(page, ROOT)), "utf8"));
  const found = blocks.filter((block) => block.language === language && block.headings.at(-1) === heading);
  if (found.length !== 1) throw new Error(`${page} has ${found.length} blocks of ${language} under "${heading}", expected one`);
  return found[0].code;
}
