import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { limits } from "../core/index.ts";
import { type Json, NotPlainError } from "./json.ts";
import { changeWhole, readOnly } from "./undo.ts";

interface Data {
  n: number;
  list: unknown[];
  inner: { deep: { x: number } };
  [key: string]: unknown;
}

const fresh = (): Data => ({ n: 1, list: [1, 2, { a: 3 }], inner: { deep: { x: 1 } } });

/** Runs the change on fresh data, and throws at its end: everything must be as before. */
function undone(change: (data: Data) => void): Data {
  const data = fresh();
  expect(() =>
    changeWhole(data, (view) => {
      change(view as Data);
      throw new Error("stop");
    }),
  ).toThrow("stop");
  return data;
}

function done(change: (data: Data) => unknown): Data {
  const data = fresh();
  changeWhole(data, (view) => change(view as Data));
  return data;
}

type Change = (data: Data) => void;

const changes: readonly (readonly [string, Change])[] = [
  ["a number", (data) => (data.n += 1)],
  ["a deep number", (data) => (data.inner.deep.x = 5)],
  ["a new key", (data) => (data["added"] = { b: 1 })],
  [
    "a new key, then into it",
    (data) => ((data["added"] = { b: 1 }), ((data["added"] as { b: number }).b = 2)),
  ],
  ["a deleted key", (data) => delete (data as Partial<Data>).n],
  ["push", (data) => data.list.push(4, { b: 5 })],
  ["pop", (data) => data.list.pop()],
  ["shift", (data) => data.list.shift()],
  ["unshift", (data) => data.list.unshift(0, { z: 1 })],
  ["splice", (data) => data.list.splice(1, 1, "x", "y", "z")],
  ["sort", (data) => data.list.sort((a, b) => String(b).localeCompare(String(a)))],
  ["reverse", (data) => data.list.reverse()],
  ["copyWithin", (data) => data.list.copyWithin(0, 1)],
  ["fill", (data) => data.list.fill(0)],
  ["a shorter length", (data) => (data.list.length = 1)],
  ["no length", (data) => (data.list.length = 0)],
  ["an element behind the end", (data) => (data.list[3] = "next")],
  ["an element of an element", (data) => ((data.list[2] as { a: number }).a = 9)],
  ["another list", (data) => (data.list = [...data.list, 7])],
  ["a moved object", (data) => ((data["moved"] = data.inner), delete (data as Partial<Data>).inner)],
  ["an object in two places", (data) => ((data["twice"] = data.inner), (data.inner.deep.x = 2))],
  ["assign", (data) => Object.assign(data, { n: 5, list: [], more: true })],
  ["__proto__", (data) => (data["__proto__"] = { evil: 1 })],
];

