import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hex, recut, restore, StateLog } from "../../test/support/state-log.ts";
import { type ApplyContext, limits, MalformedError } from "../core/index.ts";
import { decodeAnswer } from "./answers.ts";
import { decodeResult, defineMachine, encodeCall, machineFrom } from "./define-machine.ts";
import { encodeQuestion } from "./envelope.ts";

interface Account {
  owner: string;
  cents: number;
  notes: string[];
}

interface Bank {
  accounts: Record<string, Account>;
  order: string[];
  total: number;
}

const bank = defineMachine({
  version: 1,
  initial: (): Bank => ({ accounts: {}, order: [], total: 0 }),
  commands: {
    open(state, { id, owner }: { id: string; owner: string }) {
      if (state.accounts[id] !== undefined) throw new Error("that account exists");
      state.accounts[id] = { owner, cents: 0, notes: [] };
      state.order.push(id);
      return state.accounts[id];
    },
    move(state, { from, to, cents }: { from: string; to: string; cents: number }) {
      // Writes first and checks afterwards: what it wrote must be taken back.
      const source = state.accounts[from]!;
      source.cents -= cents;
      source.notes.push(`out ${cents}`);
      state.accounts[to]!.cents += cents;
      if (source.cents < 0) throw new Error("not enough");
      return source.cents;
    },
    put(state, { id, cents }: { id: string; cents: number }) {
      state.accounts[id]!.cents += cents;
      state.total += cents;
      return state.total;
    },
    close(state, id: string) {
      delete state.accounts[id];
      state.order.splice(state.order.indexOf(id), 1);
    },
    stamp: (_state, _nothing: undefined, context: ApplyContext) => [
      context.index,
      context.proposer,
      context.time,
    ],
  },
  queries: {
    cents: (state, id: string) => state.accounts[id]?.cents ?? null,
    all: (state) => state,
    when: (_state, _nothing: undefined, context: ApplyContext) => [context.index, context.time],
    meddle(state) {
      state.total = 1_000_000;
    },
  },
});

/** A machine in a log, spoken to by the names of its commands. */
class Subject {
  readonly log: StateLog;
  readonly #session: number;
  #sequence = 0;
  readonly #definition: Parameters<typeof machineFrom>[0];

  constructor(definition: Parameters<typeof machineFrom>[0]) {
    this.#definition = definition;
    this.log = new StateLog({ m: machineFrom(definition) });
    this.#session = this.log.open(1);
  }

