import { InvalidArgumentError } from "commander";
import { describe, expect, test } from "vitest";

import { timeMs, wholeNumber } from "./options.ts";
import { shownText, textFromValue, valueFromText } from "./values.ts";

describe("values", () => {
  test("JSON is JSON, and everything else a text", () => {
    expect(valueFromText("7")).toBe(7);
    expect(valueFromText('{"a":[1,null]}')).toEqual({ a: [1, null] });
    expect(valueFromText('"7"')).toBe("7");
    expect(valueFromText("v42")).toBe("v42");
    expect(valueFromText("{broken")).toBe("{broken");
    expect(valueFromText("")).toBe("");
  });

  test("texts are printed without quotes, so that a script can use them", () => {
    expect(textFromValue("v42")).toBe("v42");
    expect(textFromValue({ a: 1 })).toBe('{"a":1}');
    expect(textFromValue(null)).toBe("null");
  });
});

describe("texts in a line for people", () => {
  test("are quoted where they are empty, or would leave their line or change the terminal", () => {
    expect(shownText("v42")).toBe("v42");
    expect(shownText("two words, ä")).toBe("two words, ä");
    expect(shownText("")).toBe('""');
    expect(shownText("a\nb")).toBe('"a\\nb"');
    expect(shownText("\u001B[31mred")).toBe('"\\u001b[31mred"');
    expect(shownText("\u009B31m\u007F\u2028")).toBe('"\\u009b31m\\u007f\\u2028"');
    expect(shownText({ a: "\u009B" })).toBe('{"a":"\\u009b"}');
  });
});

describe("options", () => {
  test("times have units, or are milliseconds", () => {
    expect(["250ms", "1.5s", "2min", "40"].map((text) => timeMs(text))).toEqual([250, 1500, 120_000, 40]);
    for (const text of ["0", "-1s", "5 s", "1h", "soon", "99999min"]) {
      expect(() => timeMs(text)).toThrow(InvalidArgumentError);
    }
  });

  test("whole numbers stay within their bounds", () => {
    const agents = wholeNumber(1, 7);
    expect(agents("4")).toBe(4);
    for (const text of ["0", "8", "4.5", "four", "", "1e1"]) {
      expect(() => agents(text)).toThrow(InvalidArgumentError);
    }
  });
});
