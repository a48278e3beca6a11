import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyAll, hex, recut, StateLog, value } from "../../test/support/state-log.ts";
import { concatBytes } from "../core/index.ts";
import { decodeAnswer } from "./answers.ts";
import { encodeQuestion } from "./envelope.ts";
import { mapMachine } from "./map.ts";
import { mapCommands, mapQuestions, mapReplyCodec } from "./map-codec.ts";
import { ReplicatedState } from "./replicated.ts";

const withMap = (): StateLog => new StateLog({ map: mapMachine() });

/** What clients do to a log: most of it sensible, some of it repeated, early, late, or nonsense. */
type Step =
  | { readonly kind: "open"; readonly nonce: number }
  | { readonly kind: "close"; readonly slot: number }
  | { readonly kind: "junk"; readonly slot: number; readonly bytes: Uint8Array }
  | {
      readonly kind: "command";
      readonly slot: number;
      /** Added to the sequence that is due: 0 is right, less is a repeat, more a gap. */
      readonly off: number;
      readonly key: number;
      readonly requestId: string;
      readonly unsettled: number;
    };

const slot = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("open"), nonce: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("close"), slot }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("junk"), slot, bytes: fc.uint8Array({ maxLength: 20 }) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("command"),
      slot,
      off: fc.constantFrom(0, 0, 0, 0, -1, -2, 1),
      key: fc.nat(5),
      requestId: fc.constantFrom("", "", "", "r1", "r2", "r3"),
      unsettled: fc.nat(4),
    }),
  },
);
const history = fc.array(step, { maxLength: 60 });

interface ModelSession {
  readonly number: number;
  readonly nonce: number;
  last: number;
  readonly answers: Map<number, Uint8Array>;
}

/** The rules of SPEC.md in the plainest form that says what they say. */
class Model {
  readonly sessions = new Map<number, ModelSession>();
  readonly byRequest = new Map<string, { command: string; answer: Uint8Array }>();
  /** Index of the entry that wrote each key last. */
  readonly versions = new Map<string, number>();
}

class Play {
  readonly log = withMap();
  readonly model = new Model();
  /** Numbers of sessions opened so far, for a slot to point at. */
  readonly #numbers: number[] = [99];

  play(each: Step): void {
    const index = this.log.state.applied + 1;
    switch (each.kind) {
      case "open": {
        const number = this.log.open(each.nonce);
        const open = [...this.model.sessions.values()].find((session) => session.nonce === each.nonce);
        expect(number).toBe(open?.number ?? index);
        if (open === undefined) {
          this.model.sessions.set(index, { number: index, nonce: each.nonce, last: 0, answers: new Map() });
          this.#numbers.push(index);
        }
        return;
      }
      case "close": {
        const number = this.#number(each.slot);
        const expected = this.model.sessions.delete(number) ? "answered" : "sessionExpired";
        expect(this.log.close(number).kind).toBe(expected);
        return;
      }
      case "junk":
        this.#junk(each.slot, each.bytes);
        return;
      case "command":
        this.#command(each, index);
        return;
      default:
    }
  }

