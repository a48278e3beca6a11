/**
 * Thin layers around an agent's core, journal, state and map that pass everything on and tell an observer of it. They are
 * where the checks, the trace and the running hash look in, without a line for them in the code under test.
 */
import type {
  Hibernation,
  LogCore,
  LogStatus,
  Now,
  Outbox,
  PeerStatus,
  ProtocolCodec,
  Refusal,
  Snapshot,
} from "../core/boundary.ts";
import { crc32 } from "../core/checksum.ts";
import type { Encoded } from "../core/boundary.ts";
import type { Run } from "../core/entry.ts";
import type { Address, AgentId, GroupName, LogIndex, Micros, RecordNumber, Ticket } from "../core/ids.ts";
import type { MemberChange } from "../core/members.ts";
import { encodeWith, type AnyStateMachine, type Changes, type StateMachine } from "../core/machine.ts";
import type { Steps } from "../core/steps.ts";
import type { AppliedState } from "../driver/hosted.ts";
import type { DriverJournal, RecoveredGroup } from "../driver/world.ts";
import type { RaftMessage, RaftPromise, RaftProtocol, RaftRecord } from "../raft/messages.ts";
import type { SimulatedCore } from "./parts.ts";

/** Every input of a core, for the trace and the hash. */
export type InputKind =
  | "wake"
  | "receive"
  | "durable"
  | "checked"
  | "link"
  | "propose"
  | "campaign"
  | "read"
  | "changeMembers"
  | "transferLeadership"
  | "applied"
  | "loaded"
  | "snapshot";

