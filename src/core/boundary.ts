/**
 * The boundary between mechanisms and the world. A mechanism is a *core*: a synchronous state machine without clock,
 * socket, disk or randomness of its own. Inputs are its methods; what it wants done comes out as plain data in an
 * {@link Outbox}. The driver is the only one that calls a core and the only one that carries out its effects.
 */
import type { Run } from "./entry.ts";
import type { Address, AgentId, LogIndex, Micros, RecordNumber, Term, Ticket } from "./ids.ts";
import { Lane } from "./lane.ts";
import { limits } from "./limits.ts";
import type { MemberChange, MemberFault, Members } from "./members.ts";
import type { WireVersion } from "./wire-version.ts";

/** Both clocks as read at the start of the turn; the driver reuses the object, so never keep it. Only time-outs use `monotonic`. */
export interface Now {
  readonly monotonic: Micros;
  readonly wall: Micros;
}

/** A mechanism's vocabulary. `promise` = what binds its sender (vote, ack, prepare). Disjoint from `message`, so it cannot leave early. */
export interface Protocol {
  message: object;
  promise: object;
  record: object;
  event: object;
}

/**
 * How a message travels: `datagram` may be lost and fits the MTU; `urgent` overtakes `stream` on a link; `lazy` is like
 * `urgent`, but waits a few milliseconds for something else to leave with; `bulk` has its own connection.
 */
export type Channel = "urgent" | "lazy" | "stream" | "bulk" | "datagram";

export interface Send<M> {
  readonly to: AgentId | Address;
  readonly channel: Channel;
  readonly message: M;
}

/** A whole snapshot by name; its bytes never pass through a core. `anchor`: term or view, members, certificate at `index`. */
export interface Snapshot {
  readonly index: LogIndex;
  readonly digest: Uint8Array;
  readonly byteLength: number;
  readonly anchor: Uint8Array;
}

/** Why an input is refused, as a value: nothing has happened. */
export type Refusal =
  | { readonly kind: "notLeader"; readonly leader?: AgentId }
  | { readonly kind: "overloaded"; readonly inFlight: number; readonly inFlightMax: number }
  | { readonly kind: "busy"; readonly because: "memberChange" | "transfer" | "election" }
  /** A change of members that makes no sense. */
  | { readonly kind: "badChange"; readonly fault: MemberFault }
  /** A target of a transfer that is no voter, or is too far behind; new voters of which too few are heard. */
  | { readonly kind: "notReady"; readonly agents: readonly AgentId[] }
  | { readonly kind: "diskFull" }
  | { readonly kind: "closed" };

/**
 * One mechanism without I/O: never async, no clock, randomness only from the `Prng` given. One input at a time, never
 * re-entered. Restart = constructor given {@link Recovered}; it folds the records with the same function as live steps,
 * and sends nothing until woken.
 */
export interface Core<P extends Protocol> {
  /** Next monotonic instant for `wake`, or Infinity. A late wake is an input: later than an election time-out ends any lease. */
  readonly deadline: Micros;
  /** Recovery needs no record below this one: the journal may recycle them. Rises only after what replaces them is durable. */
  readonly neededFrom: RecordNumber;
  wake(now: Now, out: Outbox<P>): void;
  receive(from: AgentId | Address, message: P["message"] | P["promise"], now: Now, out: Outbox<P>): void;
  /** This group's records up to and including `through` are on disk. Never called after a failed sync: that ends the process. */
  durable(through: RecordNumber, now: Now, out: Outbox<P>): void;
  /** Answer to a `check`; any order, any delay, perhaps never. Unknown or outdated tickets are ignored. */
  checked(ticket: Ticket, valid: boolean, now: Now, out: Outbox<P>): void;
  /** A hint only: sends in flight may be lost (down), so probe again (up). */
  linkChanged(peer: AgentId, up: boolean, now: Now, out: Outbox<P>): void;
  /** Throws an `AssertionError` where the state breaks an invariant. O(1): it runs after every simulated step. */
  checkInvariants(): void;
}

export interface Recovered<P extends Protocol> {
  readonly records: Iterable<P["record"]>;
  /** The number that the next record pushed will have. */
  readonly next: RecordNumber;
}

export type Role = "leader" | "candidate" | "follower" | "learner";

/** How far the leader knows one peer to be. */
export interface PeerStatus {
  readonly id: AgentId;
  readonly matched: LogIndex;
  readonly mode: "probe" | "replicate" | "snapshot";
  readonly heardAt: Micros;
}

/**
 * A core that hibernates: it has nothing to do and sends no heartbeats, and counts on its driver to watch its peers. It is
 * replaced, never changed, so that a glance tells whether it is another one.
 */
