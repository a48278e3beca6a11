import { type ApplyContext, decodeText, entryTerm, entryTime, Prng } from "../core/index.ts";

const indexRange = 0x1_0000_0000;
const termRange = 0x20_0000;

/**
 * What a machine is told about the command being applied. One object for all commands, so a machine must not keep it;
 * what is seldom asked for (the proposer's name, randomness) is made only when it is.
 */
export class EntryContext implements ApplyContext {
  index = 0;
  time = 0;
  #term = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #proposerFrom = 0;
  #proposerTo = 0;
  #proposer: string | undefined;
  #prng: Prng | undefined;

  /** Turns to the entry at `offset`, whose proposer's name is at `bytes[proposerFrom … proposerTo)`. */
  turnTo(bytes: Uint8Array, offset: number, index: number, proposerFrom: number, proposerTo: number): void {
    this.index = index;
    this.time = Math.floor(entryTime(bytes, offset) / 1000);
    this.#term = entryTerm(bytes, offset);
    this.#bytes = bytes;
    this.#proposerFrom = proposerFrom;
    this.#proposerTo = proposerTo;
    this.#proposer = undefined;
    this.#prng = undefined;
  }

  /** Throws `MalformedError` where the name is not UTF-8: on every agent alike. */
  get proposer(): string {
    this.#proposer ??= decodeText(this.#bytes.subarray(this.#proposerFrom, this.#proposerTo));
    return this.#proposer;
  }

  /** A property, so that `const { random } = context` works too. */
  readonly random = (): number => {
    this.#prng ??= new Prng((this.index % indexRange) * termRange + (this.#term % termRange));
    return this.#prng.unit();
  };
}
