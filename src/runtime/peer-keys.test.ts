/** Who comes under a known name with another key has lost its memory: it is let in only once the group went on without it. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { agentId, groupName, type LogIndex } from "../core/ids.ts";
import { enterJoint, leaveJoint, membersOf, planMembers, type Members } from "../core/members.ts";
import { PeerKeys } from "./peer-keys.ts";

const [a, b, c] = ["a", "b", "c"].map(agentId) as [ReturnType<typeof agentId>, never, never];
const main = groupName("main");
const index = (value: number): LogIndex => value as LogIndex;
const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-keys-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

let waiting: (() => void)[] = [];
let failures: unknown[] = [];
beforeEach(() => {
  waiting = [];
  failures = [];
});

function open(): PeerKeys {
  return new PeerKeys(folder, {
    schedule: (task) => waiting.push(task),
    failed: (error) => failures.push(error),
  });
}

/** What is going on is over. */
function turnEnds(): void {
  for (const task of waiting.splice(0)) task();
}

/** The members of each group, as the disk has them; undefined: there is no file. */
function written(): Record<string, string[]> | undefined {
  const path = join(folder, "peers.json");
  if (!existsSync(path)) return undefined;
  const { groups } = JSON.parse(readFileSync(path, "utf8")) as {
    groups: Record<string, { members: string[] }>;
  };
  return Object.fromEntries(Object.entries(groups).map(([name, { members }]) => [name, members]));
}

function withoutB(): readonly [Members, Members] {
  const planned = planMembers(membersOf([a, b, c]), { steps: [{ kind: "removed", id: b }] });
  if (planned.kind !== "members") throw new Error("b may go");
  const joint = enterJoint(planned.members);
  return [joint, leaveJoint(joint)];
}

describe("a peer's key", () => {
  test("pitfall 26: is kept when it is first shown, also over a restart, and another one is refused", () => {
    expect(open().admit(b, key(1))).toBeUndefined();
    const keys = open();
    expect(keys.admit(b, key(1))).toBeUndefined();
    expect(keys.admit(b, key(2))).toMatchObject({ code: "DENIED" });
    expect(keys.admit(c, key(2))).toBeUndefined();
    // A program of the first version shows none.
    expect(keys.admit(b, undefined)).toBeUndefined();
  });

  test("pitfall 26: is forgotten once every group that had the member has decided to go on without it, and not before", () => {
    const keys = open();
    keys.admit(b, key(1));
    const [joint, alone] = withoutB();
    keys.decided(groupName("other"), index(1), membersOf([a, b]));
    keys.decided(main, index(5), joint);
    expect(keys.admit(b, key(2))).toBeDefined();
    keys.decided(main, index(6), alone);
    expect(keys.admit(b, key(2)), "the other group still has it").toBeDefined();
    keys.decided(groupName("other"), index(2), membersOf([a]));
    expect(keys.admit(b, key(2))).toBeUndefined();
    expect(keys.admit(b, key(1)), "the new one is the one that counts").toBeDefined();
  });

  test("pitfall 26: is not forgotten again where an old decision is told again after a restart", () => {
    const keys = open();
    const [joint, alone] = withoutB();
    keys.decided(main, index(5), joint);
    keys.decided(main, index(6), alone);
    keys.decided(main, index(9), membersOf([a, b, c]));
    keys.admit(b, key(2));
    const later = open();
    later.decided(main, index(5), joint);
    later.decided(main, index(6), alone);
    expect(later.admit(b, key(3))).toBeDefined();
  });

  test("in a file that does not hold what it should is an error, not a clean slate", () => {
    open().admit(b, key(1));
    const path = join(folder, "peers.json");
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ format: 1 });
    for (const [text, code] of [
      ["{", "DATA_CORRUPT"],
      ['{"format":2}', "DATA_VERSION"],
      ['{"format":1}', "DATA_CORRUPT"],
    ]) {
      writeFileSync(path, text ?? "");
      expect(() => open()).toThrow(expect.objectContaining({ code }));
    }
  });
});

describe("what groups have decided", () => {
  const names = ["one", "two", "three"].map(groupName);

  test("is written once for all that decide in the same turn, after it", () => {
    const keys = open();
    for (const name of names) keys.decided(name, index(1), membersOf([a, b]));
    expect(written()).toBeUndefined();
    expect(waiting).toHaveLength(1);
    turnEnds();
    expect(written()).toEqual({ one: [a, b], two: [a, b], three: [a, b] });
    keys.decided(main, index(1), membersOf([c]));
    expect(waiting).toHaveLength(1);
  });

  test("is not written where the same take part as before; what follows is told from the last that was", () => {
    const keys = open();
    keys.decided(main, index(5), membersOf([a, b]));
    turnEnds();
    keys.decided(main, index(7), membersOf([b, a]));
    expect(waiting).toEqual([]);
    keys.decided(main, index(6), membersOf([a]));
    expect(waiting, "it is known all the same, so nothing old counts").toEqual([]);
    keys.decided(main, index(8), membersOf([a]));
    turnEnds();
    expect(written()).toEqual({ main: [a] });
  });

  test("goes to the disk with a key that is shown, which can't wait", () => {
    const keys = open();
    keys.decided(main, index(5), membersOf([a, b]));
    keys.admit(b, key(1));
    expect(written()).toEqual({ main: [a, b] });
    rmSync(join(folder, "peers.json"));
    turnEnds();
    expect(written(), "there is nothing left to write").toBeUndefined();
  });

  test("and lost in a crash before that, is told again: until then the old key is the one that counts", () => {
    const keys = open();
    keys.decided(main, index(1), membersOf([a, b]));
    keys.admit(b, key(1));
    keys.decided(main, index(6), membersOf([a]));
    const later = open();
    expect(later.admit(b, key(2))).toBeDefined();
    later.decided(main, index(6), membersOf([a]));
    expect(later.admit(b, key(2))).toBeUndefined();
  });

  test("is tried again where it can't be written, and meanwhile no key is kept that the disk does not have", () => {
    const inTheWay = join(folder, "peers.json.new");
    mkdirSync(inTheWay);
    const keys = open();
    keys.decided(main, index(5), membersOf([a, b]));
    turnEnds();
    expect(failures).toHaveLength(1);
    expect(() => keys.admit(b, key(1))).toThrow("EISDIR");
    rmdirSync(inTheWay);
    expect(keys.admit(b, key(2))).toBeUndefined();
    expect(written()).toEqual({ main: [a, b] });
    keys.decided(names[0]!, index(1), membersOf([c]));
    keys.flush();
    expect(written()).toEqual({ main: [a, b], one: [c] });
  });
});
