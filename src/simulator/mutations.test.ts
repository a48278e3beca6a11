/**
 * Who checks the checks? Each test plants one classic bug of consensus in the agents of a simulated cluster, and expects
 * that some seed of a small, fixed range finds it. The first of these seeds find nothing wrong with the code as it is.
 */
import { describe, expect, it } from "vitest";
import type { LogCore, Outbox, Send } from "../core/boundary.ts";
import { emptyBytes, writeUint53 } from "../core/bytes.ts";
import { entryIndex, entryKind, entryPayload } from "../core/entry.ts";
import { present } from "../core/assert.ts";
import type { AgentId, LogIndex, RecordNumber, Ticket } from "../core/ids.ts";
import { everybody, isJoint, type Members } from "../core/members.ts";
import { encodeWith } from "../core/machine.ts";
import { committedIndex } from "../core/quorum.ts";
import type { AppliedState } from "../driver/hosted.ts";
import type { DriverJournal } from "../driver/world.ts";
import type { Disk } from "../journal/disk.ts";
import type { JournalOptions } from "../journal/journal.ts";
import { decodeAnchor, encodeAnchor } from "../raft/fields.ts";
import type { RaftMessage, RaftPromise, RaftProtocol } from "../raft/messages.ts";
import { raftLimits } from "../raft/options.ts";
import { encodeAnswer } from "../state/answers.ts";
import { decodeCommandEnvelope, decodeQuestion } from "../state/envelope.ts";
import { drawOptions, type SimulationOptions } from "./options.ts";
import { productionParts, type Parts, type SimulatedCore } from "./parts.ts";
import { Simulation, type RunResult } from "./simulation.ts";
import type { Invariant } from "./violation.ts";

/** Each bug must be found within so many seeds. */
const seedsMax = 60;
/** So many of them are played in each world without a bug. The other seeds are `npm run soak`'s. */
const cleanSeedsMax = 5;
const timeoutMs = 120_000;

interface Hooks {
  /** A message before the core gets it; undefined: it never does. */
  readonly receive?: (
    message: RaftMessage | RaftPromise,
    core: SimulatedCore,
  ) => RaftMessage | RaftPromise | undefined;
  /** The outbox after any input. */
  readonly after?: (out: Outbox<RaftProtocol>, core: SimulatedCore) => void;
  readonly read?: (
    out: Outbox<RaftProtocol>,
    core: SimulatedCore,
  ) => { kind: "ticket"; ticket: Ticket } | undefined;
  readonly anchor?: (bytes: Uint8Array, core: SimulatedCore) => Uint8Array;
  /** The core never hears that a link broke. */
  readonly ignoresLinks?: boolean;
}

/** A core that behaves but for the hooks. Everything else goes to the true one. */
function hooked(core: SimulatedCore, hooks: Hooks): SimulatedCore {
  return new Proxy(core, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...given: unknown[]): unknown => {
        const args = [...given];
        const out = args.at(-1) as Outbox<RaftProtocol>;
        if (name === "receive" && hooks.receive !== undefined) {
          const message = hooks.receive(args[1] as RaftMessage | RaftPromise, target);
          if (message === undefined) return undefined;
          args[1] = message;
        }
        if (name === "linkChanged" && hooks.ignoresLinks === true) return undefined;
        const instead = name === "read" ? hooks.read?.(out, target) : undefined;
        if (instead !== undefined) return instead;
        const result: unknown = Reflect.apply(value, target, args);
        if (inputs.has(name)) hooks.after?.(out, target);
        if (name === "anchor" && hooks.anchor !== undefined)
          return hooks.anchor(result as Uint8Array, target);
        return result;
      };
    },
  });
}

/** A method as one of the true object, which alone may touch its private fields. */
function bound(target: object, value: unknown): unknown {
  if (typeof value !== "function") return value;
  return (...args: unknown[]): unknown => Reflect.apply(value, target, args);
}

const inputs: ReadonlySet<string | symbol> = new Set<keyof LogCore<RaftProtocol>>([
  "wake",
  "receive",
  "durable",
  "linkChanged",
  "propose",
  "campaign",
  "read",
  "applied",
  "loaded",
]);

function withCore(hooks: () => Hooks): Partial<Parts> {
  return {
    createCore: (options, recovered) => hooked(productionParts.createCore(options, recovered), hooks()),
  };
}

