import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { journalId } from "../../test/support/journal.ts";
import { equalBytes } from "../core/bytes.ts";
import { crc32 } from "../core/checksum.ts";
import { groupName } from "../core/ids.ts";
import { encodeText } from "../core/text.ts";
import { Journal } from "./journal.ts";
import { MemoryDisk } from "./memory-disk.ts";

describe("a disk in memory", () => {
  it("has what was written, zeros in between, and nothing behind the end", () => {
    const write = fc.record({
      at: fc.nat(200_000),
      bytes: fc.uint8Array({ maxLength: 2000 }),
      zeros: fc.nat(70_000),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 12 }), (writes) => {
        const file = new MemoryDisk({ soon: () => undefined }).open("x", "create");
        const model = new Uint8Array(400_000);
        let length = 0;
        for (const { at, bytes, zeros } of writes) {
          for (const part of [new Uint8Array(zeros), bytes]) {
            file.write(at, part);
            model.set(part, at);
            length = Math.max(length, at + part.byteLength);
          }
        }
        expect(file.byteLength()).toBe(length);
        const into = new Uint8Array(400_000).fill(7);
        expect(file.read(0, into)).toBe(length);
        model.fill(7, length);
        expect(equalBytes(into, model)).toBe(true);
        expect(file.read(length + 1, into)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it("names files as a folder does", () => {
    const disk = new MemoryDisk({ soon: () => undefined });
    const file = disk.open("a", "create");
    file.write(0, Uint8Array.of(1));
    expect(() => disk.open("a", "create")).toThrow(expect.objectContaining({ code: "EEXIST" }));
    expect(() => disk.open("b", "existing")).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(() => disk.rename("b", "c")).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(() => disk.remove("b")).toThrow(expect.objectContaining({ code: "ENOENT" }));
    disk.open("b", "create");
    expect(() => disk.rename("a", "b")).toThrow(expect.objectContaining({ code: "EEXIST" }));
    disk.rename("a", "c");
    file.write(1, Uint8Array.of(2));
    expect(disk.open("c", "existing").byteLength()).toBe(2);
    disk.remove("b");
    expect(disk.list()).toEqual(["c"]);
  });

  it("carries a journal: what a closed one had, the next one finds", () => {
    const tasks: (() => void)[] = [];
    const soon = (task: () => void): unknown => tasks.push(task);
    const run = (): void => {
      for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) task();
    };
    const disk = new MemoryDisk({ soon });
    const reports: string[] = [];
    const open = (): Journal =>
      Journal.open({
        disk,
        id: journalId,
        checksum: crc32,
        schedule: soon,
        onDurable: (group, through) => reports.push(`${group}:${through}`),
        onFailure: (error) => {
          throw error;
        },
      });
    const first = open();
    first.append(groupName("a"), { head: encodeText("x"), tail: [] });
    first.flush();
    expect(reports).toEqual([]);
    run();
    expect(reports).toEqual(["a:1"]);
    let closed = false;
    first.close(() => (closed = true));
    run();
    expect(closed).toBe(true);
    expect([...open().recover(groupName("a")).records]).toEqual([encodeText("x")]);
  });
});
