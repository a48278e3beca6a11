/**
 * How many commands of one client are under way at a time. Nobody knows how large an answer will be before its command
 * has been applied, and what is decided can't be held back any more; so no more are handed in than have answers that may
 * wait for the client, should they be as large as the last ones were. The rest wait here, as commands, and in order.
 */
import { limits } from "../core/limits.ts";
import { Queue } from "../core/queue.ts";
import type { ProposeOptions } from "./gateway.ts";
import type { GroupHub, Subscriber } from "./group-hub.ts";

/** Half: the other half is for answers that are larger than the ones before. */
const bytesUnderWayMax: number = limits.clientAnswersBytesMax / 2;
/** So much of what was larger is forgotten with each answer: after a few hundred small ones it plays no part any more. */
const forgottenPart = 1 / 32;

interface Batch {
  readonly hub: GroupHub;
  readonly subscriber: Subscriber;
  readonly commands: readonly Uint8Array[];
  readonly options: ProposeOptions;
  /** So many of them are handed in already. */
  begun: number;
}

export class CommandWindow {
  readonly #waiting = new Queue<Batch>();
  /** Handed in and not answered; a guess, since what a leader that is gone was given may never be answered. */
  #underWay = 0;
  /** Of those, the ones that came since the last {@link forgetOld}. */
  #recent = 0;
  /** At first as large as may be. */
  #expectedBytes: number = limits.entryBytesMax;

  /** Nothing more should be read. */
  get isFull(): boolean {
    return this.#waiting.count > 0 || this.#underWay >= limits.clientRequestsMax;
  }

  get #room(): number {
    const size = Math.ceil(bytesUnderWayMax / this.#expectedBytes);
    return Math.min(size, limits.clientRequestsMax) - this.#underWay;
  }

  add(hub: GroupHub, subscriber: Subscriber, commands: readonly Uint8Array[], options: ProposeOptions): void {
    this.#waiting.push({ hub, subscriber, commands, options, begun: 0 });
  }

  /** Hands in what there is room for. */
  handIn(): void {
    while (this.#waiting.count > 0) {
      const batch = this.#waiting.peek();
      // Nobody would answer: they would only take the room of others.
      if (batch.hub.isClosed) {
        this.#waiting.take();
        continue;
      }
      const room = this.#room;
      if (room <= 0) return;
      const { hub, subscriber, commands, options, begun } = batch;
      const end = Math.min(commands.length, begun + room);
      batch.begun = end;
      if (end === commands.length) this.#waiting.take();
      this.#underWay += end - begun;
      this.#recent += end - begun;
      hub.propose(
        subscriber,
        end - begun === commands.length ? commands : commands.slice(begun, end),
        options,
      );
    }
  }

  answered(byteLength: number): void {
    this.#expectedBytes = Math.max(byteLength, this.#expectedBytes * (1 - forgottenPart), 1);
    this.refused();
  }

  refused(): void {
    if (this.#underWay > 0) this.#underWay -= 1;
  }

  /** All that is under way may be lost. */
  forgetAll(): void {
    this.#underWay = 0;
    this.#recent = 0;
  }

  /** What was under way when this was called last may be lost. */
  forgetOld(): void {
    this.#underWay = Math.min(this.#underWay, this.#recent);
    this.#recent = 0;
  }
}
