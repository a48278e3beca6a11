/** Misfortunes of whole clusters on which consensus libraries have stumbled, as stories. docs/pitfalls.md says whose they were. */
import { raftHibernation } from "../raft/options.ts";
import { pass, throughout, within, type Scenario } from "./scenario.ts";

const lostPower: Scenario = {
  name: "lost-power",
  title:
    "pitfalls 1, 2 and 3: all agents lose power at once, again and again, and nothing that was acknowledged is lost",
  *script(play) {
    for (let times = 0; times < 5; times++) {
      yield* play.atWork();
      for (const agent of play.agents) play.crash(agent, "powerFailure");
      yield pass(0.1);
      for (const agent of play.agents) play.restart(agent);
    }
    yield play.serves(3);
  },
};

const cutOffLeader: Scenario = {
  name: "cut-off-leader",
  title:
    "pitfall 10: a leader cut off from the others, but not from its clients, answers no read from its old state",
  world: ({ clients }) => ({
    clients: { ...clients, count: 12, keys: 1, readShare: 0.7, patienceMillis: 20 },
  }),
  *script(play) {
    for (let times = 0; times < 5; times++) {
      const old = yield* play.atWork();
      play.isolate(old);
      yield within(1, "another leads", () => play.leader !== undefined && play.leader !== old);
      yield within(0.4, "it has laid down its office", () => !old.leads());
      play.heal();
    }
  },
};

const lostWindow: Scenario = {
  name: "lost-window",
  title:
    "pitfall 22: a follower that lost a full window of appends is caught up, though nobody noticed the broken link",
  world: ({ raft }) => ({ raft: { ...raft, limits: { ...raft.limits, inFlightAppendsMax: 8 } } }),
  *script(play) {
    const leader = yield* play.atWork();
    const [follower] = play.twoOthers(leader);
    play.cut(leader, follower);
    yield play.serves(2);
    play.mend(leader, follower);
    yield play.catchesUp(follower, 1);
  },
};

const stoppedLeader: Scenario = {
  name: "stopped-leader",
  title:
    "pitfall 23: a leader that stood still for a second, and wakes where only its clients reach it, leads no more",
  world: ({ clients }) => ({ clients: { ...clients, count: 12, keys: 1, readShare: 0.7 } }),
  *script(play) {
    const old = yield* play.atWork();
    play.pause(old);
    play.isolate(old);
    yield within(1, "another leads", () => play.leader !== undefined);
    yield play.serves(2);
    yield pass(0.5);
    play.resume(old);
    yield within(0.05, "it has laid down its office", () => !old.leads());
    yield throughout(1, "it stays out of office", () => !old.leads());
  },
};

const failedSync: Scenario = {
  name: "failed-sync",
  title: "pitfall 24: an agent ends itself where a sync fails, though the next would succeed",
  *script(play) {
    const leader = yield* play.atWork();
    play.failSync(leader);
    yield within(0.2, "it has ended itself", () => leader.condition === "down");
    yield play.serves(2);
    play.restart(leader);
    yield play.catchesUp(leader, 2);
  },
};

const lostAnswers: Scenario = {
  name: "lost-answers",
  title:
    "pitfall 27: clients that lose every tenth call or answer, and ask again, have each command done once",
  world: ({ network }) => ({ network: { ...network, lossRate: 0.1 } }),
  *script(play) {
    for (let times = 0; times < 3; times++) {
      const leader = yield* play.atWork();
      play.crash(leader, "kill");
      yield play.serves(10);
      play.restart(leader);
    }
  },
};

const rottenJournal: Scenario = {
  name: "rotten-journal",
  title:
    "pitfalls 24 and 25: an agent whose journal rotted in the middle stays out of its group, and the others go on",
  *script(play) {
    const leader = yield* play.atWork();
    play.crash(leader, "kill");
    yield play.serves(3);
    play.rot(leader);
    play.restart(leader);
    yield throughout(3, "it is not hosted", () => leader.condition === "down");
    yield play.serves(1);
  },
};

const hungDisk: Scenario = {
  name: "hung-disk",
  title: "pitfall 28: a leader whose disk hangs for 30 s lays down its office, and the others go on",
  world: ({ clients }) => ({ clients: { ...clients, intervalMillis: 50 } }),
  *script(play) {
    const old = yield* play.atWork();
    play.hangDisk(old, 30);
    yield within(0.6, "it lays down its office", () => !old.leads());
    yield within(1.5, "another leads", () => play.leader !== undefined);
    yield play.serves(3);
    yield throughout(25, "it does not lead, and one of the others does", () => {
      return !old.leads() && play.leader !== undefined;
    });
    yield play.serves(3);
    yield play.catchesUp(old, 5);
  },
};