  /** The result, or `rejected: why`. */
  call(name: string, argument?: unknown): unknown {
    const command = encodeCall(this.#definition, name, argument);
    this.#sequence += 1;
    const answer = this.log.command(this.#session, this.#sequence, command, { machine: "m" });
    if (answer.kind === "answered") return decodeResult(answer.bytes);
    return answer.kind === "rejected" ? `rejected: ${answer.message}` : answer.kind;
  }

  ask(name: string, argument?: unknown): unknown {
    const question = encodeQuestion("m", encodeCall(this.#definition, name, argument));
    const answer = decodeAnswer(this.log.state.query(question));
    if (answer.kind === "answered") return decodeResult(answer.bytes);
    return answer.kind === "rejected" ? `rejected: ${answer.message}` : answer.kind;
  }
}

function opened(): Subject {
  const subject = new Subject(bank);
  subject.call("open", { id: "a", owner: "ann" });
  subject.call("open", { id: "b", owner: "bob" });
  subject.call("put", { id: "a", cents: 100 });
  return subject;
}

describe("a machine of one's own", () => {
  it("is its commands and queries, and plain data in and out", () => {
    const subject = opened();
    expect(subject.call("move", { from: "a", to: "b", cents: 30 })).toBe(70);
    expect(subject.ask("cents", "b")).toBe(30);
    expect(subject.ask("cents", "nobody")).toBeNull();
    expect(subject.call("close", "b")).toBeUndefined();
    expect(subject.ask("all")).toEqual({
      accounts: { a: { owner: "ann", cents: 70, notes: ["out 30"] } },
      order: ["a"],
      total: 100,
    });
  });

  it("S7: takes back all that a command wrote before it threw", () => {
    const subject = opened();
    const before = subject.ask("all");
    expect(subject.call("move", { from: "b", to: "a", cents: 1 })).toBe("rejected: not enough");
    expect(subject.call("move", { from: "a", to: "nobody", cents: 1 })).toBe(
      "rejected: The machine threw a TypeError.",
    );
    expect(subject.call("open", { id: "a", owner: "eve" })).toBe("rejected: that account exists");
    expect(subject.ask("all")).toEqual(before);
  });

  it("is told about its entry; a query about the last command that took effect", () => {
    const subject = opened();
    const stamp = subject.call("stamp") as [number, string, number];
    expect(stamp[1]).toBe("ann");
    expect(subject.ask("when")).toEqual([stamp[0], stamp[2]]);
    subject.call("open", { id: "a", owner: "eve" });
    expect(subject.ask("when")).toEqual([stamp[0], stamp[2]]);
  });

  it("is not changed by a query, though one tries", () => {
    const subject = opened();
    expect(subject.ask("meddle")).toBe("rejected: A query can't change the state.");
    expect(subject.ask("all")).toMatchObject({ total: 100 });
  });

  it("knows only the names that it defines: nothing that every object has", () => {
    const subject = opened();
    for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty", "nothing"]) {
      expect(() => subject.call(name)).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
    }
    const unchecked = encodeCall({ ...bank, commands: { constructor: () => 1 } }, "constructor", undefined);
    const answer = subject.log.command(1, 4, unchecked, { machine: "m" });
    expect(answer).toMatchObject({
      kind: "rejected",
      message: "the machine has no command or query of that name",
    });
    const asCommand = subject.log.command(1, 5, encodeCall(bank, "cents", "a"), { machine: "m" });
    expect(asCommand.kind).toBe("rejected");
  });

  it("refuses two things of one name, and a version that is none", () => {
    const both = { version: 1, initial: () => ({}), commands: { x: () => 1 }, queries: { x: () => 2 } };
    expect(() => defineMachine(both)).toThrow('"x" is both a command and a query');
    for (const version of [-1, 1.5, 2 ** 32, Number.NaN]) {
      expect(() => defineMachine({ ...both, queries: {}, version })).toThrow(
        expect.objectContaining({ code: "BAD_OPTION" }),
      );
    }
  });

  it("has types that follow from its definition", () => {
    const counter = defineMachine({
      version: 1,
      initial: () => ({ n: 0 }),
      commands: { add: (state, by: number) => (state.n += by) },
      queries: { value: (state) => state.n },
    });
    const added: number = counter.commands.add({ n: 1 }, 2);
    expect(added).toBe(3);
    // @ts-expect-error -- a text can't be added
    const wrong = (): number => counter.commands.add({ n: 1 }, "2");
    expect(wrong).toBeTypeOf("function");
  });

  it("rejects an answer that is too large or not plain, and takes back what came before it", () => {
    const strange = defineMachine({
      version: 1,
      initial: () => ({ n: 0 }),
      commands: {
        large: (state) => "x".repeat(limits.entryBytesMax + (state.n += 1)),
        later: (state) => {
          state.n += 1;
          return Promise.resolve(1);
        },
        fine: (state) => (state.n += 1),
      },
      queries: {},
    });
    const subject = new Subject(strange);
    expect(subject.call("large")).toBe("rejected: the answer is larger than an entry may be");
    expect(subject.call("later")).toMatch(/^rejected: An object has a class/);
    expect(subject.call("fine")).toBe(1);
  });

  it("may hold a mere number, which then never changes", () => {
    const seven = defineMachine({
      version: 1,
      initial: () => 7,
      commands: { nothing: () => null },
      queries: { get: (n) => n },
    });
    const subject = new Subject(seven);
    expect(subject.call("nothing")).toBeNull();
    expect(subject.ask("get")).toBe(7);
  });

  it("has to start from plain data", () => {
    const dated = { version: 1, initial: () => ({ at: new Map() }), commands: {}, queries: {} };
    expect(() => machineFrom(dated)).toThrow("An object has a class");
  });
});

describe("snapshots and digests of one's own machine", () => {
  const act = fc.record({
    name: fc.constantFrom("open", "put", "move", "close"),
    id: fc.constantFrom("a", "b", "c"),
    to: fc.constantFrom("a", "b", "c"),
    cents: fc.integer({ min: -5, max: 20 }),
  });
  const play = (
    subject: Subject,
    { name, id, to, cents }: { name: string; id: string; to: string; cents: number },
  ): void => {
    const argument = {
      open: { id, owner: "o" },
      put: { id, cents },
      move: { from: id, to, cents },
      close: id,
    }[name];
    subject.call(name, argument);
  };

  it("S9, S10: a restored one is the same, and goes on the same", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 25 }), fc.array(act, { maxLength: 10 }), (before, after) => {
        const subject = new Subject(bank);
        for (const each of before) play(subject, each);
        const restored = new Subject(bank);
        restored.log.state.restore(recut(subject.log.state.snapshot(), 17));
        expect(hex(restored.log.state.digest())).toBe(hex(subject.log.state.digest()));
        const at = subject.log.entries.length;
        for (const each of after) play(subject, each);
        for (const entry of subject.log.entries.slice(at)) restored.log.state.apply(entry, 0);
        expect(hex(restored.log.state.digest())).toBe(hex(subject.log.state.digest()));
        expect(JSON.stringify(restored.ask("all")), "the order of keys too").toBe(
          JSON.stringify(subject.ask("all")),
        );
      }),
      { numRuns: 60 },
    );
  });

  it("S10: a snapshot stays as it was while commands go on", () => {
    const subject = opened();
    const digest = hex(subject.log.state.digest());
    const snapshot = subject.log.state.snapshot();
    subject.call("put", { id: "b", cents: 1 });
    const restored = new Subject(bank);
    restored.log.state.restore(snapshot);
    expect(hex(restored.log.state.digest())).toBe(digest);
  });

  it("S9: the digest is that of the state as it is, also where it was asked for before", () => {
    const [asking, other] = [opened(), opened()];
    const before = hex(asking.log.state.digest());
    for (const subject of [asking, other]) subject.call("put", { id: "b", cents: 1 });
    expect(hex(asking.log.state.digest())).not.toBe(before);
    expect(hex(asking.log.state.digest())).toBe(hex(other.log.state.digest()));
  });

  it("S9: equal states have equal digests, in whatever order their keys came", () => {
    const flags = defineMachine({
      version: 1,
      initial: (): Record<string, number> => ({}),
      commands: { set: (state, name: string) => (state[name] = 1) },
      queries: {},
    });
    const keys = (order: readonly string[]): string => {
      const machine = machineFrom(flags);
      const context = { index: 5, proposer: "", time: 7, random: () => 0 };
      for (const name of order) machine.apply({ name: "set", argument: name }, context);
      return hex(machine.digest());
    };
    expect(keys(["a", "b"])).toBe(keys(["b", "a"]));
    expect(keys(["a"])).not.toBe(keys(["b"]));
  });

  it("S11: what is not its own is refused, and the state kept", () => {
    const machine = machineFrom(bank);
    const before = hex(machine.digest());
    const whole = recut(machineFrom(bank).snapshot(), 1 << 16)[0]!;
    for (let length = 0; length < whole.byteLength; length++) {
      expect(() => {
        restore(machine, [whole.subarray(0, length)]);
      }).toThrow(MalformedError);
    }
    expect(() => {
      restore(machine, [whole, Uint8Array.of(0)]);
    }).toThrow("left over");
    expect(hex(machine.digest())).toBe(before);
  });

  it("an older version is migrated, or refused where nobody says how; a newer one is refused", () => {
    const of = (
      version: number,
      migrate?: (old: unknown, from: number) => { n: number },
    ): ReturnType<typeof machineFrom> =>
      machineFrom({
        version,
        initial: () => ({ n: version }),
        commands: {},
        queries: { get: (s: { n: number }) => s.n },
        ...(migrate && { migrate }),
      });
    const migrating = of(3, (old, from) => ({ n: (old as { n: number }).n * 10 + from }));
    restore(migrating, of(2).snapshot());
    expect(migrating.query({ name: "get", argument: undefined })).toBe(22);
    expect(() => {
      restore(of(3), of(2).snapshot());
    }).toThrow("can't migrate");
    expect(() => {
      restore(of(1), of(2).snapshot());
    }).toThrow("a newer version");
  });
});