export interface Hibernation {
  /** `linkChanged` (down) of one that nothing was heard of for as long as `silence`. They are to hear of this agent meanwhile. */
  readonly present: readonly AgentId[];
  /** How often those who watch each other hear of each other. */
  readonly pulseInterval: Micros;
  readonly silence: Micros;
}

export interface LogStatus {
  readonly role: Role;
  readonly term: Term;
  readonly leader: AgentId | undefined;
  /** The snapshot that a restart begins from is of the state at this index; 0: from nothing. */
  readonly base: LogIndex;
  /** The first entry that can still be read: at most the one behind `base`. Behind `last` where the log has none. */
  readonly first: LogIndex;
  readonly last: LogIndex;
  readonly durable: LogIndex;
  readonly committed: LogIndex;
  readonly applied: LogIndex;
  /** Idle and complete, and asleep until something happens. */
  readonly hibernating: boolean;
  /** How much this agent is preferred as a leader. */
  readonly electionPriority: number;
  readonly members: Members;
  /** At the leader only; else empty. */
  readonly peers: readonly PeerStatus[];
  /** At a leader that is handing over: to whom. */
  readonly successor: AgentId | undefined;
  /** At a leader: until then it answers reads by lease, by its monotonic clock. Undefined where it does not. */
  readonly leaseEnds: Micros | undefined;
}

/**
 * raft, paxos, pbft. The core owns the log's order: what is unapplied, a byte-bounded tail, and where each term or view
 * begins. Older entries up to the snapshot stay in the journal (`loads`). The driver owns state machine, snapshot files
 * and their transfer.
 */
export interface LogCore<P extends Protocol> extends Core<P> {
  /**
   * Many commands, encoded once by the caller, each with (session, sequence) in its header: its committed run tells its fate.
   * `first`: the index that the first one has in this agent's log, absent where they were forwarded to the leader.
   * Within `limits.batchEntriesMax` and `limits.batchBytesMax`; the core copies the bytes before it stamps them.
   */
  propose(
    commands: readonly Uint8Array[],
    now: Now,
    out: Outbox<P>,
  ): { kind: "accepted"; count: number; first?: LogIndex } | Refusal;
  /** Campaign at once, by hand. A leader stays what it is. */
  campaign(now: Now, out: Outbox<P>): void;
  /** Undefined while it is awake. Any input may end it. */
  readonly hibernation: Hibernation | undefined;
  /**
   * The snapshot that the state starts from, as the newest base record says; undefined: from nothing. At a restart the driver
   * restores the state from it before the first `wake`; what is applied counts from its index on. Its file, and that of the
   * base before it, stay until every record pushed so far is durable: until then a crash may bring back either.
   */
  readonly base: Snapshot | undefined;
  /** What people and pages are shown; made anew at each call, so not for the hot path. */
  status(): LogStatus;
  /** One ticket for all reads since the last confirmation left; a `readable` event means confirmed AND applied on this agent. */
  read(now: Now, out: Outbox<P>): { kind: "ticket"; ticket: Ticket } | Refusal;
  /**
   * At the leader: plans the change, carries it out as soon as the newcomers have caught up, and goes on with it under every
   * later leader. Accepted: the plan is in the log. A second change before the first is decided is `busy`; while newcomers
   * catch up, a new plan replaces the old one.
   */
  changeMembers(change: MemberChange, now: Now, out: Outbox<P>): { kind: "accepted" } | Refusal;
  /** At the leader: hands over to that voter, or to the best one. Proposals are `busy` until it is done or given up. */
  transferLeadership(to: AgentId | undefined, now: Now, out: Outbox<P>): { kind: "accepted" } | Refusal;
  /** State machine's progress: opens the commit window (`applyBytesMax`), releases reads; with the digest where the run asked for it. */
  applied(through: LogIndex, digest: Uint8Array | undefined, now: Now, out: Outbox<P>): void;
  /** Answer to a `load`; undefined: compacted meanwhile, so send the snapshot. */
  loaded(ticket: Ticket, run: Run | undefined, now: Now, out: Outbox<P>): void;
  /** Which journal record holds the entry at `index`, or an earlier one near it: where the driver starts reading for a `load`. */
  recordOf(index: LogIndex): RecordNumber | undefined;
  /**
   * Term or view, members and certificate to write into a snapshot taken now, at the applied index. None is taken while `base`
   * is ahead of that: then another state is about to take the place of this one.
   */
  anchor(): Uint8Array;
  /**
   * Own snapshot file is durable (file synced, renamed, directory synced): the core records it as base, and compacts up to its
   * tail once that record is durable. Ignored where `base` is as new by now, or where it is not known who took part at that
   * index, as with newcomers: `base` tells, and the file then belongs to nobody.
   */
  snapshotTaken(snapshot: Snapshot, now: Now, out: Outbox<P>): void;
  /**
   * A peer's snapshot lies durable and checked here. It is ignored where its `anchor` can't be read, where the log has its
   * entry already, or where this agent leads; `base` tells. `from` hears how far this agent's log is in any case, so the same
   * snapshot may be reported again. Else it becomes the base:
   *
   * 1. From now on nothing is handed out. Runs that were handed out before may still be applied, and reported.
   * 2. Once its record is durable, a `restore` event comes. The driver drops at once what it has not applied of those runs,
   *    replaces the state by the snapshot (which may take any number of turns), and reports `applied` with just its index, and
   *    nothing else before. From then on commits go on behind it.
   *
   * A later snapshot may arrive at any time meanwhile. Its `restore` takes the place of one that is still under way, which is
   * then not reported.
   */
  snapshotArrived(from: AgentId, snapshot: Snapshot, now: Now, out: Outbox<P>): void;
  /**
   * What became of a `transfer`. `stored`: it lies durable at the peer, and the peer's core was told. `failed`: nothing is
   * under way any more; the core comes back to it. What is not of the newest transfer to that peer is ignored.
   */
  snapshotSent(to: AgentId, index: LogIndex, outcome: "stored" | "failed", now: Now, out: Outbox<P>): void;
}

