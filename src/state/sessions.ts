/**
 * Exactly once (Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 6.3): every command carries a session
 * and a sequence number, and the replicated table remembers what each session may still ask for. The table is bounded in
 * sessions and in bytes; what has to go is decided by the log alone, so every agent forgets the same.
 */
import {
  assert,
  ByteReader,
  ByteWriter,
  limits,
  MalformedError,
  writeUint32,
  writeUint53,
  Queue,
} from "../core/index.ts";
import { decodeAnswer } from "./answers.ts";
import { emptyHash, fold, hashRange, HashSum } from "./hash.ts";

/** What keeping one answer costs beside its bytes, so that very many very small answers are bounded too. */
export const answerOverheadBytes = 128;

/** One open session. Its answers are those of the sequences up to `last`, without a gap. */
export interface Session {
  /** The index of the entry that opened it. */
  readonly number: number;
  readonly nonce: number;
  /** The highest sequence that took effect. Invariant: `answers.count <= last`. */
  last: number;
  /** The index of its last entry, whatever that was. */
  lastIndex: number;
  readonly answers: Queue<Uint8Array>;
  answersBytes: number;
  /** Neighbours in the order of `lastIndex`. */
  quieter: Session | undefined;
  livelier: Session | undefined;
}

/** A session as a snapshot has it: nothing in it changes any more. */
export interface FrozenSession {
  readonly number: number;
  readonly nonce: number;
  readonly last: number;
  readonly lastIndex: number;
  readonly answers: readonly Uint8Array[];
}

const headBytes = 36;

export class Sessions {
  readonly #byNumber = new Map<number, Session>();
  readonly #byNonce = new Map<number, Session>();
  #quietest: Session | undefined;
  #liveliest: Session | undefined;
  #answersBytes = 0;
  readonly #answersSum = new HashSum();
  readonly #hash = emptyHash();
  readonly #scratch = new Uint8Array(headBytes);

  get count(): number {
    return this.#byNumber.size;
  }

  /** Opens a session at this entry; gives its number. The same nonce again is the same request again: the same number. */
  open(nonce: number, index: number): number {
    const open = this.#byNonce.get(nonce);
    if (open !== undefined) {
      this.touch(open, index);
      return open.number;
    }
    if (this.#byNumber.size >= limits.sessionsMax) {
      assert(this.#quietest !== undefined, "a full table has a quietest session");
      this.close(this.#quietest);
    }
    this.#insert({
      number: index,
      nonce,
      last: 0,
      lastIndex: index,
      answers: new Queue(),
      answersBytes: 0,
      quieter: undefined,
      livelier: undefined,
    });
    return index;
  }

  find(number: number): Session | undefined {
    return this.#byNumber.get(number);
  }

