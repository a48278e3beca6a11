/**
 * What a group's decided entries are applied to: the sessions, the request ids and the named machines. It is the same on
 * every agent that has applied the same entries, and it never throws at what an entry holds: nonsense gets an answer, too.
 * The rules are numbered in SPEC.md.
 */
import {
  type AnyStateMachine,
  assert,
  ByteWriter,
  type Changes,
  decodeText,
  emptyBytes,
  entryHeaderBytes,
  entryIndex,
  entryKind,
  entryLength,
  entrySequence,
  entrySession,
  entryUnsettled,
  equalBytes,
  limits,
  MalformedError,
  type RestoredState,
  runToEnd,
  type Steps,
  unreachable,
  writeUint53,
} from "../core/index.ts";
import {
  answerHeadBytes,
  type AnswerStatus,
  answerStatuses,
  encodeAnswer,
  encodeOutOfOrder,
  encodeRejection,
  writeAnswerHead,
} from "./answers.ts";
import { EntryContext } from "./entry-context.ts";
import { decodeQuestion, EnvelopeCursor, questionStart } from "./envelope.ts";
import { digestOf, emptyHash, hashRange, hashView } from "./hash.ts";
import { Machines, type NamedMachine } from "./machines.ts";
import { FrameReader, inPieces } from "./pieces.ts";
import { proposalsMachine } from "./proposals.ts";
import { decodeRequest, RequestIds, type RequestRecord } from "./request-ids.ts";
import { decodeSession, Sessions } from "./sessions.ts";
import { SkippedEntries } from "./skipped.ts";
import {
  type MachineDigest,
  machinePieces,
  readHead,
  readMachineHead,
  snapshotForm,
  type SnapshotHead,
  snapshotParts,
} from "./state-snapshot.ts";

/** The state that a snapshot is taken for. */
interface ExpectedState {
  readonly index: number;
  readonly digest: Uint8Array;
}

const writerBytes = 16 * 1024;
const writerBytesMax = 64 * 1024;

