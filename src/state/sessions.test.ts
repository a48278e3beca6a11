import { describe, expect, it } from "vitest";
import { hex } from "../../test/support/state-log.ts";
import { encodeText, limits, MalformedError } from "../core/index.ts";
import { encodeAnswer } from "./answers.ts";
import { decodeSession, encodeSession, type FrozenSession, Sessions } from "./sessions.ts";

const answer = (index: number, text = ""): Uint8Array => encodeAnswer("answered", index, encodeText(text));

/** A table with one session, numbered 1. */
function withOne(): { sessions: Sessions; session: NonNullable<ReturnType<Sessions["find"]>> } {
  const sessions = new Sessions();
  sessions.open(77, 1);
  const session = sessions.find(1)!;
  return { sessions, session };
}

describe("a session", () => {
  it("is found by its number until it is closed", () => {
    const { sessions, session } = withOne();
    expect(session).toMatchObject({ number: 1, nonce: 77, last: 0 });
    expect(sessions.find(2)).toBeUndefined();
    sessions.close(session);
    expect(sessions.find(1)).toBeUndefined();
    expect(sessions.count).toBe(0);
    sessions.checkInvariants();
  });

  it("opened twice with one nonce is one session, as long as it is open", () => {
    const { sessions, session } = withOne();
    expect(sessions.open(77, 2)).toBe(1);
    expect(sessions.count).toBe(1);
    sessions.close(session);
    expect(sessions.open(77, 3)).toBe(3);
    sessions.checkInvariants();
  });

  it("S4: keeps the answers that it said it may ask for, and no older ones", () => {
    const { sessions, session } = withOne();
    for (let sequence = 1; sequence <= 5; sequence++) {
      sessions.touch(session, sequence + 1);
      sessions.remember(session, answer(sequence + 1), 5);
    }
    expect(sessions.recall(session, 1)).toEqual(answer(2));
    sessions.touch(session, 7);
    sessions.remember(session, answer(7), 2);
    expect([4, 5, 6].map((sequence) => sessions.recall(session, sequence))).toEqual([
      undefined,
      answer(6),
      answer(7),
    ]);
    sessions.touch(session, 8);
    sessions.remember(session, answer(8), 0);
    expect(sessions.recall(session, 7)).toBeUndefined();
    expect(session.last).toBe(7);
    sessions.checkInvariants();
  });

  it("S4: keeps at most as many answers as the limit, whatever it says", () => {
    const { sessions, session } = withOne();
    for (let sequence = 1; sequence <= limits.sessionUnsettledMax + 3; sequence++) {
      sessions.remember(session, answer(2), 0xffff_ffff);
    }
    expect(session.answers.count).toBe(limits.sessionUnsettledMax);
    expect(sessions.recall(session, 3)).toBeUndefined();
    expect(sessions.recall(session, 4)).toEqual(answer(2));
    sessions.checkInvariants();
  });

  it("S6: forgets its own oldest answers where they hold too many bytes, but never the newest", () => {
    const { sessions, session } = withOne();
    const large = new Uint8Array(limits.sessionAnswersBytesMax / 4);
    for (let sequence = 1; sequence <= 6; sequence++) {
      sessions.remember(session, encodeAnswer("answered", sequence, large), 100);
      sessions.checkInvariants();
    }
    expect(session.answers.count).toBe(3);
    sessions.remember(
      session,
      encodeAnswer("answered", 7, new Uint8Array(limits.sessionAnswersBytesMax)),
      100,
    );
    expect(session.answers.count).toBe(1);
    expect(sessions.recall(session, 7)?.byteLength).toBeGreaterThan(limits.sessionAnswersBytesMax);
  });
});