  #number(at: number): number {
    return this.#numbers[this.#numbers.length - 1 - (at % this.#numbers.length)] ?? 0;
  }

  #junk(at: number, bytes: Uint8Array): void {
    const number = this.#number(at);
    const session = this.model.sessions.get(number);
    const sequence = (session?.last ?? 0) + 1;
    const answer = this.log.append("command", number, sequence, bytes, 1);
    if (session === undefined) return;
    session.last = sequence;
    session.answers.clear();
    session.answers.set(sequence, answer);
    // Three zeros in front are a whole envelope, for plain values; these bytes then hold no list that is longer than a few bytes.
    expect(["rejected", "unknownMachine", "answered"]).toContain(decodeAnswer(answer).kind);
  }

  #command(each: Extract<Step, { kind: "command" }>, index: number): void {
    const number = this.#number(each.slot);
    const session = this.model.sessions.get(number);
    const due = (session?.last ?? 0) + 1;
    const sequence = Math.max(0, due + each.off);
    const key = `key/${each.key}`;
    const { requestId, unsettled } = each;
    const answer = this.log.commandBytes(number, sequence, mapCommands.put(key, value(key)), {
      requestId,
      unsettled,
    });
    const { kind } = decodeAnswer(answer);
    const expected = this.#expected(session, sequence, due, requestId, key);
    expect(expected.bytes ?? answer).toEqual(answer);
    expect(kind).toBe(expected.kind);
    if (session === undefined || sequence !== due) return;
    session.last = sequence;
    session.answers.set(sequence, answer);
    for (const kept of session.answers.keys()) if (kept <= sequence - unsettled) session.answers.delete(kept);
    if (!expected.runs) return;
    this.model.versions.set(key, index);
    if (requestId !== "") this.model.byRequest.set(requestId, { command: key, answer });
  }

  #expected(
    session: ModelSession | undefined,
    sequence: number,
    due: number,
    requestId: string,
    key: string,
  ): { kind: string; bytes?: Uint8Array; runs?: true } {
    if (session === undefined) return { kind: "sessionExpired" };
    if (sequence > due) return { kind: "outOfOrder" };
    if (sequence < due) {
      const bytes = session.answers.get(sequence);
      return bytes === undefined ? { kind: "forgotten" } : { kind: decodeAnswer(bytes).kind, bytes };
    }
    const first = this.model.byRequest.get(requestId);
    if (first === undefined) return { kind: "answered", runs: true };
    return first.command === key ? { kind: "answered", bytes: first.answer } : { kind: "rejected" };
  }

  check(): void {
    this.log.state.checkInvariants();
    for (let key = 0; key <= 5; key++) {
      const answer = decodeAnswer(
        this.log.state.query(encodeQuestion("map", mapQuestions.get(`key/${key}`))),
      );
      const reply = answer.kind === "answered" ? mapReplyCodec.decode(answer.bytes) : undefined;
      const version = reply?.kind === "found" ? reply.version : undefined;
      expect(version).toBe(this.model.versions.get(`key/${key}`));
    }
  }
}

function played(steps: readonly Step[]): Play {
  const play = new Play();
  for (const each of steps) play.play(each);
  return play;
}

describe("whole histories", () => {
  it("S2, S3, S5: go as the plain model says, whatever is repeated, early, late or nonsense", () => {
    fc.assert(
      fc.property(history, (steps) => {
        played(steps).check();
      }),
      { numRuns: 300 },
    );
  });

  it("S9, S12: give the same state and answers on every agent that applies them", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { log } = played(steps);
        const other = new ReplicatedState({ map: mapMachine() });
        applyAll(other, concatBytes(log.entries));
        expect(hex(other.digest())).toBe(hex(log.state.digest()));
        expect(recut(other.snapshot(), 1 << 20)).toEqual(recut(log.state.snapshot(), 1 << 20));
      }),
      { numRuns: 60 },
    );
  });

  it("S10: can stop anywhere, and go on from the snapshot as if nothing had been", () => {
    fc.assert(
      fc.property(history, fc.nat(60), fc.integer({ min: 1, max: 300 }), (steps, cut, pieceBytes) => {
        const { log } = played(steps);
        const at = cut % (log.entries.length + 1);
        const first = new ReplicatedState({ map: mapMachine() });
        applyAll(first, concatBytes(log.entries.slice(0, at)));
        const snapshot = first.snapshot();
        const digest = hex(first.digest());
        applyAll(first, concatBytes(log.entries.slice(at)));

        const second = new ReplicatedState({ map: mapMachine() });
        second.restore(recut(snapshot, pieceBytes));
        expect(hex(second.digest())).toBe(digest);
        expect(second.applied).toBe(at);
        for (const entry of log.entries.slice(at)) second.apply(entry, 0);
        second.checkInvariants();
        expect(hex(second.digest())).toBe(hex(log.state.digest()));
      }),
      { numRuns: 60 },
    );
  });
});
