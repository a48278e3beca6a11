import { describe, expect, it } from "vitest";
import { Counter } from "../../test/support/counter.ts";
import { hex, recut, StateLog, value } from "../../test/support/state-log.ts";
import {
  type AnyStateMachine,
  limits,
  MalformedError,
  type RestoredState,
  type Steps,
} from "../core/index.ts";
import { decodeAnswer } from "./answers.ts";
import { encodeQuestion } from "./envelope.ts";
import { mapMachine } from "./map.ts";
import { mapCommands, mapQuestions, mapReplyCodec } from "./map-codec.ts";
import { encodeProposal } from "./proposals.ts";
import { ReplicatedState } from "./replicated.ts";

const withMap = (): StateLog => new StateLog({ map: mapMachine() });

function get(state: ReplicatedState, key: string): string {
  const answer = decodeAnswer(state.query(encodeQuestion("map", mapQuestions.get(key))));
  if (answer.kind !== "answered") return answer.kind;
  const reply = mapReplyCodec.decode(answer.bytes);
  return reply.kind === "found" ? new TextDecoder().decode(reply.value) : reply.kind;
}

describe("a snapshot", () => {
  const sample = (): StateLog => {
    const log = withMap();
    const session = log.open(5);
    log.command(session, 1, mapCommands.put("a", value("x")), { requestId: "r1", unsettled: 9 });
    log.command(session, 2, encodeProposal(["v"]), { machine: "", requestId: "r2", unsettled: 9 });
    return log;
  };

  it("S11: that is damaged anywhere is refused, and nothing changes", () => {
    const [whole] = recut(sample().state.snapshot(), 1 << 20) as [Uint8Array];
    const kept = withMap();
    kept.command(kept.open(1), 1, mapCommands.put("kept", value("x")));
    const digest = hex(kept.state.digest());
    const refuses = (bytes: Uint8Array, what: string): void => {
      let outcome = "taken";
      try {
        kept.state.restore([bytes]);
      } catch (error) {
        outcome = error instanceof MalformedError ? "refused" : String(error);
      }
      expect({ what, outcome, digest: hex(kept.state.digest()) }).toEqual({
        what,
        outcome: "refused",
        digest,
      });
    };
    for (let length = 0; length < whole.byteLength; length++)
      refuses(whole.subarray(0, length), `cut at ${length}`);
    refuses(Uint8Array.from([...whole, 0]), "longer");
    for (let at = 0; at < whole.byteLength; at++) {
      const flipped = whole.slice();
      flipped[at]! ^= 1 << (at % 8);
      refuses(flipped, `flipped at ${at}`);
    }
    kept.state.restore([whole]);
    expect(hex(kept.state.digest())).toBe(hex(sample().state.digest()));
    expect(get(kept.state, "kept")).toBe("absent");
  });

  it("pitfall 17: S1, S10: says up to which entry its state has come: what it is restored to takes just the next one", () => {
    const log = sample();
    const pieces = log.state.snapshot();
    const next = log.state.applied;
    log.command(1, 3, mapCommands.put("a", value("y")), { unsettled: 9 });
    const restored = withMap().state;
    restored.restore(pieces);
    expect(() => restored.apply(log.entries[next - 1]!, 0), "one that it has").toThrow("S1");
    restored.apply(log.entries[next]!, 0);
    expect(hex(restored.digest())).toBe(hex(log.state.digest()));
  });

  it("S11: is refused as a whole where one machine does not take its part: the others stay", () => {
    const before = new StateLog({ a: new Counter(), map: mapMachine(), z: new Counter() });
    const session = before.open(1);
    before.command(session, 1, Uint8Array.of(7), { machine: "a" });
    before.command(session, 2, mapCommands.put("k", value("x")));
    for (const fails of ["a", "z"]) {
      class Failing extends Counter {
        override restoring(): Steps<RestoredState> {
          throw new TypeError("not today");
        }
      }
      const machines: Record<string, AnyStateMachine> = {
        a: new Counter(),
        map: mapMachine(),
        z: new Counter(),
      };
      machines[fails] = new Failing();
      const other = new StateLog(machines);
      other.command(other.open(2), 1, mapCommands.put("k", value("old")));
      const digest = hex(other.state.digest());
      expect(() => {
        other.state.restore(before.state.snapshot());
      }).toThrow(MalformedError);
      expect(hex(other.state.digest())).toBe(digest);
      expect(get(other.state, "k")).toBe('"old"');
    }
  });

  it("S15: is read in steps, each of some entries or one piece: until the last, the old state is there", () => {
    const log = withMap();
    const session = log.open(1);
    const keys = 2 * limits.restoreSliceEntriesMax;
    for (let number = 0; number < keys; number++)
      log.command(session, number + 1, mapCommands.put(`key ${number}`, value("x")));
    log.command(session, keys + 1, mapCommands.put("large", new Uint8Array(900_000)));
    const other = withMap();
    other.command(other.open(2), 1, mapCommands.put("k", value("old")));
    const digest = hex(other.state.digest());
    let steps = 0;
    for (const _ of other.state.restoring(log.state.snapshot())) {
      steps += 1;
      expect(hex(other.state.digest())).toBe(digest);
      expect(get(other.state, "k")).toBe('"old"');
    }
    expect(steps).toBeGreaterThanOrEqual(3);
    expect(hex(other.state.digest())).toBe(hex(log.state.digest()));
  });

  it("S11: of a machine that this group does not have is refused", () => {
    const state = new ReplicatedState({ other: mapMachine() });
    expect(() => {
      state.restore(sample().state.snapshot());
    }).toThrow("a machine that this group does not have");
  });

  it("S11: of which a machine leaves a part unread is refused", () => {
    class Lazy extends Counter {
      // oxlint-disable-next-line require-yield -- as short as a step can be
      override *restoring(pieces: Iterable<Uint8Array>): Steps<RestoredState> {
        for (const digest of pieces) return { digest, install() {} };
        throw new MalformedError("nothing to read");
      }
      override snapshot(): Iterable<Uint8Array> {
        return [Uint8Array.of(1), Uint8Array.of(2)];
      }
    }
    const state = new ReplicatedState({ lazy: new Lazy() });
    expect(() => {
      state.restore(new ReplicatedState({ lazy: new Lazy() }).snapshot());
    }).toThrow("left a part of its snapshot unread");
  });

  it("sets a machine that it does not know back to how it was given", () => {
    const log = sample();
    const counter = new Counter();
    const state = new StateLog({ map: mapMachine(), counter });
    state.command(state.open(1), 1, Uint8Array.of(9), { machine: "counter" });
    expect(counter.total).toBe(9);
    state.state.restore(log.state.snapshot());
    expect(counter.total).toBe(0);
    expect(get(state.state, "a")).toBe('"x"');
  });

  it("comes in pieces within the limit, however large a value is", () => {
    const log = withMap();
    const session = log.open(1);
    log.command(session, 1, mapCommands.put("large", new Uint8Array(900_000)));
    const sizes = [...log.state.snapshot()].map((piece) => piece.byteLength);
    expect(sizes.length).toBeGreaterThan(3);
    expect(Math.max(...sizes)).toBe(limits.snapshotPieceBytesMax);
  });

  it("forgets which entries had no effect: they are before it", () => {
    const log = sample();
    log.command(9, 1, mapCommands.delete("a"));
    const state = new ReplicatedState({ map: mapMachine() });
    state.restore(log.state.snapshot());
    expect(state.tookEffect(4)).toBe(true);
    expect(log.state.tookEffect(4)).toBe(false);
  });
});
