/**
 * Goal: whatever becomes of messages, links and agents in between, a snapshot arrives in the end, and is the sender's; and on
 * the way neither side keeps more files than it may. Method: two agents whose messages chance delivers, repeats, swaps and
 * loses, while both restart, and the sender takes further snapshots.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { agentId, type Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { Prng } from "../core/prng.ts";
import { World, WorldDisk } from "./test-world.ts";
import type { TransferMessage } from "./transfer-messages.ts";

const sender = agentId("sender");
const receiver = agentId("receiver");

interface Letter {
  readonly to: "sender" | "receiver";
  readonly message: TransferMessage;
}

class Pair {
  readonly #disks = { sender: new WorldDisk(), receiver: new WorldDisk() };
  readonly #prng: Prng;
  sender: World;
  receiver: World;
  letters: Letter[] = [];
  time = 0;
  taken = 0;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    this.sender = this.#start("sender");
    this.receiver = this.#start("receiver");
    this.take();
  }

  #start(who: "sender" | "receiver", before?: World): World {
    const self = who === "sender" ? sender : receiver;
    const options = { self, snapshots: this.#disks[who], snapshotLogBytes: 1e9 };
    const world = new World({ ...options, base: before?.core.base });
    world.time = this.time;
    world.host();
    world.core.deadline = 1e15 as Micros;
    world.settle();
    return world;
  }

  restart(who: "sender" | "receiver"): void {
    this[who] = this.#start(who, this[who]);
    this.#gather();
  }

  /** The sender's log goes on, and it has another snapshot. */
  take(): void {
    this.taken += 10;
    this.sender.apply(this.taken);
    this.sender.state.contents = Uint8Array.from({ length: 200 }, () => this.#prng.between(0, 255));
    this.sender.group.takeSnapshot(() => {});
    this.sender.settle();
    this.sender.sync();
    this.#gather();
  }

  /** The sender's core comes back to it: with the one that is under way, or the newest. */
  want(): void {
    if (this.receiver.group.applied >= this.taken) return;
    this.sender.transfer(receiver, this.taken);
    this.#gather();
  }

  deliver(at: number, how: "once" | "twice" | "never"): void {
    const letter = this.letters[at % this.letters.length];
    if (letter === undefined) return;
    if (how !== "twice") this.letters.splice(this.letters.indexOf(letter), 1);
    if (how === "never") return;
    const world = this[letter.to];
    world.hear(letter.message, letter.to === "sender" ? receiver : sender);
    this.#gather();
  }

  relink(): void {
    this.letters = [];
    this.sender.driver.linkChanged(receiver, true);
    this.receiver.driver.linkChanged(sender, true);
    this.sender.settle();
    this.receiver.settle();
    this.#gather();
  }

  pass(micros: number): void {
    this.time += micros;
    this.sender.advance(this.time);
    this.receiver.advance(this.time);
    this.#gather();
  }

  #gather(): void {
    if (this.receiver.journal.records.length > 0) this.receiver.sync();
    for (const message of this.sender.said()) this.letters.push({ to: "receiver", message });
    for (const message of this.receiver.said()) this.letters.push({ to: "sender", message });
    this.check();
  }

  check(): void {
    expect([...this.sender.failures, ...this.receiver.failures]).toEqual([]);
    expect(this.receiver.told.filter((word) => word.startsWith("failed"))).toEqual([]);
    // The base, and one that the receiver is getting; the base, and a part of the next.
    expect(this.sender.files().length).toBeLessThanOrEqual(2);
    expect(this.receiver.files().length).toBeLessThanOrEqual(2);
    // What is under way is bounded by what was asked for, and repeated once a second.
    expect(this.letters.length).toBeLessThan(400);
  }
}

const step = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant("deliver" as const),
      at: fc.nat(20),
      how: fc.constantFrom(
        "once" as const,
        "once" as const,
        "once" as const,
        "twice" as const,
        "never" as const,
      ),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("pass" as const), millis: fc.nat(3000) }) },
  { weight: 3, arbitrary: fc.constant({ kind: "want" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "take" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "relink" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("restart" as const),
      who: fc.constantFrom("sender" as const, "receiver" as const),
    }),
  },
);

describe("a snapshot between two agents", () => {
  it("D35, D37: arrives in the end, over whatever network, and is the sender's", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.nat(), (steps, seed) => {
        const pair = new Pair(seed);
        for (const now of steps) {
          if (now.kind === "deliver") pair.deliver(now.at, now.how);
          else if (now.kind === "pass") pair.pass(now.millis * 1000);
          else if (now.kind === "restart") pair.restart(now.who);
          else pair[now.kind]();
        }
        // From now on nothing goes wrong: within a sender's patience, and the few rounds that it takes, it is there.
        const rounds = (2 * limits.transferSilenceMsMax) / limits.transferAnswerMsMax;
        for (let round = 0; round < rounds && pair.receiver.group.applied < pair.taken; round++) {
          pair.want();
          while (pair.letters.length > 0) pair.deliver(0, "once");
          pair.pass(limits.transferAnswerMsMax * 1000);
        }
        expect(pair.receiver.group.applied).toBe(pair.taken);
        expect(pair.receiver.state.contents).toEqual(pair.sender.state.contents);
      }),
      { numRuns: 150 },
    );
  });

  it("D35: goes on where it was: of a snapshot of which half has come, no piece is sent again", () => {
    for (const who of ["sender", "receiver"] as const) {
      const pair = new Pair(1);
      const numbers: number[] = [];
      const note = (): void => {
        for (const { message } of pair.letters)
          if (message.kind === "snapshotPiece") numbers.push(message.number);
      };
      pair.want();
      for (let count = 0; count < 22; count++) {
        if (pair.letters[0]?.message.kind === "snapshotPiece") note();
        pair.deliver(0, "once");
      }
      pair.letters = [];
      const before = numbers.length;
      pair.restart(who);
      pair.pass(limits.transferAnswerMsMax * 1000);
      pair.want();
      const sent = new Set<number>();
      while (pair.letters.length > 0) {
        const { message } = pair.letters[0]!;
        if (message.kind === "snapshotPiece") sent.add(message.number);
        pair.deliver(0, "once");
      }
      expect(before).toBeGreaterThan(0);
      expect(pair.receiver.group.applied).toBe(10);
      expect(Math.min(...sent)).toBeGreaterThan(5);
    }
  });
});
