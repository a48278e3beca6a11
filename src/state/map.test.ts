import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hex, recut, restore, value } from "../../test/support/state-log.ts";
import {
  type ApplyContext,
  ByteWriter,
  type Changes,
  decodeText,
  encodeWith,
  limits,
  MalformedError,
} from "../core/index.ts";
import { MapMachine, mapMachine } from "./map.ts";
import {
  decodeMapChange,
  encodeMapFilter,
  encodeRecord,
  mapAnswerCodec,
  mapCommandCodec,
  mapCommands,
  type MapAnswer,
  mapQuestionCodec,
  mapQuestions,
  type MapReply,
  mapReplyCodec,
  writeMapCommand,
} from "./map-codec.ts";

type MapUnderTest = ReturnType<typeof mapMachine>;

/** A map that is spoken to in bytes, as the log does it. */
class Subject {
  index = 0;
  readonly map: MapUnderTest;

  constructor(map: MapUnderTest = mapMachine()) {
    this.map = map;
  }

  command(bytes: Uint8Array): MapAnswer {
    this.index += 1;
    const context: ApplyContext = { index: this.index, proposer: "ann", time: 0, random: () => 0.5 };
    const answer = this.map.apply(mapCommandCodec.decode(bytes), context);
    return mapAnswerCodec.decode(encodeWith(mapAnswerCodec, answer));
  }

  question(bytes: Uint8Array): MapReply {
    return mapReplyCodec.decode(encodeWith(mapReplyCodec, this.map.query(mapQuestionCodec.decode(bytes))));
  }

  changes(prefix: string, from: number, changesMax = 1000): Changes {
    const changes = this.map.changes?.(encodeMapFilter(prefix), from, changesMax);
    if (changes === undefined) throw new Error("a map can be watched");
    return changes;
  }

  keys(prefix = ""): string[] {
    const reply = this.question(mapQuestions.range({ kind: "prefix", prefix }));
    return reply.kind === "entries" ? reply.entries.map(({ key }) => key) : [];
  }

  digest(): string {
    return hex(this.map.digest());
  }
}

const found = (version: number, text: string): MapReply => ({ kind: "found", version, value: value(text) });