describe("a change that is whole or not at all", () => {
  it.each(changes)("is taken back as if it had not been: %s", (_what, change) => {
    const data = undone(change);
    expect(data).toEqual(fresh());
    expect(Object.keys(data).toSorted()).toEqual(["inner", "list", "n"]);
    expect(data.list).toHaveLength(3);
  });

  it.each(changes)("does what it would do to the data itself: %s", (_what, change) => {
    const plain = fresh();
    change(plain);
    // __proto__ is a key here, where plain assignment would set the prototype.
    const expected = JSON.parse(JSON.stringify(plain)) as Record<string, unknown>;
    const { ["__proto__"]: own, ...rest } = done(change);
    expect(rest).toEqual(expected);
    expect(own === Object.prototype || own === undefined || JSON.stringify(own) === '{"evil":1}').toBe(true);
  });

  it("is taken back whatever was done in whatever order", () => {
    const some = fc.array(fc.constantFrom(...changes), { maxLength: 6 });
    fc.assert(
      fc.property(some, (list) => {
        const data = undone((view) => {
          try {
            for (const [, change] of list) change(view);
          } catch {
            // One change may make the next impossible; what was done up to there counts.
          }
        });
        expect(data).toEqual(fresh());
      }),
      { numRuns: 300 },
    );
  });

  it("leaves no object in two places: a restored state could not share it either", () => {
    const data = done((view) => {
      view["one"] = view.inner;
      view["two"] = view.inner;
      const own = { a: 1 };
      view.list = [own, own];
    });
    expect(data["one"]).toEqual(data.inner);
    expect(data["one"]).not.toBe(data.inner);
    expect(data["one"]).not.toBe(data["two"]);
    expect(data.list[0]).not.toBe(data.list[1]);
  });

  it("keeps nothing of the caller's: what the command holds on to is not the state", () => {
    const mine = { a: 1 };
    const data = done((view) => (view["added"] = mine));
    mine.a = 2;
    expect(data["added"]).toEqual({ a: 1 });
  });

  it("shows what was written at once, and the same object each time", () => {
    done((view) => {
      expect(view.inner).toBe(view.inner);
      const added = { a: 1 };
      view["added"] = added;
      added.a = 2;
      expect((view["added"] as { a: number }).a).toBe(2);
      view["alias"] = view.inner;
      view.inner.deep.x = 7;
      expect((view["alias"] as Data["inner"]).deep.x).toBe(7);
      expect(JSON.stringify(view.list)).toBe('[1,2,{"a":3}]');
      expect(Array.isArray(view.list)).toBe(true);
      expect({ ...view.inner.deep }).toEqual({ x: 7 });
      expect(Object.getOwnPropertyDescriptor(view, "inner")?.value).toBe(view.inner);
      expect(structuredClone(JSON.parse(JSON.stringify(view)))).toMatchObject({ n: 1 });
    });
  });

  it("follows an object that was moved before it was changed", () => {
    const data = done((view) => {
      const last = view.list[2] as { a: number };
      view.list.unshift("new");
      last.a = 10;
    });
    expect(data.list).toEqual(["new", 1, 2, { a: 10 }]);
  });

  it("leaves out what is set to undefined, as JSON does", () => {
    expect(
      Object.hasOwn(
        done((view) => (view["n"] = undefined as unknown as number)),
        "n",
      ),
    ).toBe(false);
  });

  it.each<[string, Change]>([
    ["a Map", (data) => (data["x"] = new Map())],
    ["NaN", (data) => (data.n = Number.NaN)],
    ["a function", (data) => (data["x"] = () => 1)],
    ["undefined in a list", (data) => data.list.push(undefined)],
    ["a hole by deleting", (data) => Reflect.deleteProperty(data.list, 0)],
    ["a hole by leaving out", (data) => (data.list[9] = 1)],
    ["a hole by a longer length", (data) => (data.list.length = 9)],
    ["a name on a list", (data) => ((data.list as unknown as Record<string, unknown>)["x"] = 1)],
    ["a symbol", (data) => ((data as unknown as Record<symbol, unknown>)[Symbol("s")] = 1)],
    ["a getter", (data) => Object.defineProperty(data, "x", { get: () => 1 })],
    ["a prototype", (data) => void Object.setPrototypeOf(data, null)],
    ["a frozen state", (data) => Object.freeze(data)],
    ["a circle", (data) => (data["self"] = data)],
  ])("is refused and taken back where it would leave %s", (_what, change) => {
    const data = fresh();
    expect(() => changeWhole(data, (view) => change(view as Data))).toThrow(NotPlainError);
    expect(data).toEqual(fresh());
  });

  it("is refused where a state would grow deeper and deeper, one command after the other", () => {
    const data: { top: Json } = { top: {} };
    const deepen = (): void => {
      changeWhole(data, (view) => {
        let at = (view as { top: Record<string, never> }).top as Record<string, Record<string, never>>;
        while (at["next"] !== undefined) at = at["next"];
        at["next"] = {};
      });
    };
    for (let depth = 1; depth < limits.jsonDepthMax - 1; depth++) deepen();
    expect(() => {
      for (let more = 0; more < 10; more++) deepen();
    }).toThrow("deep");
    expect(() => JSON.stringify(data)).not.toThrow();
  });

  it("is refused where what it puts in is deep, and where it puts it is deep as well", () => {
    const nest = (levels: number): Json => (levels === 0 ? 1 : { in: nest(levels - 1) });
    const put = (levels: number): void => {
      const data = { top: nest(100) };
      changeWhole(data, (view) => {
        let at = (view as { top: Record<string, unknown> }).top;
        for (let level = 1; level < 100; level++) at = at["in"] as Record<string, unknown>;
        at["in"] = nest(levels);
      });
    };
    expect(() => {
      put(20);
    }).not.toThrow();
    expect(() => {
      put(60);
    }).toThrow("deep");
  });

  it("ends with its command: a view that was kept can't change the state later", () => {
    let kept: Data | undefined;
    const data = done((view) => (kept = view));
    expect(() => {
      if (kept !== undefined) kept.n = 99;
    }).toThrow("only while its command runs");
    expect(data).toEqual(fresh());
  });
});

describe("a view to read", () => {
  it.each(changes)("refuses to change anything: %s", (_what, change) => {
    const data = fresh();
    expect(() => readOnly(data, (view) => change(view as Data))).toThrow("A query can't change the state.");
    expect(data).toEqual(fresh());
  });

  it("shows everything, and passes on what the query gives and throws", () => {
    expect(readOnly(fresh(), (view) => (view as Data).inner.deep.x)).toBe(1);
    expect(() =>
      readOnly(fresh(), () => {
        throw new Error("no such key");
      }),
    ).toThrow("no such key");
  });
});
