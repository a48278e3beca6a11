/** What clients asked and were told, and what took effect on each agent: exactly once, in order, and never lost. */
import { equalBytes } from "../core/bytes.ts";
import { answerIndex, answerStatuses, decodeAnswer, type Answer } from "../state/answers.ts";
import type { ClusterChecker, DecidedEntry } from "./cluster-checker.ts";
import { MapModel } from "./map-model.ts";
import { Violation } from "./violation.ts";

/** The statuses of an answer that use up the command's sequence. */
const effective: ReadonlySet<number> = new Set([
  answerStatuses.answered,
  answerStatuses.rejected,
  answerStatuses.unknownMachine,
]);

interface Told {
  readonly index: number;
  readonly bytes: Uint8Array;
}

export class History {
  readonly map: MapModel = new MapModel();
  readonly #cluster: ClusterChecker;
  /** Answers that clients were given, by session and sequence. */
  readonly #told = new Map<string, Told>();
  /** Per agent and session: the last sequence that took effect in this life of the agent. */
  readonly #effects: Map<number, number>[];
  /** By index: the command that took effect there, as the first agent to apply it said. */
  readonly #effectAt: ({ readonly session: number; readonly sequence: number } | undefined)[] = [];
  readonly #digests = new Map<number, Uint8Array>();
  #acknowledged = 0;

  constructor(cluster: ClusterChecker, agents: number) {
    this.#cluster = cluster;
    this.#effects = Array.from({ length: agents }, () => new Map<number, number>());
  }

  /** The highest index that any client was told of: a read that begins now must reflect it. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  get answers(): number {
    return this.#told.size;
  }

  restarted(agent: number): void {
    (this.#effects[agent] as Map<number, number>).clear();
  }

  /**
   * An agent has applied an entry. `ran`: what the map did for it, if anything. A command takes effect where a machine runs
   * it, and where the answer says so; either way, in the order of its session and once.
   */
  applied(
    agent: number,
    index: number,
    entry: DecidedEntry,
    answer: Uint8Array,
    ran: { readonly command: Uint8Array; readonly answer: Uint8Array } | undefined,
  ): void {
    if (entry.kind !== "command") return;
    const claimed = effective.has(answer[0] ?? -1) && answerIndex(answer) === index;
    if (ran !== undefined || claimed) {
      this.#effect(agent, entry.session, entry.sequence);
      this.#effectAt[index] ??= { session: entry.session, sequence: entry.sequence };
    }
    if (ran !== undefined) this.map.applied(index, ran.command, ran.answer);
  }

  #effect(agent: number, session: number, sequence: number): void {
    const effects = this.#effects[agent] as Map<number, number>;
    const before = effects.get(session) ?? 0;
    effects.set(session, sequence);
    if (sequence === before + 1) return;
    const what = sequence <= before ? "a second time" : `before ${before + 1}`;
    throw new Violation(
      "exactlyOnce",
      `command ${sequence} of session ${session} takes effect ${what} on agent ${agent + 1}`,
    );
  }

  /** An agent's state has been replaced by a snapshot's: it has done, in one go, all that is decided up to there. */
  restored(agent: number, index: number, digest: Uint8Array): void {
    if (!this.hasDigest(index)) {
      throw new Violation("equalDigests", `agent ${agent + 1} has a snapshot of ${index} that nobody took`);
    }
    this.digest(agent, index, digest);
    const effects = this.#effects[agent] as Map<number, number>;
    effects.clear();
    for (let at = 1; at <= index; at++) {
      const effect = this.#effectAt[at];
      if (effect !== undefined) effects.set(effect.session, effect.sequence);
    }
  }

  /** Whether it is known what state everybody has to have at `index`. */
  hasDigest(index: number): boolean {
    return this.#digests.has(index);
  }

  /** An agent is at `index` with this state. */
  digest(agent: number, index: number, digest: Uint8Array): void {
    const before = this.#digests.get(index);
    if (before === undefined) this.#digests.set(index, digest);
    else if (!equalBytes(before, digest)) {
      throw new Violation(
        "equalDigests",
        `agent ${agent + 1} is in another state at index ${index} than others`,
      );
    }
  }

  /** A client hears the answer to a command. Returns it decoded. */
  answered(session: number, sequence: number, bytes: Uint8Array): Answer {
    const answer = decodeAnswer(bytes);
    if (answer.kind !== "answered" && answer.kind !== "rejected") return answer;
    const decided = this.#cluster.decided(answer.index);
    if (decided?.session !== session || decided.sequence !== sequence) {
      throw new Violation(
        "acknowledgedKept",
        `command ${sequence} of session ${session} was acknowledged at index ${answer.index}, where it is not`,
      );
    }
    const key = `${session}/${sequence}`;
    const before = this.#told.get(key);
    if (before === undefined) this.#told.set(key, { index: answer.index, bytes: bytes.slice() });
    else if (!equalBytes(before.bytes, bytes)) {
      throw new Violation(
        "acknowledgedKept",
        `command ${sequence} of session ${session} was answered at index ${before.index} and again, differently, at ${answer.index}`,
      );
    }
    this.#acknowledged = Math.max(this.#acknowledged, answer.index);
    return answer;
  }

  /** A client hears what a key held. */
  read(key: string, version: number, value: Uint8Array | undefined, floor: number): void {
    this.map.checkRead(key, version, value, floor);
    this.#acknowledged = Math.max(this.#acknowledged, version);
  }
}