/** Replaces promises on their way out. */
function withPromises(change: (send: Send<RaftPromise>, core: SimulatedCore) => RaftPromise): Partial<Parts> {
  return withCore(() => ({
    after: (out, core) => {
      const promises = out.sendsOnceDurable.toArray();
      out.sendsOnceDurable.clear();
      for (const send of promises) out.sendsOnceDurable.push({ ...send, message: change(send, core) });
    },
  }));
}

function withJournal(change: (journal: DriverJournal) => Partial<DriverJournal>): Partial<Parts> {
  return {
    openJournal: (options) => {
      const journal = productionParts.openJournal(options);
      const changed = change(journal);
      return new Proxy(journal, {
        get(target, name) {
          return bound(target, Reflect.get(changed, name) ?? Reflect.get(target, name, target));
        },
      });
    },
  };
}

function withState(change: (state: AppliedState) => Partial<AppliedState>): Partial<Parts> {
  return {
    createState: (machines) => {
      const state = productionParts.createState(machines);
      return {
        apply: (bytes, offset) => state.apply(bytes, offset),
        query: (question) => state.query(question),
        tookEffect: (index) => state.tookEffect(index),
        changes: (filter, from, changesMax) => state.changes(filter, from, changesMax),
        digest: () => state.digest(),
        snapshot: () => state.snapshot(),
        restoring: (pieces, expected) => state.restoring(pieces, expected),
        ...change(state),
      };
    },
  };
}

/** A disk whose asynchronous sync answers soon and does nothing. */
function lying<T extends Pick<JournalOptions, "disk" | "schedule">>(options: T): T {
  const { disk } = options;
  const lyingDisk: Disk = {
    list: () => disk.list(),
    remove: (name) => disk.remove(name),
    rename: (from, to) => disk.rename(from, to),
    syncDirectory: (done) => disk.syncDirectory(done),
    syncDirectoryNow: () => disk.syncDirectoryNow(),
    open: (name, mode) => {
      const file = disk.open(name, mode);
      return new Proxy(file, {
        get(target, property) {
          if (property === "sync") return (done: () => void) => options.schedule(() => done());
          return bound(target, Reflect.get(target, property, target));
        },
      });
    },
  };
  return { ...options, disk: lyingDisk };
}

/** Applies whatever it gets, as often as it gets it: no session remembers what was done. */
function stateWithoutSessions(machines: Parameters<Parts["createState"]>[0]): AppliedState {
  const map = machines["map"]!;
  const command = (bytes: Uint8Array, offset: number, index: number): Uint8Array => {
    const envelope = decodeCommandEnvelope(entryPayload(bytes, offset));
    if (envelope.machine !== "map") return encodeAnswer("answered", index);
    const context = { index, proposer: envelope.proposer, time: 0, random: () => 0 };
    const answer: unknown = map.apply(map.commands.decode(envelope.command), context);
    return encodeAnswer("answered", index, encodeWith(map.answers, answer));
  };
  return {
    apply(bytes, offset) {
      const index = entryIndex(bytes, offset);
      const number = new Uint8Array(8);
      writeUint53(number, 0, index);
      const kind = entryKind(bytes, offset);
      if (kind === "openSession") return encodeAnswer("answered", index, number);
      return kind === "command" ? command(bytes, offset, index) : emptyBytes;
    },
    query: (question) => {
      const reply: unknown = map.query(map.questions.decode(decodeQuestion(question).question));
      return encodeAnswer("answered", 0, encodeWith(map.replies, reply));
    },
    tookEffect: () => true,
    changes: () => ({ kind: "changes", changes: [], through: 0 }),
    digest: () => map.digest(),
    snapshot: () => map.snapshot(),
    *restoring(pieces) {
      const restored = yield* map.restoring(pieces);
      restored.install();
    },
  };
}

/** Lets its followers commit whatever most of them hold, whichever term it is of (Raft, figure 8). */
const commitsOldTerms: Hooks = {
  after: (out, core) => {
    const { role, peers, durable, committed, term: inTerm } = core.status();
    if (role !== "leader") return;
    const rising = [...peers.map((peer) => peer.matched), durable].toSorted((a, b) => b - a);
    const commit = rising[Math.floor((peers.length + 1) / 2)]!;
    if (commit <= committed || core.termAt(commit) === inTerm) return;
    for (const { id: to, matched } of peers) {
      const message = {
        kind: "commit",
        term: inTerm,
        commit: Math.min(commit, matched) as LogIndex,
      } as const;
      out.sends.push({ to, channel: "urgent", message });
    }
  },
};

