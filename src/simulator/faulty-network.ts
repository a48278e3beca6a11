/**
 * The links between the agents of a simulated cluster: messages are delayed, lost, repeated and reordered, and whole
 * directions are cut. They pass as the immutable objects that they are; now and then one goes through the codec and back,
 * as every message does in production, and always where one of the two agents speaks an earlier version of the wire.
 */
import { concatBytes } from "../core/bytes.ts";
import type { Prng } from "../core/prng.ts";
import { wireVersionMax, type WireVersion } from "../core/wire-version.ts";
import type { MessageCodec } from "../driver/transfer-messages.ts";
import type { EventQueue } from "./event-queue.ts";
import type { NetworkOptions } from "./options.ts";

/** One message in so many is encoded and decoded on its way. */
const codecShare = 0.01;
const pulseChannel = 0;

export interface NetworkCounts {
  sent: number;
  delivered: number;
  lost: number;
  repeated: number;
}

export class FaultyNetwork {
  readonly counts: NetworkCounts = { sent: 0, delivered: 0, lost: 0, repeated: 0 };
  readonly #events: EventQueue;
  readonly #prng: Prng;
  readonly #options: NetworkOptions;
  readonly #codec: MessageCodec;
  readonly #versionOf: (agent: number) => WireVersion;
  readonly #deliver: (from: number, to: number, message: object) => void;
  readonly #heard: (from: number, to: number) => void;
  readonly #agents: number;
  /** Whether messages from one agent to the other are cut off, by `from * agents + to`. */
  readonly #cut: boolean[];
  /** When the last message of each direction and channel arrives, where order is kept. */
  readonly #lastArrival = new Map<number, number>();
  #faults = true;

  constructor(options: {
    readonly events: EventQueue;
    readonly prng: Prng;
    readonly network: NetworkOptions;
    readonly agents: number;
    readonly codec: MessageCodec;
    /** Which version of the wire that agent speaks at most. */
    readonly versionOf: (agent: number) => WireVersion;
    readonly deliver: (from: number, to: number, message: object) => void;
    /** A pulse arrives. */
    readonly heard: (from: number, to: number) => void;
  }) {
    this.#events = options.events;
    this.#prng = options.prng;
    this.#options = options.network;
    this.#agents = options.agents;
    this.#codec = options.codec;
    this.#versionOf = options.versionOf;
    this.#deliver = options.deliver;
    this.#heard = options.heard;
    this.#cut = new Array<boolean>(options.agents ** 2).fill(false);
  }

  isCut(from: number, to: number): boolean {
    return this.#cut[from * this.#agents + to] ?? false;
  }

  setCut(from: number, to: number, cut: boolean): void {
    this.#cut[from * this.#agents + to] = cut;
  }

  /** No loss, repetition or delay beyond the ordinary from now on; what is cut stays cut. */
  calm(): void {
    this.#faults = false;
  }

  versionBetween(one: number, other: number): WireVersion {
    return Math.min(this.#versionOf(one), this.#versionOf(other)) as WireVersion;
  }

  send(from: number, to: number, channel: number, message: object): void {
    if (this.#loses(from, to)) return;
    const passed = this.#asRead(from, to, message);
    if (passed === undefined) this.counts.lost += 1;
    else this.#pass(from, to, channel, () => this.#deliver(from, to, passed));
  }

  /** It fares like any other urgent message. */
  pulse(from: number, to: number): void {
    if (!this.#loses(from, to)) this.#pass(from, to, pulseChannel, () => this.#heard(from, to));
  }

  #loses(from: number, to: number): boolean {
    this.counts.sent += 1;
    const { lossRate } = this.#options;
    const isLost = this.isCut(from, to) || (this.#faults && lossRate > 0 && this.#prng.chance(lossRate));
    if (isLost) this.counts.lost += 1;
    return isLost;
  }

  #pass(from: number, to: number, channel: number, arrive: () => void): void {
    this.#schedule(from, to, channel, arrive);
    const { repeatRate } = this.#options;
    if (this.#faults && repeatRate > 0 && this.#prng.chance(repeatRate)) {
      this.counts.repeated += 1;
      this.#schedule(from, to, channel, arrive);
    }
  }

  #schedule(from: number, to: number, channel: number, arrive: () => void): void {
    const { delayMinMicros, delayMeanMicros, spikeRate, spikeMicros, ordered } = this.#options;
    let delay = Math.ceil(delayMinMicros + this.#prng.exponential(delayMeanMicros));
    if (this.#faults && spikeRate > 0 && this.#prng.chance(spikeRate)) delay += spikeMicros;
    if (ordered) {
      const link = (from * this.#agents + to) * 4 + channel;
      const arrival = Math.max(this.#events.now + delay, this.#lastArrival.get(link) ?? 0);
      this.#lastArrival.set(link, arrival);
      delay = arrival - this.#events.now;
    }
    this.#events.after(delay, () => {
      if (this.isCut(from, to)) {
        this.counts.lost += 1;
        return;
      }
      this.counts.delivered += 1;
      arrive();
    });
  }

  /** The message as it arrives: in an earlier version only what that one has of it; undefined: it can't be said at all. */
  #asRead(from: number, to: number, message: object): object | undefined {
    const version = this.versionBetween(from, to);
    if (version === wireVersionMax && !this.#prng.chance(codecShare)) return message;
    const encoded = this.#codec.encodeMessage(message, version);
    if (encoded === undefined) return undefined;
    return this.#codec.decodeMessage(encoded.head.slice(), concatBytes(encoded.tail), version);
  }
}