const flood: Scenario = {
  name: "flood",
  title:
    "pitfall 29: while the disks of a majority hang, what a leader takes is bounded, and all of it is decided after",
  world: ({ clients, raft }) => ({
    clients: { ...clients, count: 20, intervalMillis: 5, inFlightMax: 64, readShare: 0 },
    raft: { ...raft, limits: { ...raft.limits, uncommittedBytesMax: 8192 } },
  }),
  *script(play) {
    const leader = yield* play.atWork();
    for (const other of play.others(leader)) play.hangDisk(other, 5);
    yield pass(0.5);
    const full = leader.core?.lastIndex;
    yield throughout(4, "it stays in office, and its log does not grow", () => {
      return leader.leads() && leader.core?.lastIndex === full;
    });
    yield play.serves(3);
  },
};

const chain: Scenario = {
  name: "chain",
  title:
    "pitfall 30: of three in a chain with the leader at one end, the leader stays, and the far end disturbs nobody",
  // Reads only: at the far end the log is as good as the leader's, and only who hears a leader keeps it from office.
  world: ({ clients }) => ({ clients: { ...clients, readShare: 1 } }),
  *script(play) {
    const leader = yield* play.atWork();
    const [middle, far] = play.twoOthers(leader);
    const { elections } = play;
    play.links([leader, middle], [middle, far]);
    yield throughout(5, "the leader stays, and nobody else is elected", () => {
      return play.leader === leader && play.elections === elections;
    });
    yield play.serves(1);
    play.heal();
    yield play.catchesUp(far, 1);
  },
};

const hub: Scenario = {
  name: "hub",
  title: "pitfall 30: where only one agent reaches the others, and its log is up to date, it comes to lead",
  world: () => ({ agents: 5 }),
  *script(play) {
    const leader = yield* play.atWork();
    const [middle] = play.twoOthers(leader);
    play.links(...play.others(middle).map((other) => [middle, other] as const));
    yield within(3, "the one in the middle leads", () => play.leader === middle);
    yield play.serves(2);
    yield throughout(3, "it stays", () => play.leader === middle);
  },
};

const staleHub: Scenario = {
  name: "stale-hub",
  title:
    "pitfall 30, a limit: where only an agent with an old log reaches the others, nobody leads until a link heals",
  world: () => ({ agents: 5 }),
  *script(play) {
    const leader = yield* play.atWork();
    const [middle] = play.twoOthers(leader);
    play.isolate(middle);
    yield play.serves(2);
    const whole = play.others(middle).filter((other) => other !== leader);
    play.links(...whole.map((other) => [middle, other] as const));
    yield within(1, "the leader gives up, as no majority answers", () => play.leader === undefined);
    yield throughout(10, "nobody leads", () => play.leader === undefined);
    play.heal();
    yield within(2, "somebody leads", () => play.leader !== undefined);
    yield play.serves(1);
  },
};

const rollingUpgrade: Scenario = {
  name: "rolling-upgrade",
  title:
    "agents of the first version of the wire are started anew in the newest, one by one, and clients are served",
  world: () => ({ earlierAgents: 3 }),
  *script(play) {
    const leader = yield* play.atWork();
    for (const agent of [...play.others(leader), leader]) {
      play.crash(agent, "kill");
      yield pass(0.2);
      yield play.serves(3);
      play.restart(agent);
      yield play.catchesUp(agent, 2);
      yield play.serves(1);
    }
  },
};

const laggingFollower: Scenario = {
  name: "lagging-follower",
  title: "a follower that was away for long is sent one snapshot under full load, and no second one",
  world: ({ clients, raft }) => ({
    clients: { ...clients, intervalMillis: 20, readShare: 0 },
    snapshots: { logBytes: 3000, pieceBytes: 500 },
    raft: { ...raft, limits: { ...raft.limits, logKeptBytesMax: 1000, logHeldBytesMax: 20_000 } },
  }),
  *script(play) {
    const leader = yield* play.atWork();
    const [follower] = play.others(leader);
    if (follower === undefined) return;
    play.crash(follower, "powerFailure");
    yield pass(3);
    play.restart(follower);
    yield within(5, "it has been sent a snapshot", () => play.arrivals > 0);
    yield within(2, "it has caught up", () => follower.applied >= play.decided - 50);
    yield throughout(3, "it stays with the others, and is sent no other", () => {
      return follower.applied >= play.decided - 100 && play.arrivals === 1;
    });
    yield play.serves(1);
  },
};