/** Lets its followers commit what most of `those` hold, whoever has to agree. Undefined: as it should be. */
function decidesBy(those: (members: Members) => readonly AgentId[] | undefined): Hooks {
  return {
    after: (out, core) => {
      const { role, members, peers, durable, committed, term: inTerm } = core.status();
      const deciders = role === "leader" ? those(members) : undefined;
      if (deciders === undefined) return;
      const matched = new Map(peers.map((peer) => [peer.id, peer.matched]));
      const commit = committedIndex(deciders, (id) => matched.get(id) ?? durable);
      if (commit <= committed || core.termAt(commit) !== inTerm) return;
      for (const [to, has] of matched) {
        const message = { kind: "commit", term: inTerm, commit: Math.min(commit, has) as LogIndex } as const;
        out.sends.push({ to, channel: "urgent", message });
      }
    },
  };
}

interface Mutation {
  readonly bug: string;
  readonly parts: () => Partial<Parts>;
  /** Where a bug needs one kind of trouble, plenty of it. */
  readonly world?: Partial<SimulationOptions>;
  /** What may find it: whichever check sees it first in the seed at hand. */
  readonly foundBy: readonly Invariant[];
}

const neverHappens = { everySeconds: Number.POSITIVE_INFINITY, lastsSeconds: 0 } as const;

/** Leaders come and go while little of what they appended has left: the ground on which figure 8 grows. */
const restless: Partial<SimulationOptions> = {
  agents: 3,
  joiners: 0,
  memberChanges: neverHappens,
  faultSeconds: 8,
  network: {
    delayMinMicros: 500,
    delayMeanMicros: 4000,
    spikeRate: 0,
    spikeMicros: 0,
    lossRate: 0.2,
    repeatRate: 0,
    ordered: false,
  },
  crashes: { everySeconds: 0.3, lastsSeconds: 0.2 },
  partitions: { everySeconds: 0.5, lastsSeconds: 0.2, oneWayShare: 0 },
  clients: { count: 3, intervalMillis: 5, inFlightMax: 8, keys: 3, readShare: 0, patienceMillis: 200 },
  raft: {
    electionTimeoutMs: [40, 80],
    heartbeatMs: 20,
    limits: { ...raftLimits(), appendBytesMax: 512, inFlightAppendsMax: 1 },
  },
  snapshots: { logBytes: 1_000_000, pieceBytes: 1000 },
};

/** Members come and go all the time, while links break. */
const changing: Partial<SimulationOptions> = {
  agents: 5,
  joiners: 2,
  healing: "everybody",
  earlierAgents: 0,
  memberChanges: { everySeconds: 0.1, lastsSeconds: 0 },
  partitions: { everySeconds: 0.3, lastsSeconds: 0.2, oneWayShare: 0 },
};

/** Leaders are cut off while clients read. */
const divided: Partial<SimulationOptions> = {
  agents: 3,
  joiners: 0,
  memberChanges: neverHappens,
  partitions: { everySeconds: 0.5, lastsSeconds: 0.5, oneWayShare: 0 },
  clients: { count: 5, intervalMillis: 5, inFlightMax: 1, keys: 1, readShare: 0.5, patienceMillis: 200 },
};

/** Snapshots are taken all the time, disks are slow, and whoever crashes has to be given one. */
const compacting: Partial<SimulationOptions> = {
  agents: 3,
  joiners: 0,
  memberChanges: neverHappens,
  earlierAgents: 0,
  crashes: { everySeconds: 0.3, lastsSeconds: 0.5 },
  disk: { syncMeanMicros: 3000, crashSectorBytes: 512, failures: neverHappens, hangs: neverHappens },
  snapshots: { logBytes: 300, pieceBytes: 200 },
  clients: { count: 3, intervalMillis: 5, inFlightMax: 8, keys: 3, readShare: 0, patienceMillis: 200 },
  raft: {
    electionTimeoutMs: [80, 160],
    heartbeatMs: 20,
    limits: { ...raftLimits(), logKeptBytesMax: 200, logHeldBytesMax: 1000 },
  },
};

