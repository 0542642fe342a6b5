// The ratios as a chart: a bar for each line of the table that has something beside it, to the left of 1 where turn-wasm
// takes less, to the right where it takes more. One SVG file that brings its own background for light and for dark.
import { digits } from "./figure.mjs";
import { browserTitle } from "./report.mjs";

const WIDTH = 1000;
const ROW = 26;
const TOP = 74;
const LABELS = 560;
const NUMBERS = 84;

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.note, .scale { fill: #59636e; font-size: 12px }
.back { fill: #ffffff; stroke: #d1d9e0 }
.one { stroke: #59636e }
.tick { stroke: #d1d9e0 }
.wins { fill: #1a7f37 }
.loses { fill: #bc4c00 }
.even { fill: #59636e }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .note, .scale { fill: #9198a1 }
  .back { fill: #0d1117; stroke: #3d444d }
  .one { stroke: #9198a1 }
  .tick { stroke: #3d444d }
  .wins { fill: #3fb950 }
  .loses { fill: #f0883e }
  .even { fill: #9198a1 }
}`;

const escaped = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

const label = ({ what, browser }) => (browser ? `${what}, ${browserTitle(browser)}` : what).replace(/[*`]/g, "");

/** Powers of ten around all of the ratios. */
function decades(ratios) {
  const logs = ratios.map(Math.log10);
  return [Math.min(-1, Math.floor(Math.min(...logs))), Math.max(1, Math.ceil(Math.max(...logs)))];
}

const power = (exponent) => (exponent < 0 ? `1/${10 ** -exponent}` : String(10 ** exponent));

/** `lines` as line.mjs makes them, in order; `note`: when and with what they were measured. */
export function chart(lines, note) {
  const compared = lines.filter(({ ratio }) => ratio && Number.isFinite(ratio.median) && ratio.median > 0);
  const [least, most] = decades(compared.length ? compared.map(({ ratio }) => ratio.median) : [1]);
  const right = WIDTH - NUMBERS;
  const x = (value) => LABELS + ((Math.log10(value) - least) / (most - least)) * (right - LABELS);
  const bottom = TOP + compared.length * ROW;
  const height = bottom + 50;
  const ticks = Array.from({ length: most - least + 1 }, (_, index) => least + index);
  const parts = [
    `<rect class="back" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    `<text class="title" x="20" y="30">turn-wasm beside plain JavaScript: how many times as much it takes (less is better)</text>`,
    ...ticks.flatMap((exponent) => {
      const at = x(10 ** exponent).toFixed(1);
      return [
        `<line class="${exponent === 0 ? "one" : "tick"}" x1="${at}" y1="${TOP - 8}" x2="${at}" y2="${bottom}"/>`,
        `<text class="scale" x="${at}" y="${TOP - 14}" text-anchor="middle">${power(exponent)}</text>`,
      ];
    }),
    ...compared.flatMap((line, index) => {
      const { median } = line.ratio;
      const y = TOP + index * ROW;
      const [from, to] = [x(1), x(median)].sort((a, b) => a - b);
      const number = median < 1 ? `1/${digits(1 / median)}` : `${digits(median)} ×`;
      return [
        `<text x="20" y="${y + 16}">${escaped(label(line))}</text>`,
        `<rect class="${line.verdict.split(",")[0]}" x="${from.toFixed(1)}" y="${y + 3}" width="${Math.max(to - from, 2).toFixed(1)}" height="${ROW - 8}" rx="2"/>`,
        `<text x="${right + 12}" y="${y + 16}">${number}</text>`,
      ];
    }),
    `<text class="note" x="20" y="${height - 18}">${escaped(note)}</text>`,
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="turn-wasm beside plain JavaScript">
<style>${STYLE}
</style>
${parts.join("\n")}
</svg>
`;
}