describe("a map", () => {
  it("S13: gives back what was put, under the index of the command as its version", () => {
    const subject = new Subject();
    expect(subject.question(mapQuestions.get("model"))).toEqual({ kind: "absent" });
    expect(subject.command(mapCommands.put("model", value("v42")))).toEqual({ kind: "put", version: 1 });
    expect(subject.command(mapCommands.put("model", value("v43")))).toEqual({ kind: "put", version: 2 });
    expect(subject.question(mapQuestions.get("model"))).toEqual(found(2, "v43"));
    expect(subject.question(mapQuestions.size())).toEqual({ kind: "size", size: 1 });
  });

  it("S13: forgets what was deleted, and says whether there was anything", () => {
    const subject = new Subject();
    subject.command(mapCommands.put("a", value("1")));
    expect(subject.command(mapCommands.delete("a"))).toEqual({ kind: "deleted" });
    expect(subject.command(mapCommands.delete("a"))).toEqual({ kind: "absent" });
    expect(subject.question(mapQuestions.get("a"))).toEqual({ kind: "absent" });
  });

  it("S13: swaps exactly where the version is the one expected; 0 means absent", () => {
    const subject = new Subject();
    expect(subject.command(mapCommands.cas("a", 5, value("x")))).toEqual({ kind: "conflict", version: 0 });
    expect(subject.command(mapCommands.cas("a", 0, value("x")))).toEqual({ kind: "swapped", version: 2 });
    const conflict = { kind: "conflict", version: 2, value: value("x") };
    expect(subject.command(mapCommands.cas("a", 0, value("y")))).toEqual(conflict);
    expect(subject.command(mapCommands.cas("a", 1, value("y")))).toEqual(conflict);
    expect(subject.command(mapCommands.cas("a", 2, value("y")))).toEqual({ kind: "swapped", version: 5 });
    expect(subject.question(mapQuestions.get("a"))).toEqual(found(5, "y"));
  });

  it("keeps a copy: the bytes that a command came in may be used again", () => {
    const subject = new Subject();
    const bytes = mapCommands.put("a", value("x"));
    subject.command(bytes);
    bytes.fill(0xff);
    expect(subject.question(mapQuestions.get("a"))).toEqual(found(1, "x"));
  });

  it("takes keys of every script, the empty one too, and values of any bytes", () => {
    const subject = new Subject();
    for (const key of ["", "ключ", "鍵", "🔑", "\uFEFF", "__proto__", "a\0b"]) {
      const bytes = Uint8Array.of(0xff, 0, 0xfe);
      const { version } = subject.command(mapCommands.put(key, bytes)) as { version: number };
      expect(subject.question(mapQuestions.get(key))).toEqual({ kind: "found", version, value: bytes });
    }
    subject.command(mapCommands.put("large", new Uint8Array(20_000).fill(7)));
    subject.command(mapCommands.put("nothing", new Uint8Array(0)));
    expect(subject.question(mapQuestions.get("large"))).toMatchObject({
      value: new Uint8Array(20_000).fill(7),
    });
    expect(subject.question(mapQuestions.get("nothing"))).toMatchObject({ value: new Uint8Array(0) });
  });

  it("refuses keys that are too long or no text before anything is proposed, and again where it is applied", () => {
    const longest = "k".repeat(limits.mapKeyBytesMax);
    expect(new Subject().command(mapCommands.put(longest, value("x")))).toEqual({ kind: "put", version: 1 });
    for (const make of [
      (key: string) => mapCommands.put(key, value("x")),
      (key: string) => mapCommands.delete(key),
      (key: string) => mapCommands.cas(key, 0, value("x")),
      (key: string) => writeMapCommand.put(new ByteWriter(), key, "1"),
      (key: string) => writeMapCommand.delete(new ByteWriter(), key),
      (key: string) => writeMapCommand.cas(new ByteWriter(), key, 0, "1"),
      (key: string) => mapQuestions.get(key),
      (key: string) => mapQuestions.range({ kind: "prefix", prefix: key }),
    ]) {
      expect(() => make(`${longest}k`)).toThrow(expect.objectContaining({ code: "TOO_LARGE" }));
      expect(() => make("\uD800")).toThrow(expect.objectContaining({ code: "BAD_VALUE" }));
    }
    const tooLong = new Uint8Array(2 + limits.mapKeyBytesMax + 1).fill(0x6b);
    tooLong.set([0x01, 0x10]);
    expect(() => mapCommandCodec.decode(Uint8Array.from([0, ...tooLong]))).toThrow(MalformedError);
    expect(() => mapCommandCodec.decode(Uint8Array.from([1, ...tooLong]))).toThrow(MalformedError);
  });
});

describe("a range", () => {
  const subject = new Subject();
  for (const key of ["b/2", "a/1", "b/1", "c", "a/10", "a/2", "\uFFFF", "😀"]) {
    subject.command(mapCommands.put(key, value(key)));
  }
  const keysOf = (question: Uint8Array): [string[], boolean] => {
    const reply = subject.question(question);
    return reply.kind === "entries" ? [reply.entries.map(({ key }) => key), reply.more] : [[], false];
  };

  it("is in the order in which JavaScript compares strings", () => {
    expect(subject.keys()).toEqual(["a/1", "a/10", "a/2", "b/1", "b/2", "c", "😀", "\uFFFF"]);
  });

  it("goes by prefix, or from one key to before another", () => {
    expect(keysOf(mapQuestions.range({ kind: "prefix", prefix: "a/" }))).toEqual([
      ["a/1", "a/10", "a/2"],
      false,
    ]);
    expect(keysOf(mapQuestions.range({ kind: "prefix", prefix: "z" }))).toEqual([[], false]);
    expect(keysOf(mapQuestions.range({ kind: "between", from: "a/2", to: "b/2" }))).toEqual([
      ["a/2", "b/1"],
      false,
    ]);
    expect(keysOf(mapQuestions.range({ kind: "between", from: "c" }))).toEqual([
      ["c", "😀", "\uFFFF"],
      false,
    ]);
    expect(keysOf(mapQuestions.range({ kind: "between", from: "b", to: "a" }))).toEqual([[], false]);
  });

  it("is read page by page without a gap or a repeat, whatever the size of a page", () => {
    for (let limit = 1; limit <= 9; limit++) {
      const all: string[] = [];
      let after: string | undefined;
      let more = true;
      while (more) {
        const options: { limit: number; after?: string } = after === undefined ? { limit } : { limit, after };
        const page = keysOf(mapQuestions.range({ kind: "prefix", prefix: "" }, options));
        all.push(...page[0]);
        after = page[0].at(-1);
        more = page[1];
      }
      expect(all).toEqual(subject.keys());
    }
  });

  it("goes on behind a key that is gone, and ignores one before its beginning", () => {
    expect(keysOf(mapQuestions.range({ kind: "prefix", prefix: "a/" }, { after: "a/11" }))).toEqual([
      ["a/2"],
      false,
    ]);
    expect(keysOf(mapQuestions.range({ kind: "prefix", prefix: "b" }, { after: "a" }))).toEqual([
      ["b/1", "b/2"],
      false,
    ]);
    expect(keysOf(mapQuestions.range({ kind: "prefix", prefix: "" }, { limit: 0 }))).toEqual([[], true]);
  });

  it("stops where a page holds too many bytes, but holds at least one entry", () => {
    const large = new Subject();
    for (const key of ["a", "b", "c"]) {
      large.command(mapCommands.put(key, new Uint8Array(limits.mapRangeBytesMax / 2)));
    }
    large.command(mapCommands.put("d", new Uint8Array(limits.mapRangeBytesMax * 1.5)));
    const page = (after?: string): string[] => {
      const options = after === undefined ? {} : { after };
      const reply = large.question(mapQuestions.range({ kind: "prefix", prefix: "" }, options));
      return reply.kind === "entries" ? [...reply.entries.map(({ key }) => key), `${reply.more}`] : [];
    };
    expect([page(), page("a"), page("b"), page("c")]).toEqual([
      ["a", "true"],
      ["b", "true"],
      ["c", "true"],
      ["d", "false"],
    ]);
  });

  it("has at most as many entries as the limit, whatever is asked for", () => {
    const many = new Subject();
    for (let number = 0; number <= limits.mapRangeEntriesMax; number++) {
      many.command(mapCommands.put(`${number}`, new Uint8Array(1)));
    }
    const reply = many.question(mapQuestions.range({ kind: "prefix", prefix: "" }, { limit: 0xffff_ffff }));
    expect(reply).toMatchObject({ more: true });
    expect(reply.kind === "entries" && reply.entries.length).toBe(limits.mapRangeEntriesMax);
  });
});