/** Clients are quiet for long, and agents are down for longer than anybody may sleep on under them. */
const drowsy: Partial<SimulationOptions> = {
  agents: 3,
  joiners: 0,
  earlierAgents: 0,
  faultSeconds: 30,
  crashes: { everySeconds: 3, lastsSeconds: 20 },
  idleTimes: { everySeconds: 1, lastsSeconds: 20 },
  memberChanges: { everySeconds: Number.POSITIVE_INFINITY, lastsSeconds: 0 },
  raft: {
    electionTimeoutMs: [150, 300],
    heartbeatMs: 50,
    limits: raftLimits(),
    hibernation: { quietBeats: 1, renewalMs: 600_000 },
  },
};

const mutations: readonly Mutation[] = [
  {
    bug: "promises leave before the sync",
    parts: () =>
      withCore(() => ({
        after: (out) => {
          // The types keep promises out of `sends`; a bug that strong needs a cast.
          for (const send of out.sendsOnceDurable.toArray())
            out.sends.push(send as unknown as Send<RaftMessage>);
          out.sendsOnceDurable.clear();
        },
      })),
    foundBy: ["promiseDurability"],
  },
  {
    bug: "the sync is reported before it is done",
    parts: () => ({ openJournal: (options) => productionParts.openJournal(lying(options)) }),
    foundBy: ["journalDurability", "leaderCompleteness", "stateMachineSafety", "commitDurability", "noCrash"],
  },
  {
    bug: "the vote is forgotten at a restart",
    parts: () => ({
      codec: {
        ...productionParts.codec,
        decodeRecord: (bytes) => {
          const record = productionParts.codec.decodeRecord(bytes);
          return record.kind === "hardState" ? { kind: "hardState", term: record.term } : record;
        },
      },
    }),
    foundBy: ["recovery"],
  },
  {
    bug: "the journal loses its last record at a restart",
    parts: () =>
      withJournal((journal) => ({
        recover: (group) => {
          const { records, next, damaged } = journal.recover(group);
          const all = Array.from(records, (record) => record.slice());
          return all.length === 0
            ? { records: all, next, damaged }
            : { records: all.slice(0, -1), next: (next - 1) as RecordNumber, damaged };
        },
      })),
    foundBy: ["journalDurability"],
  },
  {
    bug: "a follower acknowledges what it does not have",
    parts: () =>
      withPromises(({ message }) =>
        message.kind === "appendRejected"
          ? { kind: "appendMatched", term: message.term, matched: message.prevIndex }
          : message,
      ),
    foundBy: ["promiseDurability"],
  },
  {
    bug: "a vote is given to everybody who asks",
    parts: () =>
      withPromises(({ message }) =>
        message.kind === "voteAnswer" ? { ...message, granted: true } : message,
      ),
    foundBy: ["promiseDurability"],
  },
  {
    bug: "a vote is given whatever the candidate's log holds",
    parts: () =>
      withCore(() => ({
        receive: (message) =>
          message.kind === "voteRequest" || message.kind === "preVoteRequest"
            ? { ...message, lastIndex: 1e9 as LogIndex, lastTerm: message.term }
            : message,
      })),
    world: restless,
    foundBy: ["leaderCompleteness", "commitDurability", "stateMachineSafety", "noCrash"],
  },
  {
    bug: "entries of an old term are committed by counting",
    parts: () => withCore(() => commitsOldTerms),
    world: restless,
    foundBy: ["leaderCompleteness", "commitDurability", "stateMachineSafety", "noCrash"],
  },
  {
    bug: "the new voters alone decide while the old ones must agree, too",
    parts: () => withCore(() => decidesBy((members) => (isJoint(members) ? members.voters : undefined))),
    world: changing,
    foundBy: ["commitDurability", "leaderCompleteness", "stateMachineSafety"],
  },
  {
    bug: "learners are counted",
    parts: () => withCore(() => decidesBy((members) => [...everybody(members)])),
    world: changing,
    foundBy: ["commitDurability", "leaderCompleteness", "stateMachineSafety"],
  },
  {
    bug: "a snapshot is of the members of later",
    parts: () =>
      withCore(() => ({
        anchor: (bytes, core) => {
          const anchor = present(decodeAnchor(bytes), "a core makes whole anchors");
          return encodeAnchor({ ...anchor, members: core.status().members });
        },
      })),
    world: { ...changing, snapshots: { logBytes: 300, pieceBytes: 200 } },
    foundBy: ["snapshotMembers"],
  },
  {
    bug: "sessions do not deduplicate",
    parts: () => ({ createState: stateWithoutSessions }),
    foundBy: ["exactlyOnce", "acknowledgedKept"],
  },
  {
    bug: "a leader answers reads without asking whether it still leads",
    parts: () =>
      withCore(() => {
        let tickets = 1e9;
        return {
          read: (out, core) => {
            if (core.role !== "leader") return undefined;
            const ticket = tickets as Ticket;
            tickets += 1;
            out.events.push({ kind: "readable", ticket });
            return { kind: "ticket", ticket };
          },
        };
      }),
    world: divided,
    foundBy: ["linearizable"],
  },
  {
    bug: "one agent's state machine answers to its own dice",
    parts: () => {
      let copies = 0;
      return withState((state) => {
        copies += 1;
        const salt = copies;
        return { digest: () => state.digest().map((byte) => byte ^ (salt % 3 === 0 ? 1 : 0)) };
      });
    },
    foundBy: ["equalDigests"],
  },
  {
    bug: "a snapshot has its name before its bytes are on the disk",
    parts: () => ({ openSnapshots: (options) => productionParts.openSnapshots(lying(options)) }),
    world: compacting,
    foundBy: ["noCrash"],
  },
  {
    bug: "the snapshot before goes before the disk knows of the next",
    parts: () => ({
      openSnapshots: (options) => {
        const store = productionParts.openSnapshots(options);
        return {
          take: (...given) => store.take(...given),
          receive: (...given) => store.receive(...given),
          read: (...given) => store.read(...given),
          keepOnly: (group, indices) =>
            store.keepOnly(group, new Set([...indices].toSorted((a, b) => b - a).slice(0, 1))),
          close: (done) => store.close(done),
        };
      },
    }),
    world: compacting,
    foundBy: ["noCrash", "convergence"],
  },
  {
    bug: "a snapshot is of whatever the state is while it is written",
    parts: () =>
      withState((state) => ({
        *snapshot() {
          const [then = emptyBytes] = state.snapshot();
          yield then.subarray(0, 100);
          const [now = emptyBytes] = state.snapshot();
          yield now.subarray(100);
        },
      })),
    world: compacting,
    foundBy: ["noCrash", "equalDigests"],
  },
  {
    bug: "a snapshot that has arrived does not take the place of the state",
    parts: () =>
      withState((state) => {
        let isNew = true;
        return {
          *restoring(pieces, expected) {
            if (isNew) yield* state.restoring(pieces, expected);
          },
          apply: (bytes, offset) => {
            isNew = false;
            return state.apply(bytes, offset);
          },
        };
      }),
    world: compacting,
    foundBy: ["equalDigests"],
  },
  {
    bug: "a follower never acknowledges",
    parts: () =>
      withCore(() => ({ receive: (message) => (message.kind === "appendMatched" ? undefined : message) })),
    foundBy: ["convergence"],
  },
  {
    bug: "one who sleeps does not wake when its leader's agent is gone",
    parts: () => withCore(() => ({ ignoresLinks: true })),
    world: drowsy,
    foundBy: ["sleepIsWatched"],
  },
];

