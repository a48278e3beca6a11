import { type ApplyContext, decodeText, entryTerm, entryTime, Prng } from "../core/index.ts";

const indexRange = 0x1_0000_0000;
const termRange = 0x20_0000;

/**
 * What a machine is told about the command being applied. One object for all commands, so a machine must not keep it;
 * what is seldom asked for (the proposer's name, randomness) is made only when it is.
 */
export class EntryContext implements ApplyContext {
  index = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #offset = 0;
  #proposerFrom = 0;
  #proposerTo = 0;
  #proposer: string | undefined;
  #prng: Prng | undefined;

  /** Turns to the entry at `offset`, whose proposer's name is at `bytes[proposerFrom … proposerTo)`. */
  turnTo(bytes: Uint8Array, offset: number, index: number, proposerFrom: number, proposerTo: number): void {
    this.index = index;
    this.#bytes = bytes;
    this.#offset = offset;
    this.#proposerFrom = proposerFrom;
    this.#proposerTo = proposerTo;
    this.#proposer = undefined;
    this.#prng = undefined;
  }

  get time(): number {
    return Math.floor(entryTime(this.#bytes, this.#offset) / 1000);
  }

  /** Throws `MalformedError` where the name is not UTF-8: on every agent alike. */
  get proposer(): string {
    this.#proposer ??= decodeText(this.#bytes.subarray(this.#proposerFrom, this.#proposerTo));
    return this.#proposer;
  }

  /** A property, so that `const { random } = context` works too. */
  readonly random = (): number => {
    if (this.#prng === undefined) {
      const term = entryTerm(this.#bytes, this.#offset) % termRange;
      this.#prng = new Prng((this.index % indexRange) * termRange + term);
    }
    return this.#prng.unit();
  };
}
