/**
 * Makes the README's picture of `npm start`: runs it for real in a terminal, keeps what the terminal shows and when, and
 * writes that as an SVG. No figure in it is written by hand. Needs `script` (util-linux).
 *
 *   node tools/cast.mjs [--out docs/images/tour.svg] [--keep run.json] [--from run.json]
 *
 * Where a viewer animates, each line appears as long after the first as it did in the run; elsewhere all are there at once.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({
  options: {
    out: { type: "string", default: join(root, "docs/images/tour.svg") },
    keep: { type: "string" },
    from: { type: "string" },
  },
});

/** @typedef {{ text: string, atMs: number }} Row a line of the screen, colours included, and when it got its last text */

/** A terminal that understands what the tour sends it, and remembers when each line was last written. */
class Screen {
  /** @type {Row[]} */
  rows = [{ text: "", atMs: 0 }];

  /** @param {string} text @param {number} atMs */
  write(text, atMs) {
    // oxlint-disable-next-line no-control-regex -- escape sequences are what is being read
    for (const piece of text.match(/\u001B\[[?\d;]*[A-Za-z]|\n|\r|[^\u001B\n\r]+/g) ?? [])
      this.#take(piece, atMs);
  }

  /** @param {string} piece @param {number} atMs */
  #take(piece, atMs) {
    // oxlint-disable-next-line no-control-regex -- the same
    const isMovement = /^\u001B\[[?\d;]*[^m\d;]$/.test(piece);
    // oxlint-disable-next-line no-control-regex -- the same
    const up = /^\u001B\[(\d+)A$/.exec(piece);
    const last = this.rows[this.rows.length - 1];
    if (piece === "\n") this.rows.push({ text: "", atMs });
    else if (up !== null) {
      this.rows.length -= Number(up[1]);
      this.rows[this.rows.length - 1] = { text: "", atMs };
    } else if (last !== undefined && piece !== "\r" && !isMovement) {
      last.text += piece;
      last.atMs = atMs;
    }
  }
}

/** @returns {Promise<Row[]>} */
async function runTour() {
  const folder = mkdtempSync(join(tmpdir(), "quorate-cast-"));
  const screen = new Screen();
  const command = `"${process.execPath}" "${join(root, "dist/cli/main.js")}" tour`;
  const { NO_COLOR: _, ...environment } = process.env;
  const child = spawn(
    "script",
    ["-qfec", `stty cols 100 rows 40; cp -r "${join(root, "examples")}" . ; exec ${command}`, "/dev/null"],
    {
      cwd: folder,
      env: { ...environment, TERM: "xterm-256color" },
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const startedAt = performance.now();
  child.stdout.setEncoding("utf8");
  let isOver = false;
  child.stdout.on("data", (/** @type {string} */ text) => {
    if (!isOver) screen.write(text, performance.now() - startedAt);
    if (!isOver && screen.rows.some((row) => row.text.includes("Ctrl-C stops all"))) {
      isOver = true;
      // Ctrl-C, as a person types it.
      setTimeout(() => child.stdin.write("\u0003"), 300);
    }
  });
  /** @type {number | null} */
  const code = await new Promise((resolve) => {
    child.once("exit", resolve);
  });
  rmSync(folder, { recursive: true, force: true });
  if (!isOver) throw new Error(`the tour ended with code ${code} before it was through`);
  return screen.rows.filter((row) => row.text.trim() !== "");
}

// ── the picture ───────────────────────────────────────────────────────────────────────────────────────────────────────────
const cell = { width: 7.8, height: 19 };
const margin = { left: 20, top: 52, bottom: 20 };
const palette = {
  text: "#e6edf3",
  dim: "#9aa7b4",
  green: "#56d364",
  red: "#ff7b72",
  yellow: "#e3b341",
  cyan: "#76c7ff",
};

/** @type {Record<string, string>} */
const fillOfCode = {
  2: palette.dim,
  31: palette.red,
  32: palette.green,
  33: palette.yellow,
  36: palette.cyan,
};

/** @param {string} text */
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A line as `tspan`s, one for each colour. Each starts at its own column, so that no font can move what lines up. @param {string} text */
function spans(text) {
  let fill = palette.text;
  let column = 0;
  let result = "";
  // oxlint-disable-next-line no-control-regex -- colours begin with the escape character
  for (const part of text.split(/(\u001B\[\d+m)/)) {
    // oxlint-disable-next-line no-control-regex -- the same
    const style = /^\u001B\[(\d+)m$/.exec(part);
    if (style !== null) {
      fill = fillOfCode[style[1] ?? ""] ?? palette.text;
      continue;
    }
    for (const word of part.matchAll(/\S+(?: \S+)*/g)) {
      const at = column + Array.from(part.slice(0, word.index)).length;
      const length = Array.from(word[0]).length;
      const x = (margin.left + at * cell.width).toFixed(1);
      const width = (length * cell.width).toFixed(1);
      result += `<tspan x="${x}" fill="${fill}" textLength="${width}" lengthAdjust="spacingAndGlyphs">${escaped(word[0])}</tspan>`;
    }
    column += Array.from(part).length;
  }
  return result;
}

/** @param {string} text */
function plain(text) {
  // oxlint-disable-next-line no-control-regex -- colours begin with the escape character
  return text.replaceAll(/\u001B\[\d+m/g, "");
}

/** @param {Row[]} rows */
function picture(rows) {
  const prompt = { text: "\u001B[2m$\u001B[22m npm start", atMs: 0 };
  const lines = [prompt, ...rows];
  const columns = Math.max(...lines.map((row) => Array.from(plain(row.text)).length));
  const width = Math.ceil(margin.left * 2 + columns * cell.width);
  const height = Math.ceil(margin.top + lines.length * cell.height + margin.bottom - 8);
  const body = lines.map((row, at) => {
    const y = margin.top + at * cell.height;
    const delay = (0.4 + row.atMs / 1000).toFixed(2);
    return `  <text class="line" y="${y}" style="animation-delay:${at === 0 ? 0 : delay}s">${spans(row.text)}</text>`;
  });
  const description = escaped(lines.map((row) => plain(row.text)).join("\n"));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title text">
  <title id="title">npm start: four agents, a thousand decisions, and the leader killed half-way</title>
  <desc id="text">${description}</desc>
  <style>
    .line { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
    @media (prefers-reduced-motion: no-preference) {
      .line { animation: appear 1ms backwards; }
      @keyframes appear { from { opacity: 0; } to { opacity: 1; } }
    }
  </style>
  <rect width="${width}" height="${height}" rx="10" fill="#0d1117" stroke="#3d444d"/>
  <circle cx="22" cy="20" r="6" fill="#ff5f57"/><circle cx="42" cy="20" r="6" fill="#febc2e"/><circle cx="62" cy="20" r="6" fill="#28c840"/>
${body.join("\n")}
</svg>
`;
}

const rows =
  values.from === undefined
    ? await runTour()
    : /** @type {Row[]} */ (JSON.parse(readFileSync(values.from, "utf8")));
if (values.keep !== undefined) writeFileSync(values.keep, `${JSON.stringify(rows, undefined, 2)}\n`);
mkdirSync(dirname(values.out), { recursive: true });
writeFileSync(values.out, picture(rows));
console.log(`cast: ${values.out}, ${rows.length} lines`);