/** Short runs: a planted bug is found soon or not at all. */
function run(seed: number, parts: Partial<Parts> = {}, world: Partial<SimulationOptions> = {}): RunResult {
  const options = { ...drawOptions(seed, { seconds: 4 }), ...world };
  return new Simulation(options, { parts: { ...productionParts, ...parts } }).run();
}

describe("planted bugs are found", () => {
  /** Which seeds were needed in each world; `undefined` is the one that the seed draws. */
  const seedsNeeded = new Map<Partial<SimulationOptions> | undefined, number>();

  it.each(mutations)(
    "$bug",
    ({ parts, foundBy, world }) => {
      for (let seed = 1; seed <= seedsMax; seed++) {
        const { failure } = run(seed, parts(), world);
        seedsNeeded.set(world, Math.max(seed, seedsNeeded.get(world) ?? 0));
        if (failure === undefined) continue;
        expect(foundBy).toContain(failure.invariant);
        return;
      }
      expect.fail(`no seed from 1 to ${seedsMax} found it`);
    },
    timeoutMs,
  );

  it(
    "and seeds of the same worlds find nothing wrong without them",
    () => {
      expect(seedsNeeded.size).toBeGreaterThan(0);
      for (const [world, seeds] of seedsNeeded) {
        for (let seed = 1; seed <= Math.min(seeds, cleanSeedsMax); seed++) {
          const { failure } = run(seed, {}, world);
          expect(failure?.detail, `seed ${seed}: ${failure?.invariant}`).toBeUndefined();
        }
      }
    },
    timeoutMs,
  );
});
