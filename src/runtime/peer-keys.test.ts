/** Who comes under a known name with another key has lost its memory: it is let in only once the group went on without it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

function withoutB(): readonly [Members, Members] {
  const planned = planMembers(membersOf([a, b, c]), { steps: [{ kind: "removed", id: b }] });
  if (planned.kind !== "members") throw new Error("b may go");
  const joint = enterJoint(planned.members);
  return [joint, leaveJoint(joint)];
}

describe("a peer's key", () => {
  test("pitfall 26: is kept when it is first shown, also over a restart, and another one is refused", () => {
    expect(new PeerKeys(folder).admit(b, key(1))).toBeUndefined();
    const keys = new PeerKeys(folder);
    expect(keys.admit(b, key(1))).toBeUndefined();
    expect(keys.admit(b, key(2))).toMatchObject({ code: "DENIED" });
    expect(keys.admit(c, key(2))).toBeUndefined();
    // A program of the first version shows none.
    expect(keys.admit(b, undefined)).toBeUndefined();
  });

  test("pitfall 26: is forgotten once every group that had the member has decided to go on without it, and not before", () => {
    const keys = new PeerKeys(folder);
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
    const keys = new PeerKeys(folder);
    const [joint, alone] = withoutB();
    keys.decided(main, index(5), joint);
    keys.decided(main, index(6), alone);
    keys.decided(main, index(9), membersOf([a, b, c]));
    keys.admit(b, key(2));
    const later = new PeerKeys(folder);
    later.decided(main, index(5), joint);
    later.decided(main, index(6), alone);
    expect(later.admit(b, key(3))).toBeDefined();
  });

  test("in a file that does not hold what it should is an error, not a clean slate", () => {
    new PeerKeys(folder).admit(b, key(1));
    const path = join(folder, "peers.json");
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ format: 1 });
    for (const [text, code] of [
      ["{", "DATA_CORRUPT"],
      ['{"format":2}', "DATA_VERSION"],
      ['{"format":1}', "DATA_CORRUPT"],
    ]) {
      writeFileSync(path, text ?? "");
      expect(() => new PeerKeys(folder)).toThrow(expect.objectContaining({ code }));
    }
  });
});
