import { describe, expect, it } from "vitest";
import { Prng } from "../core/prng.ts";
import { logIndex, term } from "../core/ids.ts";
import { wireVersionMax, type WireVersion } from "../core/wire-version.ts";
import { raftCodec } from "../raft/codec.ts";
import { EventQueue } from "./event-queue.ts";
import { FaultyNetwork } from "./faulty-network.ts";
import type { NetworkOptions } from "./options.ts";

const calm: NetworkOptions = {
  delayMinMicros: 100,
  delayMeanMicros: 50,
  spikeRate: 0,
  spikeMicros: 0,
  lossRate: 0,
  repeatRate: 0,
  ordered: false,
};

function networkOf(options: Partial<NetworkOptions>, seed = 1, versions: readonly WireVersion[] = []) {
  const events = new EventQueue();
  const arrived: { from: number; to: number; round: number; at: number; message: object }[] = [];
  const network = new FaultyNetwork({
    events,
    prng: new Prng(seed),
    network: { ...calm, ...options },
    agents: 3,
    codec: raftCodec,
    versionOf: (agent) => versions[agent] ?? wireVersionMax,
    deliver: (from, to, message) =>
      arrived.push({ from, to, message, round: (message as { round: number }).round, at: events.now }),
    heard: (from, to) => arrived.push({ from, to, message: {}, round: 0, at: events.now }),
  });
  const beat = (round: number) => ({ kind: "heartbeat", term: term(1), commit: logIndex(0), round }) as const;
  return {
    events,
    arrived,
    network,
    beat,
    settle: () => {
      while (events.step());
    },
  };
}

describe("the simulated network", () => {
  it("delivers every message once, no sooner than its delay, where nothing is wrong", () => {
    const { network, arrived, beat, settle } = networkOf({});
    for (let round = 1; round <= 500; round++) network.send(0, 1, 0, beat(round));
    settle();
    expect(arrived.map(({ round }) => round).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 500 }, (_, at) => at + 1),
    );
    for (const { at, from, to } of arrived) expect([at >= 100, from, to]).toEqual([true, 0, 1]);
    expect(network.counts).toEqual({ sent: 500, delivered: 500, lost: 0, repeated: 0 });
  });

  it("sends one message in a hundred through the codec: equal, and another object", () => {
    const { network, arrived, beat, settle } = networkOf({});
    const sent = Array.from({ length: 2000 }, (_, round) => beat(round));
    for (const message of sent) network.send(0, 1, 0, message);
    settle();
    const copies = arrived.filter(({ message, round }) => message !== sent[round]);
    expect(copies.length).toBeGreaterThan(5);
    expect(copies.length).toBeLessThan(60);
    for (const { message, round } of copies) expect(message).toEqual(sent[round]);
  });

  it("says to and from an agent of the first version what that has, and loses the rest", () => {
    const { network, arrived, settle } = networkOf({}, 1, [1]);
    const said = { kind: "forwardRefused", commands: [], refusal: { kind: "busy", because: "election" } };
    const asleep = { kind: "wakeUp", term: term(1) };
    for (const [from, to] of [
      [0, 1],
      [1, 0],
      [1, 2],
    ] as const) {
      network.send(from, to, 0, said);
      network.send(from, to, 0, asleep);
    }
    settle();
    const heard = (from: number, to: number): object[] =>
      arrived.filter((one) => one.from === from && one.to === to).map(({ message }) => message);
    expect(heard(0, 1)).toEqual([{ ...said, refusal: { kind: "notLeader" } }]);
    expect(heard(1, 0)).toEqual(heard(0, 1));
    expect(heard(1, 2)).toEqual(expect.arrayContaining([said, asleep]));
    expect(network.counts).toEqual({ sent: 6, delivered: 4, lost: 2, repeated: 0 });
  });

  it("keeps the order of a channel where it is like TCP, and only there", () => {
    const orderOf = (ordered: boolean): number[] => {
      const { network, arrived, beat, settle } = networkOf({ ordered, delayMeanMicros: 10_000 });
      for (let round = 1; round <= 100; round++) network.send(0, 1, 0, beat(round));
      settle();
      return arrived.map(({ round }) => round);
    };
    const rising = Array.from({ length: 100 }, (_, at) => at + 1);
    expect(orderOf(true)).toEqual(rising);
    expect(orderOf(false)).not.toEqual(rising);
  });

  it("loses and repeats about as many as it is told to, until it is calm", () => {
    const { network, arrived, beat, settle } = networkOf({ lossRate: 0.3, repeatRate: 0.3 });
    for (let round = 0; round < 1000; round++) network.send(0, 1, 0, beat(round));
    settle();
    expect(network.counts.lost).toBeGreaterThan(200);
    expect(network.counts.lost).toBeLessThan(400);
    expect(network.counts.repeated).toBeGreaterThan(100);
    expect(arrived).toHaveLength(1000 - network.counts.lost + network.counts.repeated);
    network.calm();
    const before = arrived.length;
    for (let round = 0; round < 100; round++) network.send(0, 1, 0, beat(round));
    settle();
    expect(arrived).toHaveLength(before + 100);
  });

  it("cuts one direction and not the other, and what was on its way", () => {
    const { network, arrived, beat, settle } = networkOf({});
    network.send(0, 1, 0, beat(1));
    network.setCut(0, 1, true);
    network.send(0, 1, 0, beat(2));
    network.send(1, 0, 0, beat(3));
    network.send(0, 2, 0, beat(4));
    settle();
    expect(arrived.map(({ round }) => round).toSorted((a, b) => a - b)).toEqual([3, 4]);
    expect(network.isCut(0, 1)).toBe(true);
    network.setCut(0, 1, false);
    network.send(0, 1, 0, beat(5));
    settle();
    expect(arrived.at(-1)).toMatchObject({ from: 0, to: 1, round: 5 });
  });
});
