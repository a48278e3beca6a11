/**
 * Goal: the configuration in force is the newest in the log, and the one as of any index is found again, whatever is added,
 * truncated and compacted. Method: small stories, and random ones beside a list that is searched naively.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { agentId, membersOf, type LogIndex, type Members } from "../core/index.ts";
import { Configurations } from "./configurations.ts";

const group = (...names: string[]): Members => membersOf(names.map((name) => agentId(name)));
const at = (index: number): LogIndex => index as LogIndex;

describe("the configurations of a log", () => {
  test("the newest is in force as soon as it is there, and each is found as of its index", () => {
    const configurations = new Configurations(group("a"));
    configurations.add(at(5), group("a", "b"));
    configurations.add(at(9), group("b"));
    expect(configurations.newest).toEqual(group("b"));
    expect(configurations.newestIndex).toBe(9);
    expect(configurations.previous).toEqual(group("a", "b"));
    const found = [0, 4, 5, 8, 9, 100].map((index) => configurations.at(at(index)).voters.join(""));
    expect(found).toEqual(["a", "a", "ab", "ab", "b", "b"]);
  });

  test("truncation brings back the one before, but never takes the one that the log starts from", () => {
    const configurations = new Configurations(group("a"));
    configurations.add(at(5), group("a", "b"));
    configurations.add(at(9), group("b"));
    configurations.truncate(at(9));
    expect(configurations.newestIndex).toBe(9);
    configurations.truncate(at(8));
    expect(configurations.newest).toEqual(group("a", "b"));
    configurations.truncate(at(0));
    expect(configurations.newest).toEqual(group("a"));
    expect(configurations.previous).toBeUndefined();
  });

  test("a new start takes the place of all before it and keeps those behind it", () => {
    const configurations = new Configurations(group("a"));
    configurations.add(at(5), group("a", "b"));
    configurations.add(at(9), group("b"));
    configurations.startAt(at(7), group("a", "b"));
    expect(configurations.newest).toEqual(group("b"));
    expect(configurations.previous).toEqual(group("a", "b"));
    expect(() => configurations.at(at(6))).toThrow("before the log starts");
    configurations.startAt(at(20), group("c"));
    expect(configurations.newest).toEqual(group("c"));
    expect(configurations.newestIndex).toBe(20);
  });

  test("they come in the order of the log", () => {
    const configurations = new Configurations(group("a"));
    configurations.add(at(5), group("b"));
    expect(() => configurations.add(at(5), group("c"))).toThrow("in the order of the log");
  });

  test("a naive list agrees, whatever happens", () => {
    const step = fc.record({
      kind: fc.constantFrom("add", "truncate", "startAt"),
      distance: fc.integer({ min: 0, max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const founding = group("a0");
        const configurations = new Configurations(founding);
        let list = [{ index: 0, members: founding }];
        for (const [position, { kind, distance }] of steps.entries()) {
          const last = list.at(-1)!.index;
          const members = group(`a${position + 1}`);
          if (kind === "add") {
            configurations.add(at(last + 1 + distance), members);
            list.push({ index: last + 1 + distance, members });
          } else if (kind === "truncate") {
            const bound = Math.max(list[0]!.index, last - distance);
            configurations.truncate(at(bound));
            list = list.filter(({ index }) => index <= bound);
          } else {
            const start = Math.max(list[0]!.index, last - distance);
            configurations.startAt(at(start), members);
            list = [{ index: start, members }, ...list.filter(({ index }) => index > start)];
          }
          expect(configurations.newest).toBe(list.at(-1)!.members);
          expect(configurations.newestIndex).toBe(list.at(-1)!.index);
          for (let index = list[0]!.index; index < list.at(-1)!.index + 3; index++) {
            const naive = list.findLast((one) => one.index <= index)!.members;
            expect(configurations.at(at(index))).toBe(naive);
          }
        }
      }),
    );
  });
});