  /** An entry of this session is at this index: it is now the liveliest. */
  touch(session: Session, index: number): void {
    assert(index > session.lastIndex, "a session's entries come in the order of the log");
    session.lastIndex = index;
    if (this.#liveliest === session) return;
    this.#unlink(session);
    this.#link(session);
  }

  /** Keeps the answer of the next sequence; the session will ask for none but the last `unsettled`. */
  remember(session: Session, answer: Uint8Array, unsettled: number): void {
    session.last += 1;
    this.#keep(session, session.last, answer);
    const kept = Math.min(unsettled, limits.sessionUnsettledMax);
    while (session.answers.count > kept) this.#forgetOldest(session);
    while (session.answersBytes > limits.sessionAnswersBytesMax && session.answers.count > 1) {
      this.#forgetOldest(session);
    }
    while (this.#answersBytes > limits.answersBytesMax && this.#quietest !== session) {
      assert(this.#quietest !== undefined, "answers that are kept belong to a session");
      this.close(this.#quietest);
    }
  }

  /** The first answer to this sequence; undefined where it is no longer kept. */
  recall(session: Session, sequence: number): Uint8Array | undefined {
    assert(sequence <= session.last, "only what took effect has an answer");
    const place = session.answers.count - 1 - (session.last - sequence);
    return place < 0 ? undefined : session.answers.at(place);
  }

  close(session: Session): void {
    while (session.answers.count > 0) this.#forgetOldest(session);
    this.#unlink(session);
    this.#byNumber.delete(session.number);
    this.#byNonce.delete(session.nonce);
  }

  /** 16 bytes that are equal exactly where the tables are. In time proportional to the sessions, not to the answers. */
  digest(): Uint8Array {
    const sum = new HashSum();
    sum.addSum(this.#answersSum);
    for (let session = this.#quietest; session !== undefined; session = session.livelier) {
      writeUint53(this.#scratch, 0, session.number);
      writeUint53(this.#scratch, 8, session.nonce);
      writeUint53(this.#scratch, 16, session.last);
      writeUint53(this.#scratch, 24, session.lastIndex);
      writeUint32(this.#scratch, 32, session.answers.count);
      hashRange(this.#scratch, 0, headBytes, this.#hash, 0);
      sum.add(this.#hash);
    }
    return sum.toBytes();
  }

  /** The table as it is now, from the quietest session to the liveliest: that order, too, is decided by the log. */
  freeze(): FrozenSession[] {
    const frozen: FrozenSession[] = [];
    for (let session = this.#quietest; session !== undefined; session = session.livelier) {
      const { number, nonce, last, lastIndex } = session;
      frozen.push({ number, nonce, last, lastIndex, answers: session.answers.toArray() });
    }
    return frozen;
  }

  /** Puts a session of a snapshot behind those already there. Throws {@link MalformedError} where no table could hold it. */
  restore(frozen: FrozenSession): void {
    const { number, nonce, last, lastIndex, answers } = frozen;
    if (number < 1 || number > lastIndex) throw new MalformedError("a session is used before it is opened");
    if (lastIndex <= (this.#liveliest?.lastIndex ?? 0)) throw new MalformedError("sessions are out of order");
    if (this.#byNumber.has(number) || this.#byNonce.has(nonce))
      throw new MalformedError("a session is there twice");
    if (this.#byNumber.size >= limits.sessionsMax) throw new MalformedError("there are too many sessions");
    if (answers.length > Math.min(last, limits.sessionUnsettledMax)) {
      throw new MalformedError("a session has more answers than it can have");
    }
    const session: Session = {
      number,
      nonce,
      last,
      lastIndex,
      answers: new Queue(),
      answersBytes: 0,
      quieter: undefined,
      livelier: undefined,
    };
    this.#insert(session);
    answers.forEach((answer, place) => {
      this.#keep(session, last - answers.length + 1 + place, answer);
    });
    if (this.#answersBytes > limits.answersBytesMax) throw new MalformedError("sessions hold too many bytes");
  }

  /** Throws an `AssertionError` where the table breaks its invariants. In time proportional to the answers. */
  checkInvariants(): void {
    let answersBytes = 0;
    let count = 0;
    let before: Session | undefined;
    for (let session = this.#quietest; session !== undefined; session = session.livelier) {
      assert(session.quieter === before, "a session's neighbours know each other");
      assert(
        before === undefined || before.lastIndex < session.lastIndex,
        "S6: sessions are in the order of the log",
      );
      assert(session.answers.count <= session.last, "S4: answers are of sequences that took effect");
      assert(this.#byNumber.get(session.number) === session, "a session is found by its number");
      assert(this.#byNonce.get(session.nonce) === session, "a session is found by its nonce");
      answersBytes += session.answersBytes;
      count += 1;
      before = session;
    }
    assert(before === this.#liveliest, "the list ends at the liveliest session");
    assert(count === this.#byNumber.size && count === this.#byNonce.size, "every session is listed");
    assert(count <= limits.sessionsMax, "S6: the table is bounded in sessions");
    assert(answersBytes === this.#answersBytes, "bytes of answers are counted");
    assert(answersBytes <= limits.answersBytesMax, "S6: the table is bounded in bytes");
  }

  #insert(session: Session): void {
    this.#byNumber.set(session.number, session);
    this.#byNonce.set(session.nonce, session);
    this.#link(session);
  }

  #forgetOldest(session: Session): void {
    const sequence = session.last - session.answers.count + 1;
    const answer = session.answers.take();
    this.#hashAnswer(session, sequence, answer);
    this.#answersSum.subtract(this.#hash);
    this.#countBytes(session, -answer.length - answerOverheadBytes);
  }

  #keep(session: Session, sequence: number, answer: Uint8Array): void {
    session.answers.push(answer);
    this.#hashAnswer(session, sequence, answer);
    this.#answersSum.add(this.#hash);
    this.#countBytes(session, answer.length + answerOverheadBytes);
  }

  #hashAnswer(session: Session, sequence: number, answer: Uint8Array): void {
    hashRange(answer, 0, answer.length, this.#hash, fold(session.number), fold(sequence));
  }

  #countBytes(session: Session, byteLength: number): void {
    session.answersBytes += byteLength;
    this.#answersBytes += byteLength;
  }

  #link(session: Session): void {
    session.quieter = this.#liveliest;
    session.livelier = undefined;
    if (this.#liveliest === undefined) this.#quietest = session;
    else this.#liveliest.livelier = session;
    this.#liveliest = session;
  }

  #unlink(session: Session): void {
    if (session.quieter === undefined) this.#quietest = session.livelier;
    else session.quieter.livelier = session.livelier;
    if (session.livelier === undefined) this.#liveliest = session.quieter;
    else session.livelier.quieter = session.quieter;
  }
}

/** One session as a frame of a snapshot. */
export function encodeSession(session: FrozenSession): Uint8Array {
  const writer = new ByteWriter(256)
    .uint53(session.number)
    .uint53(session.nonce)
    .uint53(session.last)
    .uint53(session.lastIndex)
    .uint32(session.answers.length);
  for (const answer of session.answers) writer.bytes(answer);
  return writer.finish();
}

/** Throws {@link MalformedError}. The answers are copies. */
export function decodeSession(bytes: Uint8Array): FrozenSession {
  const reader = new ByteReader(bytes);
  const number = reader.uint53();
  const nonce = reader.uint53();
  const last = reader.uint53();
  const lastIndex = reader.uint53();
  const count = reader.uint32();
  const answers: Uint8Array[] = [];
  for (let place = 0; place < count; place++) {
    const answer = reader.bytes().slice();
    decodeAnswer(answer);
    answers.push(answer);
  }
  reader.end();
  return { number, nonce, last, lastIndex, answers };
}
