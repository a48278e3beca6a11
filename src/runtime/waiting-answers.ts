/** What became of a client's commands and can't leave yet, since the client does not read as fast as the group decides. */
import type { Refusal } from "../core/boundary.ts";
import { Queue } from "../core/queue.ts";

export interface WaitingAnswer {
  readonly group: string;
  readonly session: number;
  readonly sequence: number;
  /** Not a copy: those that the session table still keeps cost nothing more. */
  readonly fate: Uint8Array | Refusal;
}

/** What keeping one costs beside its bytes, so that very many small ones are bounded, too. */
const overheadBytes = 128;

export class WaitingAnswers {
  readonly #queue = new Queue<WaitingAnswer>();
  readonly #changed: (byBytes: number) => void;
  #byteLength = 0;

  /** `changed` is told of every change of `byteLength`. */
  constructor(changed: (byBytes: number) => void) {
    this.#changed = changed;
  }

  get isEmpty(): boolean {
    return this.#queue.count === 0;
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  push(answer: WaitingAnswer): void {
    this.#queue.push(answer);
    this.#count(sizeOf(answer));
  }

  /** The one that waits longest. */
  take(): WaitingAnswer {
    const answer = this.#queue.take();
    this.#count(-sizeOf(answer));
    return answer;
  }

  clear(): void {
    while (this.#queue.count > 0) this.#queue.take();
    this.#count(-this.#byteLength);
  }

  #count(byBytes: number): void {
    this.#byteLength += byBytes;
    this.#changed(byBytes);
  }
}

function sizeOf({ fate }: WaitingAnswer): number {
  return overheadBytes + (fate instanceof Uint8Array ? fate.length : 0);
}