/**
 * Effects as data. ONE per driver, drained after each core's turn. Each input has a stated maximum per lane; the driver
 * drains before an input whose maximum does not fit; overflow is a bug (assert). Draining clears the slots it used.
 */
export interface Outbox<P extends Protocol> {
  readonly sends: Lane<Send<P["message"]>>;
  readonly records: Lane<P["record"]>;
  /** Leaves once EVERY record this core has pushed so far is durable: those of this turn, and older ones whose sync is in flight. */
  readonly sendsOnceDurable: Lane<Send<P["promise"]>>;
  /** Signatures to check, inline or in the pool. Signing (36 µs, deterministic) is a synchronous `Signer` given to the core. */
  readonly checks: Lane<{
    readonly ticket: Ticket;
    readonly signer: AgentId;
    readonly signature: Uint8Array;
    readonly bytes: Uint8Array;
  }>;
  readonly loads: Lane<{ readonly ticket: Ticket; readonly first: LogIndex; readonly bytesMax: number }>;
  /**
   * Send that peer the snapshot at `index`, which is or was the base; its file stays until the transfer ends. It comes again
   * while nothing comes of it: then the driver goes on with that transfer, or begins it anew. Another index replaces it.
   */
  readonly transfers: Lane<{ readonly to: AgentId; readonly index: LogIndex }>;
  /**
   * Decided AND durable here, in order from the base's index + 1, once per process life, at most the window ahead
   * of `applied`; after a `restore` from behind that snapshot on. Runs are cut at checkpoints; there `digestAfter` asks for the state's digest (and, in pbft, for a snapshot
   * at just that index).
   */
  readonly commits: Lane<{ readonly run: Run; readonly digestAfter: boolean }>;
  readonly events: Lane<P["event"]>;
}

/** One outbox, with room in every lane for any single input. */
export function createOutbox<P extends Protocol>(): Outbox<P> {
  const lane = <T>(): Lane<T> => new Lane<T>(limits.laneEffectsMax);
  return {
    sends: lane(),
    records: lane(),
    sendsOnceDurable: lane(),
    checks: lane(),
    loads: lane(),
    transfers: lane(),
    commits: lane(),
    events: lane(),
  };
}

/** Empties every lane. */
export function clearOutbox<P extends Protocol>(out: Outbox<P>): void {
  out.sends.clear();
  out.records.clear();
  out.sendsOnceDurable.clear();
  out.checks.clear();
  out.loads.clear();
  out.transfers.clear();
  out.commits.clear();
  out.events.clear();
}

/**
 * A message or record as bytes: a small `head`, and the `tail` of runs and other bulk that is passed on without a copy.
 * Whoever frames it protects the head by a checksum of its own; the entries in the tail bring theirs.
 */
export interface Encoded {
  readonly head: Uint8Array;
  readonly tail: readonly Uint8Array[];
}

/** A mechanism's messages and records as bytes. Decoding throws `MalformedError` on whatever encoding does not produce. */
export interface ProtocolCodec<P extends Protocol> {
  /** As peers of that version read it; undefined: it can't be said to them, and counts as lost. */
  encodeMessage(message: P["message"] | P["promise"], version: WireVersion): Encoded | undefined;
  /** What a peer of that version wrote. */
  decodeMessage(head: Uint8Array, tail: Uint8Array, version: WireVersion): P["message"] | P["promise"];
  encodeRecord(record: P["record"]): Encoded;
  decodeRecord(bytes: Uint8Array): P["record"];
}