const brokenTransfer: Scenario = {
  name: "broken-transfer",
  title:
    "a snapshot arrives in the end, whoever of the two is killed in the middle, and whoever leads by then",
  world: ({ clients, raft, network }) => ({
    network: { ...network, delayMeanMicros: 20_000 },
    clients: { ...clients, intervalMillis: 5, readShare: 0 },
    snapshots: { logBytes: 5000, pieceBytes: 50 },
    raft: { ...raft, limits: { ...raft.limits, logKeptBytesMax: 1000, logHeldBytesMax: 20_000 } },
  }),
  *script(play) {
    const leader = yield* play.atWork();
    const [follower] = play.others(leader);
    if (follower === undefined) return;
    play.crash(follower, "powerFailure");
    yield pass(3);
    play.restart(follower);
    for (let times = 0; times < 3 && play.arrivals === 0; times++) {
      yield within(5, "a snapshot is on its way", () => play.arriving > times);
      yield pass(0.2);
      play.crash(follower, times === 1 ? "powerFailure" : "kill");
      yield pass(0.2);
      play.restart(follower);
    }
    const sender = play.leader;
    if (sender !== undefined && sender !== follower) {
      play.crash(sender, "kill");
      yield within(5, "another leads", () => play.leader !== undefined);
      play.restart(sender);
    }
    yield within(20, "it has caught up", () => follower.applied >= play.decided - 100);
    yield play.serves(2);
  },
};

const idleGroup: Scenario = {
  name: "idle-group",
  title:
    "a group that nobody uses sleeps, and has another leader soon where its own is gone, with a sound or without one",
  world: ({ raft, clients }) => ({
    idleTimes: { everySeconds: 0.001, lastsSeconds: 3600 },
    raft: { ...raft, hibernation: raftHibernation },
    clients: { ...clients, count: 1 },
  }),
  *script(play) {
    const allSleep = (): boolean => play.agents.every(({ core }) => core?.hibernation !== undefined);
    // A client opens its session first.
    yield pass(2);
    yield within(3, "all sleep", allSleep);
    yield throughout(2, "they sleep on", allSleep);
    const first = play.leader;
    if (first === undefined) return;
    for (const other of play.others(first)) {
      play.cut(first, other);
      play.cut(other, first);
    }
    yield within(3, "another leads", () => play.leader !== undefined && play.leader !== first);
    const second = play.leader;
    for (const other of play.others(first)) {
      play.mend(first, other);
      play.mend(other, first);
    }
    const isBack = (): boolean => play.leader === second && !first.leads();
    yield within(5, "all sleep again, under the one that leads now", () => isBack() && allSleep());
    yield throughout(1, "it leads on", isBack);
    if (second === undefined) return;
    play.crash(second, "kill");
    yield within(2.5, "a third leads", () => play.leader !== undefined && play.leader !== second);
    play.restart(second);
    yield within(5, "all sleep once more", allSleep);
  },
};

const readByLease: Scenario = {
  name: "read-by-lease",
  title:
    "pitfall 11: who reads by lease answers nothing from an old state, though voters begin anew, links break and its machine is suspended",
  world: ({ agents, clients }) => ({
    leases: Array.from({ length: agents }, () => true),
    // Any two of them run apart by nearly as much as a lease allows for.
    clockDriftMillionths: 45_000,
    // Few writes, or whoever is deaf could not be elected anyhow: its log would lack some.
    clients: { ...clients, count: 12, keys: 1, readShare: 0.98, intervalMillis: 30, patienceMillis: 20 },
  }),
  *script(play) {
    for (let times = 0; times < 2; times++) {
      const first = yield* play.atWork();
      const [deaf, hearing] = play.twoOthers(first);
      play.links([first, hearing], [hearing, deaf]);
      for (let restarts = 0; restarts < 6; restarts++) {
        yield throughout(0.07, "it leads on: whoever still hears it votes for nobody", () => first.leads());
        play.cut(first, hearing);
        play.crash(hearing, "kill");
        play.restart(hearing);
        yield throughout(0.06, "it leads on, though that began anew", () => first.leads());
        play.mend(first, hearing);
      }
      play.heal();

      const second = yield* play.atWork();
      play.isolate(second);
      yield within(1, "another leads", () => play.leader !== undefined && play.leader !== second);
      yield pass(0.2);
      play.heal();

      const third = yield* play.atWork();
      play.suspend(third);
      play.isolate(third);
      yield within(1, "another leads", () => play.leader !== undefined);
      yield play.serves(2);
      play.resume(third);
      yield pass(0.1);
      play.heal();
    }
  },
};

/** All stories, in the order of the list that they come from. */
export const scenarios: readonly Scenario[] = [
  lostPower,
  cutOffLeader,
  lostWindow,
  stoppedLeader,
  failedSync,
  lostAnswers,
  rottenJournal,
  hungDisk,
  flood,
  chain,
  hub,
  staleHub,
  rollingUpgrade,
  laggingFollower,
  brokenTransfer,
  idleGroup,
  readByLease,
];