describe("a watch", () => {
  const seen = (changes: Changes): unknown[] =>
    changes.kind === "compacted"
      ? [changes]
      : changes.changes.map(({ index, bytes }) => {
          const change = decodeMapChange(bytes);
          return [index, change.key, change.value === undefined ? "deleted" : decodeText(change.value)];
        });

  it("S14: sees every change from an index on, those of its prefix only", () => {
    const subject = new Subject();
    subject.command(mapCommands.put("a/1", value("x")));
    subject.command(mapCommands.put("b", value("y")));
    subject.command(mapCommands.cas("a/1", 1, value("z")));
    subject.command(mapCommands.delete("a/1"));
    const all = [
      [1, "a/1", '"x"'],
      [3, "a/1", '"z"'],
      [4, "a/1", "deleted"],
    ];
    expect(seen(subject.changes("a/", 0))).toEqual(all);
    expect(seen(subject.changes("a/", 1))).toEqual(all);
    expect(seen(subject.changes("a/", 2))).toEqual(all.slice(1));
    expect(seen(subject.changes("a/", 5))).toEqual([]);
    expect(seen(subject.changes("", 2))).toHaveLength(3);
  });

  it("sees nothing of what changed nothing: a conflict, a delete of what is absent", () => {
    const subject = new Subject();
    subject.command(mapCommands.cas("a", 9, value("x")));
    subject.command(mapCommands.delete("a"));
    expect(seen(subject.changes("", 1))).toEqual([]);
  });

  it("S14: goes on from where it looked, and so sees each change once", () => {
    const subject = new Subject();
    const watched: unknown[] = [];
    let from = 1;
    for (let step = 1; step <= 40; step++) {
      subject.command(mapCommands.put(step % 3 === 0 ? "other" : `k/${step}`, value(`${step}`)));
      if (step % 4 !== 0) continue;
      const changes = subject.changes("k/", from, 2);
      watched.push(...seen(changes));
      from = (changes as { through: number }).through + 1;
    }
    for (let last = 0; last !== from;) {
      last = from;
      const changes = subject.changes("k/", from, 2);
      watched.push(...seen(changes));
      from = (changes as { through: number }).through + 1;
    }
    const expected = Array.from({ length: 40 }, (_, at) => at + 1).filter((step) => step % 3 !== 0);
    expect(watched).toEqual(expected.map((step) => [step, `k/${step}`, `"${step}"`]));
  });

  it("S14: is told where the history has gone, never given a part of it", () => {
    const subject = new Subject();
    for (let step = 1; step <= limits.watchHistoryMax + 10; step++) {
      subject.command(mapCommands.put("k", new Uint8Array(1)));
    }
    expect(subject.changes("", 10)).toEqual({ kind: "compacted", earliest: 11 });
    expect(subject.changes("", 0)).toEqual({ kind: "compacted", earliest: 11 });
    expect(seen(subject.changes("", 11, 1))).toEqual([[11, "k", "\0"]]);
  });

  it("S14: keeps so many bytes of history at most", () => {
    const subject = new Subject();
    for (let step = 1; step <= 5; step++) {
      subject.command(mapCommands.put("k", new Uint8Array(limits.watchHistoryBytesMax / 4)));
    }
    expect(subject.changes("", 1)).toEqual({ kind: "compacted", earliest: 3 });
    // A page holds few large changes; the watcher asks again from the next.
    expect(subject.changes("", 3)).toMatchObject({ changes: [{ index: 3 }], through: 3 });
  });

  it("S14: knows nothing of the time before a restored snapshot, and says so", () => {
    const subject = new Subject();
    subject.command(mapCommands.put("a", value("x")));
    subject.command(mapCommands.delete("a"));
    const restored = new Subject();
    restore(restored.map, subject.map.snapshot());
    restored.index = 2;
    expect(restored.changes("", 2)).toEqual({ kind: "compacted", earliest: 3 });
    restored.command(mapCommands.put("b", value("y")));
    expect(seen(restored.changes("", 3))).toEqual([[3, "b", '"y"']]);
  });
});

