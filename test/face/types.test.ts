import { expectTypeOf, test } from "vitest";
import {
  createConsensus,
  defineMachine,
  map,
  type Call,
  type CasAnswer,
  type Decision,
  type Group,
  type Host,
  type Log,
  type MapChange,
  type Mechanism,
  type ReadCall,
  type Status,
} from "../../src/index.ts";

// Compiled by `npm run types`; a wrong type is an error there, and what must not compile is marked as expected to fail.

const counter = defineMachine({
  version: 1,
  initial: () => ({ n: 0 }),
  commands: { add: (state, by: number) => (state.n += by), reset: (state) => void (state.n = 0) },
  queries: { value: (state) => state.n, above: (state, limit?: number) => state.n > (limit ?? 0) },
});

interface Named {
  readonly config: ReturnType<typeof map<string>>;
}

function never<T>(): T {
  throw new Error("never called");
}

test("a mechanism decides the handle's type", () => {
  expectTypeOf<Mechanism>().toEqualTypeOf<"raft">();
  const raft = (): unknown => createConsensus("raft", "a", []);
  expectTypeOf(raft).returns.toBeUnknown();
  expectTypeOf(createConsensus<"raft">).returns.toEqualTypeOf<Log>();
  const byName: (name: string) => Group = (name) => createConsensus(name, "a", []);
  expectTypeOf(byName).returns.toEqualTypeOf<Group>();
});

test("certificate() does not exist on a raft decision", () => {
  expectTypeOf<Decision<number>>().not.toHaveProperty("certificate");
  expectTypeOf<Decision<number>>().toHaveProperty("states");
  type Submitted = ReturnType<Log["submit"]>;
  expectTypeOf<Submitted>().not.toHaveProperty("certificate");
});

test("what does not exist yet is absent", () => {
  expectTypeOf<Log>().not.toHaveProperty("startGossip");
  expectTypeOf<Host>().not.toHaveProperty("policy");
});

test("states have the faces of their kinds, and unknown names don't compile", () => {
  const use = (): void => {
    const group = createConsensus("raft", "a", [], { state: { config: map<string>(), counter } });
    type Put = (typeof group.state.config)["put"];
    expectTypeOf<Parameters<Put>>().toEqualTypeOf<[key: string, value: string, call?: Call | undefined]>();
    expectTypeOf(group.state.config.cas("k", 0, "v")).toEqualTypeOf<Promise<CasAnswer<string>>>();
    expectTypeOf(group.state.config.watch("")).toEqualTypeOf<AsyncIterable<MapChange<string>>>();
    expectTypeOf(group.state.counter.add).parameters.toEqualTypeOf<[argument: number, options?: Call]>();
    expectTypeOf(group.state.counter.add(1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(group.state.counter.reset()).toEqualTypeOf<Promise<undefined>>();
    expectTypeOf(group.state.counter.value).parameters.toEqualTypeOf<
      [argument?: undefined, options?: ReadCall]
    >();
    expectTypeOf(group.state.counter.above).parameters.toEqualTypeOf<
      [argument?: number | undefined, options?: ReadCall]
    >();
    // @ts-expect-error -- there is no such state
    void group.state.other;
    // @ts-expect-error -- the map holds texts
    void group.state.config.put("k", 5);
    // @ts-expect-error -- it takes a number
    void group.state.counter.add("one");
    // @ts-expect-error -- it takes an argument
    void group.state.counter.add();
    const bare = createConsensus("raft", "a", []);
    // @ts-expect-error -- no states were given
    void bare.state.config;
  };
  expectTypeOf(use).returns.toBeVoid();
});

test("a machine that is defined where it is used has the same types", () => {
  const use = (): void => {
    const group = createConsensus("raft", "a", [], {
      state: {
        counter: defineMachine({
          version: 1,
          initial: () => ({ n: 0 }),
          commands: { add: (state, by: number) => (state.n += by) },
          queries: { value: (state) => state.n },
        }),
      },
    });
    expectTypeOf(group.state.counter.add(1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(group.state.counter.value()).toEqualTypeOf<Promise<number>>();
  };
  expectTypeOf(use).returns.toBeVoid();
});

test("an interface of states will do, and peers have the same type", () => {
  type Use = (log: Log<Named>) => Promise<number>;
  const use: Use = async (log) => (await log.peer("b").state.config.put("k", "v")) satisfies number;
  expectTypeOf(use).toEqualTypeOf<Use>();
});

test("a host's groups are typed in the same way", () => {
  const use = (): void => {
    const host = never<Host>();
    const main = host.group("main", { mechanism: "raft", state: { config: map<{ n: number }>() } });
    expectTypeOf(main.state.config.get("k")).resolves.toEqualTypeOf<
      { readonly value: { n: number }; readonly version: number } | undefined
    >();
    expectTypeOf(main.status()).toEqualTypeOf<Status>();
    // @ts-expect-error -- not built in
    host.group("main", { mechanism: "pbft" });
  };
  expectTypeOf(use).returns.toBeVoid();
});

test("values keep their types", () => {
  const use = (): void => {
    const log = never<Log>();
    expectTypeOf(log.propose({ pay: 5 })).resolves.toEqualTypeOf<{ pay: number }>();
    expectTypeOf(log.submit("x").result()).resolves.toEqualTypeOf<"x">();
    // @ts-expect-error -- not plain data
    void log.propose(new Map());
    // @ts-expect-error -- not plain data
    map<Date>();
  };
  expectTypeOf(use).returns.toBeVoid();
});