export class WatchedCore implements LogCore<RaftProtocol> {
  readonly inner: SimulatedCore;
  readonly #before: (
    kind: InputKind,
    from: AgentId | undefined,
    message: RaftMessage | RaftPromise | undefined,
  ) => void;
  readonly #after: () => void;

  constructor(
    inner: SimulatedCore,
    before: (
      kind: InputKind,
      from: AgentId | undefined,
      message: RaftMessage | RaftPromise | undefined,
    ) => void,
    after: () => void,
  ) {
    this.inner = inner;
    this.#before = before;
    this.#after = after;
  }

  get deadline(): Micros {
    return this.inner.deadline;
  }
  get base(): Snapshot | undefined {
    return this.inner.base;
  }
  get hibernation(): Hibernation | undefined {
    return this.inner.hibernation;
  }
  get neededFrom(): RecordNumber {
    return this.inner.neededFrom;
  }
  wake(now: Now, out: Outbox<RaftProtocol>): void {
    this.#before("wake", undefined, undefined);
    this.inner.wake(now, out);
    this.#after();
  }
  receive(
    from: AgentId | Address,
    message: RaftMessage | RaftPromise,
    now: Now,
    out: Outbox<RaftProtocol>,
  ): void {
    this.#before("receive", from as AgentId, message);
    this.inner.receive(from, message, now, out);
    this.#after();
  }
  durable(through: RecordNumber, now: Now, out: Outbox<RaftProtocol>): void {
    this.#before("durable", undefined, undefined);
    this.inner.durable(through, now, out);
    this.#after();
  }
  checked(ticket: Ticket, valid: boolean, now: Now, out: Outbox<RaftProtocol>): void {
    this.#before("checked", undefined, undefined);
    this.inner.checked(ticket, valid, now, out);
    this.#after();
  }
  linkChanged(peer: AgentId, up: boolean, now: Now, out: Outbox<RaftProtocol>): void {
    this.#before("link", peer, undefined);
    this.inner.linkChanged(peer, up, now, out);
    this.#after();
  }
  checkInvariants(): void {
    this.inner.checkInvariants();
  }
  propose(
    commands: readonly Uint8Array[],
    now: Now,
    out: Outbox<RaftProtocol>,
  ): { kind: "accepted"; count: number; first?: LogIndex } | Refusal {
    this.#before("propose", undefined, undefined);
    const result = this.inner.propose(commands, now, out);
    this.#after();
    return result;
  }
  campaign(now: Now, out: Outbox<RaftProtocol>): void {
    this.#before("campaign", undefined, undefined);
    this.inner.campaign(now, out);
    this.#after();
  }
  status(): LogStatus & { readonly peers: readonly PeerStatus[] } {
    return this.inner.status();
  }
  read(now: Now, out: Outbox<RaftProtocol>): { kind: "ticket"; ticket: Ticket } | Refusal {
    this.#before("read", undefined, undefined);
    const result = this.inner.read(now, out);
    this.#after();
    return result;
  }
  changeMembers(change: MemberChange, now: Now, out: Outbox<RaftProtocol>): { kind: "accepted" } | Refusal {
    this.#before("changeMembers", undefined, undefined);
    const result = this.inner.changeMembers(change, now, out);
    this.#after();
    return result;
  }
  transferLeadership(
    to: AgentId | undefined,
    now: Now,
    out: Outbox<RaftProtocol>,
  ): { kind: "accepted" } | Refusal {
    this.#before("transferLeadership", to, undefined);
    const result = this.inner.transferLeadership(to, now, out);
    this.#after();
    return result;
  }
  applied(through: LogIndex, digest: Uint8Array | undefined, now: Now, out: Outbox<RaftProtocol>): void {
    this.#before("applied", undefined, undefined);
    this.inner.applied(through, digest, now, out);
    this.#after();
  }
  loaded(ticket: Ticket, run: Run | undefined, now: Now, out: Outbox<RaftProtocol>): void {
    this.#before("loaded", undefined, undefined);
    this.inner.loaded(ticket, run, now, out);
    this.#after();
  }
  recordOf(index: LogIndex): RecordNumber | undefined {
    return this.inner.recordOf(index);
  }
  anchor(): Uint8Array {
    return this.inner.anchor();
  }
  snapshotTaken(snapshot: Snapshot, now: Now, out: Outbox<RaftProtocol>): void {
    this.#before("snapshot", undefined, undefined);
    this.inner.snapshotTaken(snapshot, now, out);
    this.#after();
  }
  snapshotArrived(from: AgentId, snapshot: Snapshot, now: Now, out: Outbox<RaftProtocol>): void {
    this.#before("snapshot", from, undefined);
    this.inner.snapshotArrived(from, snapshot, now, out);
    this.#after();
  }
  snapshotSent(
    to: AgentId,
    index: LogIndex,
    outcome: "stored" | "failed",
    now: Now,
    out: Outbox<RaftProtocol>,
  ): void {
    this.#before("snapshot", to, undefined);
    this.inner.snapshotSent(to, index, outcome, now, out);
    this.#after();
  }
}

export interface RecordObserver {
  pushed(record: RaftRecord, number: number, checksum: number): void;
  /** The records that a restart finds, and their checksums. */
  recovered(records: readonly RaftRecord[], checksums: readonly number[], next: number): void;
}

/**
 * The journal, seen from outside. The codec for the cores tells which record comes next, so that none is decoded only to
 * be looked at.
 */
export class WatchedJournal implements DriverJournal {
  readonly #inner: DriverJournal;
  readonly #codec: ProtocolCodec<RaftProtocol>;
  readonly #observer: RecordObserver;
  #encoded: RaftRecord | undefined;

  /** `codec`: the true one, for what a restart finds. */
  constructor(inner: DriverJournal, codec: ProtocolCodec<RaftProtocol>, observer: RecordObserver) {
    this.#inner = inner;
    this.#codec = codec;
    this.#observer = observer;
  }

  /** `codec` as the agent's cores are to have it. */
  watchCodec(codec: ProtocolCodec<RaftProtocol>): ProtocolCodec<RaftProtocol> {
    return {
      encodeMessage: (message, version) => codec.encodeMessage(message, version),
      decodeMessage: (head, tail, version) => codec.decodeMessage(head, tail, version),
      encodeRecord: (record) => {
        this.#encoded = record;
        return codec.encodeRecord(record);
      },
      decodeRecord: (bytes) => codec.decodeRecord(bytes),
    };
  }

  get diskFull(): boolean {
    return this.#inner.diskFull;
  }