describe("the state of a map", () => {
  type Operation = { readonly kind: "put" | "delete" | "cas"; readonly key: string; readonly size: number };
  const operation: fc.Arbitrary<Operation> = fc.record({
    kind: fc.constantFrom("put", "put", "delete", "cas"),
    key: fc.integer({ min: 0, max: 30 }).map((number) => `key/${number}`),
    size: fc.oneof(fc.nat(40), fc.constant(700)),
  });
  const run = (subject: Subject, { kind, key, size }: Operation): void => {
    const bytes = new Uint8Array(size).fill(subject.index);
    if (kind === "put") subject.command(mapCommands.put(key, bytes));
    else if (kind === "delete") subject.command(mapCommands.delete(key));
    else subject.command(mapCommands.cas(key, Math.max(0, subject.index - 3), bytes));
  };
  const operations = fc.array(operation, { maxLength: 150 });

  it("S13: is that of a plain model, whatever is done in whatever order", () => {
    fc.assert(
      fc.property(operations, (list) => {
        const subject = new Subject();
        const model = new Map<string, { version: number; value: Uint8Array }>();
        for (const each of list) {
          const index = subject.index + 1;
          const bytes = new Uint8Array(each.size).fill(subject.index);
          const swaps = (model.get(each.key)?.version ?? 0) === Math.max(0, subject.index - 3);
          run(subject, each);
          if (each.kind === "delete") model.delete(each.key);
          else if (each.kind === "put" || swaps) model.set(each.key, { version: index, value: bytes });
        }
        const reply = subject.question(mapQuestions.range({ kind: "prefix", prefix: "" }));
        const expected = [...model].map(([key, entry]) => ({ key, ...entry }));
        expect(reply).toEqual({
          kind: "entries",
          entries: expected.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
          more: false,
        });
      }),
    );
  });

  it("S9: has one digest for equal states, whatever led to them", () => {
    fc.assert(
      fc.property(operations, operations, (list, otherList) => {
        const [one, other] = [new Subject(), new Subject()];
        for (const each of list) run(one, each);
        for (const each of otherList) run(other, each);
        for (const subject of [one, other]) {
          for (const key of subject.keys()) subject.command(mapCommands.delete(key));
          // From here on both do the same, at the same indices.
          subject.index = 1000;
          for (const key of ["x", "y", "z"]) subject.command(mapCommands.put(key, value(key)));
          subject.command(mapCommands.delete("y"));
        }
        expect(one.digest()).toBe(other.digest());
        const restored = new Subject();
        restore(restored.map, one.map.snapshot());
        expect(restored.digest()).toBe(one.digest());
      }),
      { numRuns: 50 },
    );
  });

  it("S9: has another digest for another key, value or version", () => {
    const digestAfter = (...commands: readonly Uint8Array[]): string => {
      const subject = new Subject();
      for (const bytes of commands) subject.command(bytes);
      return subject.digest();
    };
    const nothing = mapCommands.delete("nothing");
    const digests = [
      digestAfter(),
      digestAfter(mapCommands.put("a", value("x"))),
      digestAfter(mapCommands.put("b", value("x"))),
      digestAfter(mapCommands.put("a", value("y"))),
      digestAfter(nothing, mapCommands.put("a", value("x"))),
      digestAfter(mapCommands.put("ab", Uint8Array.of())),
      digestAfter(mapCommands.put("a", Uint8Array.of(0x62))),
      digestAfter(
        mapCommands.put("a", value("x")),
        mapCommands.put("b", value("y")),
        mapCommands.delete("b"),
      ),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });

  it("S10: is frozen in a snapshot while later commands go on, however late it is read", () => {
    fc.assert(
      fc.property(operations, operations, fc.integer({ min: 1, max: 200 }), (before, after, pieceBytes) => {
        const subject = new Subject();
        for (const each of before) run(subject, each);
        const [digest, keys] = [subject.digest(), subject.keys()];
        const snapshot = subject.map.snapshot();
        for (const each of after) run(subject, each);
        const restored = new Subject();
        restore(restored.map, recut(snapshot, pieceBytes));
        expect(restored.digest()).toBe(digest);
        expect(restored.keys()).toEqual(keys);
      }),
      { numRuns: 60 },
    );
  });

  it("S10: is frozen also where everything that it held has been overwritten, and its memory could be used again", () => {
    const subject = new Subject();
    const keys = Array.from({ length: 40 }, (_, number) => `key/${number}`);
    const putAll = (mark: number): void => {
      for (const key of keys) subject.command(mapCommands.put(key, new Uint8Array(1500).fill(mark)));
    };
    putAll(1);
    const digest = subject.digest();
    const snapshot = subject.map.snapshot();
    for (let mark = 2; mark < 9; mark++) putAll(mark);
    const restored = new Subject();
    restore(restored.map, snapshot);
    expect(restored.digest()).toBe(digest);
  });

  it("S10: goes on from a snapshot as the original does", () => {
    fc.assert(
      fc.property(operations, operations, (before, after) => {
        const subject = new Subject();
        for (const each of before) run(subject, each);
        const restored = new Subject();
        restore(restored.map, subject.map.snapshot());
        restored.index = subject.index;
        for (const each of after) {
          run(subject, each);
          run(restored, each);
        }
        expect(restored.digest()).toBe(subject.digest());
        expect([...restored.map.snapshot()]).toEqual([...subject.map.snapshot()]);
      }),
      { numRuns: 60 },
    );
  });

  it("S10: is read in pieces within the limit", () => {
    const subject = new Subject();
    for (let step = 0; step < 300; step++) subject.command(mapCommands.put(`k${step}`, new Uint8Array(3000)));
    const sizes = [...subject.map.snapshot()].map((piece) => piece.byteLength);
    expect(sizes.length).toBeGreaterThan(3);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limits.snapshotPieceBytesMax);
  });

  it("S11: is kept where a snapshot is cut short, longer, or has a byte that makes no sense", () => {
    const subject = new Subject();
    for (const key of ["a", "b", "c"]) subject.command(mapCommands.put(key, value(key)));
    const [whole] = recut(subject.map.snapshot(), 10_000) as [Uint8Array];
    const kept = new Subject();
    kept.command(mapCommands.put("kept", value("x")));
    const digest = kept.digest();
    const refuses = (bytes: Uint8Array): void => {
      expect(() => {
        restore(kept.map, [bytes]);
      }).toThrow(MalformedError);
      expect(kept.digest()).toBe(digest);
      expect(kept.keys()).toEqual(["kept"]);
    };
    for (let length = 0; length < whole.byteLength; length++) refuses(whole.subarray(0, length));
    refuses(Uint8Array.from([...whole, 0]));
    const swapped = whole.slice();
    const entryBytes = (whole.byteLength - 16) / 3;
    swapped.set(whole.subarray(16, 16 + entryBytes), 16 + entryBytes);
    swapped.set(whole.subarray(16 + entryBytes, 16 + 2 * entryBytes), 16);
    refuses(swapped);
    const versionAhead = whole.slice();
    versionAhead[16] = 9;
    refuses(versionAhead);
  });

  it("sets aside little more than it holds, and keeps values whole while slabs are emptied around them", () => {
    const map = new MapMachine();
    const subject = new Subject(map);
    for (let step = 0; step < 30_000; step++) {
      // One key in a hundred is written once and stays: each would keep a slab of overwritten ones alive.
      const key = step % 100 === 0 ? `stays/${step}` : `hot/${step % 7}`;
      subject.command(mapCommands.put(key, new Uint8Array(200).fill(step)));
    }
    expect(map.heldBytes).toBeLessThan(307 * 220 * 4 + 64 * 1024);
    for (let step = 0; step < 30_000; step += 100) {
      const reply = subject.question(mapQuestions.get(`stays/${step}`));
      expect(reply).toEqual({ kind: "found", version: step + 1, value: new Uint8Array(200).fill(step) });
    }
    for (const key of subject.keys()) subject.command(mapCommands.delete(key));
    expect(map.heldBytes).toBeLessThanOrEqual(16 * 1024);
  });

  it("gives back the room of large values at once", () => {
    const map = new MapMachine();
    const subject = new Subject(map);
    for (let step = 0; step < 20; step++) subject.command(mapCommands.put("large", new Uint8Array(50_000)));
    expect(map.heldBytes).toBeLessThan(80_000);
    subject.command(mapCommands.delete("large"));
    expect(map.heldBytes).toBe(0);
  });
});