describe("the table", () => {
  it("pitfall 27: S6: closes the session that was quiet for longest when it is full", () => {
    const sessions = new Sessions();
    for (let index = 1; index <= limits.sessionsMax; index++) sessions.open(index, index);
    const first = sessions.find(1)!;
    sessions.touch(first, limits.sessionsMax + 1);
    sessions.open(0, limits.sessionsMax + 2);
    expect(sessions.count).toBe(limits.sessionsMax);
    expect(sessions.find(1)).toBe(first);
    expect(sessions.find(2)).toBeUndefined();
    sessions.checkInvariants();
  });

  it("S6: closes the quietest sessions where all answers together hold too many bytes, but not the one at work", () => {
    const sessions = new Sessions();
    const large = encodeAnswer("answered", 1, new Uint8Array(limits.sessionAnswersBytesMax - 200));
    const fitting = Math.floor(limits.answersBytesMax / limits.sessionAnswersBytesMax);
    for (let index = 1; index <= fitting + 2; index++) {
      sessions.open(index, index);
      sessions.remember(sessions.find(index)!, large, 10);
      sessions.checkInvariants();
    }
    expect(sessions.find(1)).toBeUndefined();
    expect(sessions.find(fitting + 2)).toBeDefined();
    expect(sessions.count).toBe(fitting);
  });

  it("is asked only about what took effect, in the order of the log", () => {
    const { sessions, session } = withOne();
    expect(() => sessions.recall(session, 1)).toThrow("only what took effect");
    expect(() => {
      sessions.touch(session, 1);
    }).toThrow("in the order of the log");
  });

  it("S9: has another digest after each change, and the old one after it is undone", () => {
    const sessions = new Sessions();
    const digests = [hex(sessions.digest())];
    const note = (): number => digests.push(hex(sessions.digest()));
    sessions.open(5, 1);
    note();
    const session = sessions.find(1)!;
    sessions.touch(session, 2);
    note();
    sessions.remember(session, answer(2, "a"), 10);
    note();
    sessions.remember(session, answer(3, "a"), 1);
    note();
    sessions.open(6, 4);
    note();
    expect(new Set(digests).size).toBe(digests.length);
    sessions.close(session);
    sessions.close(sessions.find(4)!);
    expect(hex(sessions.digest())).toBe(digests[0]);
  });

  it("S9: tells answers apart by whose they are and which", () => {
    const of = (number: number, last: number, texts: readonly string[]): string => {
      const sessions = new Sessions();
      sessions.restore({
        number,
        nonce: 1,
        last,
        lastIndex: 90,
        answers: texts.map((text) => answer(1, text)),
      });
      return hex(sessions.digest());
    };
    const digests = [of(1, 2, ["a", "b"]), of(1, 2, ["b", "a"]), of(1, 3, ["a", "b"]), of(2, 2, ["a", "b"])];
    expect(new Set(digests).size).toBe(4);
    expect(of(1, 2, ["a", "b"])).toBe(digests[0]);

    const two = (first: string, second: string): string => {
      const sessions = new Sessions();
      sessions.restore({ number: 1, nonce: 1, last: 1, lastIndex: 90, answers: [answer(1, first)] });
      sessions.restore({ number: 2, nonce: 2, last: 1, lastIndex: 91, answers: [answer(1, second)] });
      return hex(sessions.digest());
    };
    expect(two("a", "b")).not.toBe(two("b", "a"));
  });
});

describe("a frozen table", () => {
  it("pitfall 27: S10: stays as it was, and restored is the same table", () => {
    const { sessions, session } = withOne();
    sessions.open(88, 2);
    sessions.touch(session, 3);
    sessions.remember(session, answer(3, "x"), 10);
    const digest = hex(sessions.digest());
    const frozen = sessions.freeze();
    sessions.touch(session, 4);
    sessions.remember(session, answer(4, "y"), 1);
    sessions.close(sessions.find(2)!);

    const restored = new Sessions();
    for (const each of frozen) restored.restore(decodeSession(encodeSession(each)));
    expect(hex(restored.digest())).toBe(digest);
    restored.checkInvariants();
    expect(frozen.map((each) => each.number)).toEqual([2, 1]);
    expect(restored.recall(restored.find(1)!, 1)).toEqual(answer(3, "x"));
    expect(restored.open(88, 9)).toBe(2);
  });

  const good: FrozenSession = { number: 4, nonce: 9, last: 2, lastIndex: 6, answers: [answer(5), answer(6)] };

  it.each<[string, FrozenSession]>([
    ["is numbered 0", { ...good, number: 0 }],
    ["is used before it is opened", { ...good, number: 7 }],
    ["is quieter than the one before", { ...good, number: 1, nonce: 1, lastIndex: 2 }],
    ["has the number of another", { ...good, number: 3 }],
    ["has the nonce of another", { ...good, nonce: 3 }],
    ["has more answers than commands", { ...good, last: 1 }],
    ["has more answers than the limit", { ...good, last: 99_999, answers: new Array(8193).fill(answer(1)) }],
  ])("S11: is refused where a session %s", (_what, wrong) => {
    const sessions = new Sessions();
    sessions.restore({ number: 3, nonce: 3, last: 0, lastIndex: 3, answers: [] });
    expect(() => {
      sessions.restore(wrong);
    }).toThrow(MalformedError);
  });

  it("S11: is refused where bytes are missing, left over, or no answers", () => {
    const bytes = encodeSession(good);
    expect(decodeSession(bytes)).toEqual(good);
    for (let length = 0; length < bytes.byteLength; length++) {
      expect(() => decodeSession(bytes.subarray(0, length))).toThrow(MalformedError);
    }
    expect(() => decodeSession(Uint8Array.from([...bytes, 0]))).toThrow("left over");
    expect(() => decodeSession(encodeSession({ ...good, answers: [Uint8Array.of(0)] }))).toThrow(
      MalformedError,
    );
  });
});
