import { describe, expect, test } from "vitest";

import { coloured, plain, showsColours } from "./colours.ts";
import { LiveRegion } from "./live-region.ts";
import { byteSize, count, counted, duration } from "./numbers.ts";
import { progressBar } from "./progress-bar.ts";
import { Surface } from "./surface.ts";
import { tableLines } from "./table.ts";
import { padded, paddedLeft, truncated, visibleLength } from "./width.ts";

/** A terminal that keeps what is on its screen: it understands just what this program sends. */
class Screen {
  readonly isTTY = true;
  readonly columns: number;
  readonly rows: string[] = [""];
  cursorHidden = false;

  constructor(columns = 40) {
    this.columns = columns;
  }

  write(text: string): void {
    // oxlint-disable-next-line no-control-regex -- that is what is being read
    for (const piece of text.match(/\u001B\[\??\d*[A-Za-z]|\n|\r|[^\u001B\n\r]+/g) ?? []) this.#take(piece);
  }

  #take(piece: string): void {
    // oxlint-disable-next-line no-control-regex -- the same
    const up = /^\u001B\[(\d+)A$/.exec(piece);
    if (piece === "\n") this.rows.push("");
    else if (piece === "\u001B[?25l") this.cursorHidden = true;
    else if (piece === "\u001B[?25h") this.cursorHidden = false;
    else if (up !== null) {
      // What is cleared next is all that can be below.
      this.rows.length -= Number(up[1]);
      this.rows[this.rows.length - 1] = "";
    } else if (piece !== "\r" && !piece.startsWith("\u001B")) {
      this.rows[this.rows.length - 1] += piece;
    }
  }
}

describe("colours", () => {
  test("they are for terminals, and NO_COLOR switches them off there too", () => {
    expect(showsColours({ isTTY: true }, {})).toBe(true);
    expect(showsColours({ isTTY: true }, { NO_COLOR: "1" })).toBe(false);
    // An empty NO_COLOR counts as not set: https://no-color.org.
    expect(showsColours({ isTTY: true }, { NO_COLOR: "" })).toBe(true);
    expect(showsColours({ isTTY: true }, { TERM: "dumb" })).toBe(false);
    expect(showsColours({}, {})).toBe(false);
  });

  test("a colour takes no room", () => {
    const red = coloured("red", "down");
    expect(red).not.toBe("down");
    expect(visibleLength(red)).toBe(4);
    expect(visibleLength(padded(red, 10))).toBe(10);
    expect(plain("red", "down")).toBe("down");
  });
});

describe("widths", () => {
  test("a text that fits stays as it is", () => {
    expect(truncated("agent_1", 7)).toBe("agent_1");
  });

  test("a text that does not is cut, and shows that it was", () => {
    expect(truncated("agent_1", 5)).toBe("agen…");
    expect(visibleLength(truncated(coloured("bold", "agent_1 leads"), 8))).toBe(8);
  });

  test("numbers line up on the right", () => {
    expect(paddedLeft("7", 3)).toBe("  7");
  });
});

describe("numbers", () => {
  test("thousands have commas", () => {
    expect([count(0), count(999), count(1000), count(1234567)]).toEqual(["0", "999", "1,000", "1,234,567"]);
    expect([counted(1, "entry", "entries"), counted(1500, "call")]).toEqual(["1 entry", "1,500 calls"]);
  });

  test("times have as many digits as say something", () => {
    expect([0, 0.1234, 3.14159, 42.4, 999, 1234, 12_345, 61_000].map((ms) => duration(ms))).toEqual([
      "0 ms",
      "0.12 ms",
      "3.1 ms",
      "42 ms",
      "999 ms",
      "1.23 s",
      "12.3 s",
      "1 min 1 s",
    ]);
  });

  test("sizes count in 1,024", () => {
    expect([0, 1023, 1024, 16 * 1024 * 1024, 1536].map((bytes) => byteSize(bytes))).toEqual([
      "0 B",
      "1023 B",
      "1 KiB",
      "16 MiB",
      "1.5 KiB",
    ]);
  });
});

describe("progress", () => {
  test("it begins empty, is half full half-way, and full only at the end", () => {
    expect(progressBar(0, 1000)).toBe("░░░░░░░░░░░░░░░░    0/1000");
    expect(progressBar(500, 1000)).toBe("████████░░░░░░░░  500/1000");
    expect(progressBar(999, 1000)).toBe("███████████████░  999/1000");
    expect(progressBar(1000, 1000)).toBe("████████████████ 1000/1000");
  });

  test("of nothing, everything is done", () => {
    expect(progressBar(0, 0)).toContain("████████████████");
  });
});

describe("tables", () => {
  test("columns are as wide as their widest cell, colours not counted, and lines end without blanks", () => {
    const lines = tableLines(
      [{ title: "agent" }, { title: "log", align: "right" }, { title: "note" }],
      [
        ["agent_1", "7", ""],
        [coloured("red", "b"), "1003", "down"],
      ],
    );
    expect(lines).toEqual([
      "agent     log  note",
      "agent_1     7",
      `${coloured("red", "b")}        1003  down`,
    ]);
  });
});

describe("the live region", () => {
  test("it is drawn anew in place, and lines that stay go above it", () => {
    const screen = new Screen();
    const region = new LiveRegion(new Surface(screen, {}));
    region.draw(["one", "two"]);
    region.draw(["one", "three"]);
    region.print("something happened");
    region.draw(["four"]);
    region.finish();
    expect(screen.rows).toEqual(["something happened", "four", ""]);
  });

  test("the cursor comes back, whichever way it ends", () => {
    const screen = new Screen();
    const region = new LiveRegion(new Surface(screen, {}));
    region.draw(["one"]);
    expect(screen.cursorHidden).toBe(true);
    region.erase();
    expect(screen.cursorHidden).toBe(false);
    expect(screen.rows).toEqual([""]);
    region.draw(["two"]);
    region.finish();
    expect(screen.cursorHidden).toBe(false);
  });

  test("a line wider than the terminal is cut, since a wrapped one could not be taken back", () => {
    const screen = new Screen(10);
    const region = new LiveRegion(new Surface(screen, {}));
    region.draw(["0123456789abcdef"]);
    expect(screen.rows[0]!.length).toBeLessThan(10);
  });

  test("without a terminal nothing is drawn, and lines are plain", () => {
    const written: string[] = [];
    const region = new LiveRegion(new Surface({ write: (text) => written.push(text) }, {}));
    region.draw(["one"]);
    region.print("line");
    region.finish();
    expect(written).toEqual(["line\n"]);
  });
});