describe("the bytes of a map", () => {
  it.each<[string, (bytes: Uint8Array) => unknown, readonly Uint8Array[]]>([
    [
      "commands",
      (bytes) => mapCommandCodec.decode(bytes),
      [
        Uint8Array.of(),
        Uint8Array.of(9),
        Uint8Array.of(0, 1),
        Uint8Array.of(0, 5, 0, 1),
        Uint8Array.of(2, 0, 0),
      ],
    ],
    [
      "answers",
      (bytes) => mapAnswerCodec.decode(bytes),
      [Uint8Array.of(), Uint8Array.of(9), Uint8Array.of(1, 0), Uint8Array.of(0, 1), Uint8Array.of(4, 1)],
    ],
    [
      "questions",
      (bytes) => mapQuestionCodec.decode(bytes),
      [
        Uint8Array.of(),
        Uint8Array.of(9),
        Uint8Array.of(3, 0),
        Uint8Array.of(1, 0, 0, 0, 0, 2),
        Uint8Array.of(0, 0xff),
      ],
    ],
    [
      "replies",
      (bytes) => mapReplyCodec.decode(bytes),
      [Uint8Array.of(), Uint8Array.of(9), Uint8Array.of(1, 0), Uint8Array.of(2, 2), Uint8Array.of(3, 1)],
    ],
    [
      "changes",
      (bytes) => decodeMapChange(bytes),
      [Uint8Array.of(), Uint8Array.of(2, 0, 0), Uint8Array.of(0, 0), Uint8Array.of(0, 0, 0, 1)],
    ],
  ])("refuse %s that encoding does not produce", (_what, decode, wrong) => {
    for (const bytes of wrong) expect(() => decode(bytes)).toThrow(MalformedError);
  });

  it("are the same where a command is written behind something else", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 30 }),
        fc.nat(),
        fc.string({ maxLength: 100 }),
        (key, version, text) => {
          const json = JSON.stringify(text);
          const written = (write: (writer: ByteWriter) => void): Uint8Array => {
            const writer = new ByteWriter().uint32(7);
            write(writer);
            return writer.finish().subarray(4);
          };
          const bytes = new TextEncoder().encode(json);
          expect(written((writer) => writeMapCommand.put(writer, key, json))).toEqual(
            mapCommands.put(key, bytes),
          );
          expect(written((writer) => writeMapCommand.delete(writer, key))).toEqual(mapCommands.delete(key));
          expect(written((writer) => writeMapCommand.cas(writer, key, version, json))).toEqual(
            mapCommands.cas(key, version, bytes),
          );
        },
      ),
    );
  });

  it("are what they always were", () => {
    expect(hex(mapCommands.put("ab", Uint8Array.of(0xff)))).toBe("0002006162ff");
    expect(hex(mapCommands.delete("ab"))).toBe("016162");
    expect(hex(mapCommands.cas("ab", 258, Uint8Array.of(0xff)))).toBe("02020100000000000002006162ff");
    expect(hex(mapQuestions.get("ab"))).toBe("006162");
    expect(hex(mapQuestions.range({ kind: "prefix", prefix: "a" }, { limit: 3 }))).toBe(
      "01030000000001" + "0061",
    );
    expect(hex(mapQuestions.size())).toBe("03");
    expect(hex(encodeRecord("k", Uint8Array.of(1)))).toBe("01006b01");
  });
});