describe("arguments", () => {
  /** A Standard Schema by hand: what zod, valibot and arktype bring. */
  const schema = (validate: (value: unknown) => unknown): object => ({
    "~standard": { version: 1, vendor: "test", validate },
  });
  const withSchema = (add: unknown): Parameters<typeof encodeCall>[0] => ({
    version: 1,
    initial: () => ({ n: 0 }),
    commands: { add: (state: { n: number }, by: number) => (state.n += by) },
    queries: {},
    schemas: { add },
  });
  const positive = schema((value) =>
    typeof value === "number" && value > 0
      ? { value: value * 2 }
      : { issues: [{ message: "must be positive", path: ["by", { key: "amount" }] }, { message: "sorry" }] },
  );

  it("are checked where they are proposed, and proposed as the schema made them", () => {
    const subject = new Subject(withSchema(positive));
    expect(subject.call("add", 4)).toBe(8);
    expect(() => subject.call("add", -1)).toThrow(
      expect.objectContaining({
        code: "BAD_VALUE",
        outcome: "notDone",
        message: 'The argument of "add" is not valid: by.amount: must be positive; sorry.',
      }),
    );
  });

  it("S12: are not checked where they are applied: agents may have different versions of a schema", () => {
    const never = schema(() => {
      throw new Error("asked where it must not be");
    });
    const log = new StateLog({ m: machineFrom(withSchema(never)) });
    const call = encodeCall({ ...withSchema(positive), schemas: {} }, "add", -5);
    expect(log.command(log.open(1), 1, call, { machine: "m" }).kind).toBe("answered");
  });

  it.each<[string, unknown]>([
    ["no schema at all", 7],
    ["an object that is none", {}],
    ["one without a validator", { "~standard": {} }],
    ["one that answers later", schema(() => Promise.resolve({ value: 1 }))],
    ["one that answers nothing", schema(() => undefined)],
  ])("with %s can't be checked", (_what, wrong) => {
    expect(() => encodeCall(withSchema(wrong), "add", 1)).toThrow(
      expect.objectContaining({ code: "BAD_OPTION" }),
    );
  });

  it("may have a schema that is a function, as arktype's are", () => {
    const callable = Object.assign(
      () => 0,
      schema((value) => ({ value })),
    );
    expect(new Subject(withSchema(callable)).call("add", 3)).toBe(3);
  });

  it("that are not plain data are refused before anything is proposed", () => {
    expect(() => encodeCall(bank, "close", new Map())).toThrow(
      expect.objectContaining({ code: "BAD_VALUE" }),
    );
    expect(() => encodeCall(bank, "put", { id: "a", cents: Number.NaN })).toThrow("not finite");
  });
});