export class ReplicatedState {
  /** Of the rules in this folder, and of the form of the snapshot. */
  readonly version: number = snapshotForm;
  readonly #machines: Machines;
  #applied = 0;
  #sessions = new Sessions();
  #requestIds = new RequestIds();
  #skipped = new SkippedEntries();
  readonly #cursor = new EnvelopeCursor();
  readonly #context = new EntryContext();
  readonly #hash = emptyHash();
  /** Answers are written here: those that are kept are copied, the others leave it piece by piece. */
  #writer = new ByteWriter(writerBytes);
  /** Of the run that is being applied: its entries share it. */
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** Machines by name, as they are before the first entry. The name "" is taken: it stands for plain decided values. */
  constructor(machines: Readonly<Record<string, AnyStateMachine>> = {}) {
    assert(!Object.hasOwn(machines, ""), "the machine without a name is the group's own");
    const proposals = proposalsMachine((id) => this.#requestIds.learn(id));
    this.#machines = new Machines({ ...machines, "": proposals });
  }

  /** The index of the last entry applied. */
  get applied(): number {
    return this.#applied;
  }

  /**
   * Applies the entry at `offset`, of whatever kind; entries come in the order of the log, each once. Gives the answer
   * envelope (`decodeAnswer`); empty where nobody asked. The bytes may be kept by others: nothing here refers to them after.
   */
  apply(bytes: Uint8Array, offset: number): Uint8Array {
    const index = entryIndex(bytes, offset);
    assert(index === this.#applied + 1, "S1: entries are applied in the order of the log, each once");
    this.#applied = index;
    const kind = entryKind(bytes, offset);
    switch (kind) {
      case "command":
        return this.#command(bytes, offset, index);
      case "openSession":
        return this.#openSession(entrySession(bytes, offset), index);
      case "closeSession":
        return this.#closeSession(entrySession(bytes, offset), index);
      case "noop":
      case "members":
      case "forcedMembers":
        return emptyBytes;
      default:
        return unreachable(kind);
    }
  }

  /**
   * Whether the entry at this index, among those applied, was the first to do what it says: false for a repeat and for
   * what came too late or out of order, or was rejected. It says true of all but the last `limits.skippedEntriesMax` of
   * these, and of all that were applied before a `restore`.
   */
  tookEffect(index: number): boolean {
    return !this.#skipped.has(index);
  }

  /** Answers a question (`encodeQuestion`) with an answer envelope: `answered` at the index applied, or why not. */
  query(question: Uint8Array): Uint8Array {
    try {
      const start = questionStart(question);
      const named = this.#machines.find(question, 1, start);
      if (named === undefined) {
        // A name that is no text makes no sense.
        decodeText(question.subarray(1, start));
        return encodeAnswer("unknownMachine", this.#applied);
      }
      const { machine } = named;
      const reply: unknown = machine.query(machine.questions.decode(question.subarray(start)));
      const writer = this.#newAnswer("answered", this.#applied);
      machine.replies.write(reply, writer);
      if (writer.byteLength > answerHeadBytes + limits.replyBytesMax) {
        throw new MalformedError(
          `the reply is larger than ${limits.replyBytesMax} bytes: ask for it in parts`,
        );
      }
      return writer.cut();
    } catch (thrown) {
      return encodeRejection(this.#applied, thrown);
    }
  }

  /**
   * What changed in one machine from index `from` on; `filter` is an envelope like a question's. A filter that makes no sense,
   * or is for a machine that can't be watched, never sees a change.
   */
  changes(filter: Uint8Array, from: number, changesMax: number): Changes {
    try {
      const { machine: name, question: inner } = decodeQuestion(filter);
      const changes = this.#machines.named(name)?.machine.changes?.(inner, from, changesMax);
      if (changes !== undefined) return changes;
    } catch (thrown) {
      if (!(thrown instanceof MalformedError)) throw thrown;
    }
    return { kind: "changes", changes: [], through: Math.max(from - 1, 0) };
  }

  /** The state as it is now, in pieces of at most `limits.snapshotPieceBytesMax`, whatever is applied while they are read. */
  snapshot(): Iterable<Uint8Array> {
    return inPieces(
      snapshotParts({
        applied: this.#applied,
        digest: this.digest(),
        sessions: this.#sessions.freeze(),
        requests: this.#requestIds.freeze(),
        // Called at once and not when the parts are read: it is what freezes a machine.
        machines: this.#machines.all.map(({ name, machine }) => ({
          name,
          version: machine.version,
          digest: machine.digest(),
          pieces: machine.snapshot(),
        })),
      }),
    );
  }

  /**
   * Replaces the whole state by that of a snapshot, however its bytes are cut into pieces: with the last of many short
   * steps, and until then the old state is in use. A machine that the snapshot does not know is set back to how it was given.
   * A step throws `MalformedError` where the pieces are not a whole snapshot of these machines, or not of the state that it
   * is taken for; then the old state stays.
   */
  *restoring(pieces: Iterable<Uint8Array>, expected?: ExpectedState): Steps<void> {
    const reader = new FrameReader(pieces);
    const head = readHead(reader);
    if (expected !== undefined) {
      const isIt = head.applied === expected.index && equalBytes(head.digest, expected.digest);
      if (!isIt) throw new MalformedError("a snapshot of another state than it is taken for");
    }
    const sessions = new Sessions();
    for (let count = 0; count < head.sessions; count++) {
      sessions.restore(decodeSession(reader.frame()));
      if (reader.wantsPause()) yield;
    }
    const requestIds = new RequestIds();
    for (let count = 0; count < head.requests; count++) {
      requestIds.restore(decodeRequest(reader.frame()));
      if (reader.wantsPause()) yield;
    }
    const machines = yield* this.#restoringMachines(reader, head, sessions, requestIds);
    for (const machine of machines) machine.install();
    this.#applied = head.applied;
    this.#sessions = sessions;
    this.#requestIds = requestIds;
    this.#skipped = new SkippedEntries();
  }

  /** The same, at once. */
  restore(pieces: Iterable<Uint8Array>, expected?: ExpectedState): void {
    runToEnd(this.restoring(pieces, expected));
  }

  /** 16 bytes: equal exactly where the applied index, the sessions, the request ids and every machine's state are equal. */
  digest(): Uint8Array {
    const machines = this.#machines.all.map(({ name, machine }) => ({
      name,
      version: machine.version,
      digest: machine.digest(),
    }));
    return stateDigest(this.#applied, this.#sessions, this.#requestIds, machines);
  }

  /** Throws an `AssertionError` where the state breaks an invariant. */
  checkInvariants(): void {
    this.#sessions.checkInvariants();
  }

  // ── entries ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #openSession(nonce: number, index: number): Uint8Array {
    const number = this.#sessions.open(nonce, index);
    if (number !== index) this.#skipped.add(index);
    const body = new Uint8Array(8);
    writeUint53(body, 0, number);
    return encodeAnswer("answered", number, body);
  }

  #closeSession(number: number, index: number): Uint8Array {
    const session = this.#sessions.find(number);
    if (session === undefined) return this.#without(index, encodeAnswer("sessionExpired", index));
    this.#sessions.close(session);
    return encodeAnswer("answered", index);
  }

  #command(bytes: Uint8Array, offset: number, index: number): Uint8Array {
    const session = this.#sessions.find(entrySession(bytes, offset));
    if (session === undefined) return this.#without(index, encodeAnswer("sessionExpired", index));
    this.#sessions.touch(session, index);
    const sequence = entrySequence(bytes, offset);
    const expected = session.last + 1;
    if (sequence > expected) return this.#without(index, encodeOutOfOrder(index, expected));
    if (sequence < expected) {
      const first = this.#sessions.recall(session, sequence);
      return this.#without(index, first ?? encodeAnswer("forgotten", index));
    }
    const answer = this.#execute(bytes, offset, index);
    this.#sessions.remember(session, answer, entryUnsettled(bytes, offset));
    return answer;
  }

  /** Notes that the entry had no effect. */
  #without(index: number, answer: Uint8Array): Uint8Array {
    this.#skipped.add(index);
    return answer;
  }

  #execute(bytes: Uint8Array, offset: number, index: number): Uint8Array {
    const cursor = this.#cursor;
    const end = offset + entryLength(bytes, offset);
    if (!cursor.read(bytes, offset + entryHeaderBytes, end)) {
      return this.#without(index, encodeRejection(index, "The command has no whole envelope."));
    }
    const named = this.#machines.find(bytes, cursor.machine, cursor.machineEnd);
    if (named === undefined) return this.#without(index, encodeAnswer("unknownMachine", index));
    this.#context.turnTo(bytes, offset, index, cursor.proposer, cursor.proposerEnd);
    const command = bytes.subarray(cursor.command, end);
    if (cursor.requestId === cursor.requestIdEnd) return this.#run(named, command, index);
    let requestId: string;
    try {
      requestId = decodeText(bytes.subarray(cursor.requestId, cursor.requestIdEnd));
    } catch (thrown) {
      return this.#without(index, encodeRejection(index, thrown));
    }
    return this.#runOnce(named, command, index, requestId);
  }

  #runOnce(named: NamedMachine, command: Uint8Array, index: number, id: string): Uint8Array {
    hashRange(named.nameBytes, 0, named.nameBytes.length, this.#hash, 0);
    const seed = this.#hash.a;
    const from = command.byteOffset;
    hashView(this.#viewOf(command.buffer), from, from + command.length, this.#hash, seed);
    const first = this.#requestIds.find(id);
    if (first !== undefined) {
      const { a, b, c, d } = first.commandHash;
      if (a === this.#hash.a && b === this.#hash.b && c === this.#hash.c && d === this.#hash.d) {
        return this.#without(index, first.answer);
      }
      const message = `The request id ${JSON.stringify(id)} was used before, for another command.`;
      return this.#without(index, encodeRejection(index, message));
    }
    const commandHash = { ...this.#hash };
    const answer = this.#run(named, command, index);
    const record: RequestRecord = { id, machine: named.name, commandHash, answer };
    const keepsValues = named.name === "" && answer[0] === answerStatuses.answered;
    this.#requestIds.remember(keepsValues ? { ...record, command: command.slice() } : record);
    return answer;
  }

  #viewOf(buffer: ArrayBufferLike): DataView {
    if (this.#view.buffer !== buffer) this.#view = new DataView(buffer);
    return this.#view;
  }

  #run(named: NamedMachine, command: Uint8Array, index: number): Uint8Array {
    const { machine } = named;
    try {
      const answer: unknown = machine.apply(machine.commands.decode(command), this.#context);
      const writer = this.#newAnswer("answered", index);
      machine.answers.write(answer, writer);
      return writer.copy();
    } catch (thrown) {
      // Whatever it is, every agent throws it alike: the command is refused, and the group goes on.
      return this.#without(index, encodeRejection(index, thrown));
    }
  }

  /** The writer, with nothing but the head of an answer in it. */
  #newAnswer(status: AnswerStatus, index: number): ByteWriter {
    this.#writer.drop();
    // What a large answer has made it grow to goes with that answer.
    if (this.#writer.capacity > writerBytesMax) this.#writer = new ByteWriter(writerBytes);
    writeAnswerHead(this.#writer, status, index);
    return this.#writer;
  }

  // ── restore ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** All machines or none: they are read before the first is replaced. */
  *#restoringMachines(
    reader: FrameReader,
    head: SnapshotHead,
    sessions: Sessions,
    requestIds: RequestIds,
  ): Steps<RestoredState[]> {
    try {
      const missing = new Set(this.#machines.all);
      const found: MachineDigest[] = [];
      const restored: RestoredState[] = [];
      for (let count = 0; count < head.machines; count++) {
        const recorded = readMachineHead(reader);
        const named = this.#machines.named(recorded.name);
        if (named === undefined || !missing.delete(named)) {
          throw new MalformedError("a snapshot holds a machine that this group does not have, or has once");
        }
        found.push(recorded);
        const pieces = machinePieces(reader);
        const state = yield* named.machine.restoring(pieces);
        for (const _ of pieces) throw new MalformedError("a machine left a part of its snapshot unread");
        checkMachine(named, recorded, state);
        restored.push(state);
      }
      reader.end();
      if (!equalBytes(stateDigest(head.applied, sessions, requestIds, found), head.digest)) {
        throw new MalformedError("a snapshot's state does not have the digest that it says");
      }
      for (const { machine, blank } of missing) restored.push(yield* machine.restoring(blank));
      return restored;
    } catch (thrown) {
      if (thrown instanceof MalformedError) throw thrown;
      throw new MalformedError("a machine did not take its part of the snapshot", { cause: thrown });
    }
  }
}

/** What an older version of a machine wrote has been migrated: then its digest is another one. */
function checkMachine({ machine }: NamedMachine, recorded: MachineDigest, state: RestoredState): void {
  if (recorded.version === machine.version && !equalBytes(state.digest, recorded.digest)) {
    throw new MalformedError("a machine's state does not have the digest that the snapshot says");
  }
}

function stateDigest(
  applied: number,
  sessions: Sessions,
  requestIds: RequestIds,
  machines: readonly MachineDigest[],
): Uint8Array {
  const writer = new ByteWriter(256).uint53(applied).raw(sessions.digest()).raw(requestIds.digest());
  for (const { name, version, digest } of machines) writer.text(name).uint32(version).bytes(digest);
  return digestOf(writer.finish());
}
