/** What clients were told against what was decided: each promise to a client, broken once. */
import { beforeEach, describe, expect, it } from "vitest";
import { encodeWith } from "../core/machine.ts";
import { encodeText } from "../core/text.ts";
import { encodeAnswer } from "../state/answers.ts";
import { mapAnswerCodec, mapCommands, type MapAnswer } from "../state/map-codec.ts";
import { ClusterChecker, type DecidedEntry } from "./cluster-checker.ts";
import { History } from "./history.ts";
import { MapModel } from "./map-model.ts";
import { Violation, type Invariant } from "./violation.ts";

const entry = (sequence: number, session = 3): DecidedEntry => ({
  term: 1,
  checksum: 0,
  kind: "command",
  session,
  sequence,
});

/** A cluster in which these entries are decided. */
class Decided extends ClusterChecker {
  readonly entries = new Map<number, DecidedEntry>();
  override decided(index: number): DecidedEntry | undefined {
    return this.entries.get(index);
  }
}

function violates(invariant: Invariant, act: () => void): void {
  let found: unknown;
  try {
    act();
  } catch (error) {
    found = error;
  }
  expect(found).toBeInstanceOf(Violation);
  expect((found as Violation).invariant).toBe(invariant);
}

let cluster: Decided;
let history: History;
beforeEach(() => {
  cluster = new Decided([], 0);
  history = new History(cluster, 2);
});

describe("exactly once", () => {
  const answered = (index: number): Uint8Array => encodeAnswer("answered", index);

  it("each agent lets a session's commands take effect in order; a repeat answers with the first index", () => {
    for (const agent of [0, 1]) {
      history.applied(agent, 10, entry(1), answered(10), undefined);
      history.applied(agent, 11, entry(1), answered(10), undefined);
      history.applied(agent, 12, entry(2), answered(12), undefined);
    }
    expect(history.answers).toBe(0);
  });

  it("finds a second effect, by what the machine did or by what the answer says", () => {
    history.applied(0, 10, entry(1), answered(10), undefined);
    violates("exactlyOnce", () => history.applied(0, 11, entry(1), answered(11), undefined));
    const ran = {
      command: mapCommands.put("k", encodeText("1")),
      answer: encodeWith(mapAnswerCodec, { kind: "put", version: 12 }),
    };
    violates("exactlyOnce", () => history.applied(0, 12, entry(1), answered(10), ran));
  });

  it("finds an effect before the one that is due", () => {
    violates("exactlyOnce", () => history.applied(0, 10, entry(2), answered(10), undefined));
  });

  it("begins anew where an agent restarts, and leaves refusals out", () => {
    history.applied(0, 10, entry(1), answered(10), undefined);
    history.restarted(0);
    history.applied(0, 9, entry(2), encodeAnswer("outOfOrder", 9, new Uint8Array(8)), undefined);
    history.applied(0, 10, entry(1), answered(10), undefined);
    expect(() =>
      history.applied(0, 11, { ...entry(9), kind: "noop" }, new Uint8Array(0), undefined),
    ).not.toThrow();
  });
});

describe("a state that begins from a snapshot", () => {
  const answered = (index: number): Uint8Array => encodeAnswer("answered", index);

  beforeEach(() => {
    history.applied(0, 10, entry(1), answered(10), undefined);
    history.applied(0, 11, entry(2), answered(11), undefined);
    history.applied(0, 12, entry(1, 4), answered(12), undefined);
    history.digest(0, 11, Uint8Array.of(7));
  });

  it("has had every effect up to there, and none behind it", () => {
    history.restored(1, 11, Uint8Array.of(7));
    violates("exactlyOnce", () => history.applied(1, 12, entry(2), answered(12), undefined));
    history.restored(1, 11, Uint8Array.of(7));
    history.applied(1, 12, entry(1, 4), answered(12), undefined);
    history.applied(1, 13, entry(3), answered(13), undefined);
  });

  it("is the state that its taker had there", () => {
    violates("equalDigests", () => history.restored(1, 11, Uint8Array.of(8)));
    violates("equalDigests", () => history.restored(1, 12, Uint8Array.of(7)));
  });
});

describe("acknowledged", () => {
  it("is what is decided at the index that the answer names", () => {
    cluster.entries.set(10, entry(1));
    expect(history.answered(3, 1, encodeAnswer("answered", 10))).toMatchObject({
      kind: "answered",
      index: 10,
    });
    expect(history.acknowledged).toBe(10);
    violates("acknowledgedKept", () => history.answered(3, 2, encodeAnswer("answered", 10)));
    violates("acknowledgedKept", () => history.answered(3, 1, encodeAnswer("answered", 11)));
  });

  it("stays what it was when it is told again", () => {
    cluster.entries.set(10, entry(1));
    history.answered(3, 1, encodeAnswer("answered", 10, encodeText("x")));
    history.answered(3, 1, encodeAnswer("answered", 10, encodeText("x")));
    violates("acknowledgedKept", () => history.answered(3, 1, encodeAnswer("answered", 10, encodeText("y"))));
  });

  it("is nothing where the answer says that nothing was done", () => {
    expect(history.answered(3, 1, encodeAnswer("sessionExpired", 10)).kind).toBe("sessionExpired");
    expect(history.acknowledged).toBe(0);
  });
});

describe("digests", () => {
  it("are equal at equal indices, on every agent", () => {
    history.digest(0, 8, Uint8Array.of(1));
    history.digest(1, 8, Uint8Array.of(1));
    history.digest(1, 16, Uint8Array.of(2));
    violates("equalDigests", () => history.digest(0, 16, Uint8Array.of(3)));
  });
});

describe("the model of the map", () => {
  let model: MapModel;
  const does = (index: number, command: Uint8Array, answer: MapAnswer): void =>
    model.applied(index, command, encodeWith(mapAnswerCodec, answer));
  beforeEach(() => {
    model = new MapModel();
    does(2, mapCommands.put("k", encodeText("a")), { kind: "put", version: 2 });
    does(5, mapCommands.delete("k"), { kind: "deleted" });
    does(7, mapCommands.cas("k", 0, encodeText("b")), { kind: "swapped", version: 7 });
  });

  it("has an opinion on every answer", () => {
    does(8, mapCommands.cas("k", 3, encodeText("c")), {
      kind: "conflict",
      version: 7,
      value: encodeText("b"),
    });
    does(9, mapCommands.delete("none"), { kind: "absent" });
    violates("equalDigests", () =>
      does(10, mapCommands.cas("k", 3, encodeText("c")), { kind: "swapped", version: 10 }),
    );
    expect(() => does(2, mapCommands.delete("k"), { kind: "absent" })).not.toThrow();
  });

  it("accepts a read of what the key held at or after the floor", () => {
    model.checkRead("k", 0, undefined, 0);
    model.checkRead("k", 2, encodeText("a"), 4);
    model.checkRead("k", 0, undefined, 6);
    model.checkRead("k", 7, encodeText("b"), 1000);
    model.checkRead("other", 0, undefined, 1000);
  });

  it("finds a read of what was history before it began", () => {
    violates("linearizable", () => model.checkRead("k", 0, undefined, 2 + 5));
    violates("linearizable", () => model.checkRead("k", 2, encodeText("a"), 5));
    violates("linearizable", () => model.checkRead("k", 0, undefined, 7));
  });

  it("finds a read of what never was", () => {
    violates("linearizable", () => model.checkRead("k", 3, encodeText("a"), 0));
    violates("linearizable", () => model.checkRead("k", 7, encodeText("z"), 0));
  });
});
