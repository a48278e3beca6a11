/**
 * Who checks the checks? Each test plants one classic bug of consensus in the agents of a simulated cluster, and expects
 * that some seed of a small, fixed range finds it. The first of these seeds find nothing wrong with the code as it is.
 */
import { describe, expect, it } from "vitest";
import type { Now, Send } from "../core/boundary.ts";
import { emptyBytes, writeUint53 } from "../core/bytes.ts";
import { entryIndex, entryKind, entryPayload } from "../core/entry.ts";
import { present } from "../core/assert.ts";
import type { AgentId, LogIndex, Micros, RecordNumber, Term, Ticket } from "../core/ids.ts";
import { everybody, isJoint, type Members } from "../core/members.ts";
import { encodeWith } from "../core/machine.ts";
import { committedIndex } from "../core/quorum.ts";
import type { AppliedState } from "../driver/hosted.ts";
import { decodeAnchor, encodeAnchor } from "../raft/fields.ts";
import type { HardState, RaftMessage } from "../raft/messages.ts";
import { raftLimits } from "../raft/options.ts";
import { encodeAnswer } from "../state/answers.ts";
import { decodeCommandEnvelope, decodeQuestion } from "../state/envelope.ts";
import { drawOptions, type SimulationOptions } from "./options.ts";
import { productionParts, type Parts } from "./parts.ts";
import { scenarios } from "./scenarios.ts";
import { Simulation, type RunResult } from "./simulation.ts";
import { lying, withCore, withJournal, withPromises, withState, type Hooks } from "./test-bugs.ts";
import type { Invariant } from "./violation.ts";

/** Each bug must be found within so many seeds. */
const seedsMax = 60;
/** So many of them are played in each world without a bug. The other seeds are `npm run soak`'s. */
const cleanSeedsMax = 5;
const timeoutMs = 120_000;

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

function shifted({ monotonic, wall }: Now, byMicros: number): Now {
  return { monotonic: (monotonic + byMicros) as Micros, wall: (wall + byMicros) as Micros };
}

function withoutPledge({ term, votedFor }: HardState): HardState {
  return { term, ...(votedFor !== undefined && { votedFor }) };
}

/** Every poll is granted, and every candidate passes for one that the leader summoned. */
function breaksPledges(): Hooks {
  let asked: Term | undefined;
  return {
    receive: (message, core) => {
      asked = message.kind === "preVoteRequest" && message.term > core.term ? message.term : undefined;
      return message.kind === "voteRequest" ? { ...message, transfer: true } : message;
    },
    after: (out) => {
      const sends = out.sends.toArray();
      out.sends.clear();
      for (const send of sends) {
        const isPoll = send.message.kind === "preVoteAnswer" && asked !== undefined;
        const message = { kind: "preVoteAnswer", term: asked ?? (0 as Term), granted: true } as const;
        out.sends.push(isPoll ? { ...send, message } : send);
      }
      asked = undefined;
    },
  };
}

/** Where a bug needs one kind of trouble, plenty of it; or the name of a story. */
type World = Partial<SimulationOptions> | string;

interface Mutation {
  readonly bug: string;
  readonly parts: () => Partial<Parts>;
  readonly world?: World;
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
    bug: "a lease lasts twice as long as the pledges that it rests on",
    parts: () =>
      withCore(() => ({ clock: (now, input) => (input === "read" ? shifted(now, -150_000) : now) })),
    world: "read-by-lease",
    foundBy: ["linearizable"],
  },
  {
    bug: "a voter pledges its vote, and gives it all the same",
    parts: () => withCore(breaksPledges),
    world: "read-by-lease",
    foundBy: ["linearizable", "expectation"],
  },
  {
    bug: "a restart forgets that the vote is pledged",
    parts: () => ({
      codec: {
        ...productionParts.codec,
        decodeRecord: (bytes) => {
          const record = productionParts.codec.decodeRecord(bytes);
          return record.kind === "hardState" ? { kind: "hardState", ...withoutPledge(record) } : record;
        },
      },
    }),
    world: "read-by-lease",
    foundBy: ["linearizable", "expectation"],
  },
  {
    bug: "a machine that was suspended trusts the clock that stood still",
    parts: () =>
      withCore(() => {
        let apart: number | undefined;
        return {
          clock: (now) => {
            apart ??= now.wall - now.monotonic;
            return { monotonic: now.monotonic, wall: (now.monotonic + apart) as Micros };
          },
        };
      }),
    world: "read-by-lease",
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
function run(seed: number, parts: Partial<Parts> = {}, world: World = {}): RunResult {
  const scenario = scenarios.find(({ name }) => name === world);
  const options = { ...drawOptions(seed, { seconds: 4, scenario }), ...(typeof world === "object" && world) };
  return new Simulation(options, { scenario, parts: { ...productionParts, ...parts } }).run();
}

describe("planted bugs are found", () => {
  /** Which seeds were needed in each world; `undefined` is the one that the seed draws. */
  const seedsNeeded = new Map<World | undefined, number>();

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