  recover(group: GroupName): RecoveredGroup {
    const found = this.#inner.recover(group);
    if (found.damaged) return found;
    const records = Array.from(found.records, (record) => record.slice());
    this.#observer.recovered(
      records.map((record) => this.#codec.decodeRecord(record)),
      records.map((record) => crc32(record)),
      found.next,
    );
    return { records, next: found.next, damaged: false };
  }

  append(group: GroupName, encoded: Encoded): RecordNumber {
    const number = this.#inner.append(group, encoded);
    let checksum = crc32(encoded.head);
    for (const part of encoded.tail) checksum = crc32(part, checksum);
    if (this.#encoded !== undefined) this.#observer.pushed(this.#encoded, number, checksum);
    this.#encoded = undefined;
    return number;
  }

  flush(): void {
    this.#inner.flush();
  }
  read(
    group: GroupName,
    from: RecordNumber,
  ): Iterable<{ readonly number: RecordNumber; readonly bytes: Uint8Array }> {
    return this.#inner.read(group, from);
  }
  restart(group: GroupName): void {
    this.#inner.restart(group);
  }
  release(group: GroupName, neededFrom: RecordNumber): void {
    this.#inner.release(group, neededFrom);
  }
  close(done: (error?: Error) => void): void {
    this.#inner.close(done);
  }
}

export interface StateObserver {
  before(bytes: Uint8Array, offset: number): void;
  after(answer: Uint8Array, digest: () => Uint8Array): void;
  /** A snapshot is being taken of the state with this digest. */
  frozen(digest: Uint8Array): void;
  restored(index: LogIndex, digest: Uint8Array): void;
}

/** The state, seen from outside: told before and after each entry, and after it was replaced. */
export class WatchedState implements AppliedState {
  readonly #inner: AppliedState;
  readonly #observer: StateObserver;

  constructor(inner: AppliedState, observer: StateObserver) {
    this.#inner = inner;
    this.#observer = observer;
  }

  apply(bytes: Uint8Array, offset: number): Uint8Array {
    this.#observer.before(bytes, offset);
    const answer = this.#inner.apply(bytes, offset);
    this.#observer.after(answer, () => this.#inner.digest());
    return answer;
  }
  query(question: Uint8Array): Uint8Array {
    return this.#inner.query(question);
  }
  tookEffect(index: LogIndex): boolean {
    return this.#inner.tookEffect(index);
  }
  changes(filter: Uint8Array, from: number, changesMax: number): Changes {
    return this.#inner.changes(filter, from, changesMax);
  }
  digest(): Uint8Array {
    return this.#inner.digest();
  }
  snapshot(): Iterable<Uint8Array> {
    this.#observer.frozen(this.#inner.digest());
    return this.#inner.snapshot();
  }
  *restoring(pieces: Iterable<Uint8Array>, expected: Pick<Snapshot, "index" | "digest">): Steps<void> {
    yield* this.#inner.restoring(pieces, expected);
    this.#observer.restored(expected.index, this.#inner.digest());
  }
}

/** `machine`, telling of every command that takes effect, with its answer. `applied` must not throw: the state would catch it. */
export function watchMachine(
  machine: AnyStateMachine,
  applied: (command: Uint8Array, answer: Uint8Array) => void,
): AnyStateMachine {
  const inner = machine as StateMachine<unknown, unknown, unknown, unknown>;
  const changes = inner.changes?.bind(inner);
  const watched: StateMachine<unknown, unknown, unknown, unknown> = {
    version: inner.version,
    commands: inner.commands,
    answers: inner.answers,
    questions: inner.questions,
    replies: inner.replies,
    apply: (command, context) => {
      const answer = inner.apply(command, context);
      applied(encodeWith(inner.commands, command), encodeWith(inner.answers, answer));
      return answer;
    },
    query: (question) => inner.query(question),
    snapshot: () => inner.snapshot(),
    restoring: (pieces) => inner.restoring(pieces),
    digest: () => inner.digest(),
    ...(changes !== undefined && { changes }),
  };
  return watched as AnyStateMachine;
}
