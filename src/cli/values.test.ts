import { InvalidArgumentError } from "commander";
import { describe, expect, test } from "vitest";

import { timeMs, wholeNumber } from "./options.ts";
import { textFromValue, valueFromText } from "./values.ts";

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
