import { emptyBytes } from "../../core/bytes.ts";
import { entryHeaderBytes } from "../../core/entry.ts";
import { encodeText } from "../../core/text.ts";
import { encodeCommandEnvelope } from "../../state/index.ts";

const slabBytes = 64 * 1024;

/**
 * Makes one proposer's commands, all but the header: that is written when the command gets its place in a session. What
 * stands in front of a command without a request id is made once per machine.
 */
export class CommandEncoder {
  readonly #proposer: string;
  readonly #prefixes = new Map<string, Uint8Array>();
  #slab: ArrayBuffer = new ArrayBuffer(slabBytes);
  #used = 0;

  constructor(proposer: string) {
    this.#proposer = proposer;
  }

  /** An entry whose header is zero. Throws `BAD_NAME` or `TOO_LARGE` where a name is no good. */
  encode(machine: string, requestId: string, command: Uint8Array): Uint8Array {
    const prefix = this.#prefix(machine);
    const id = requestId === "" ? emptyBytes : encodeText(requestId);
    const entry = this.#allocate(entryHeaderBytes + prefix.length + id.length + command.length);
    entry.set(prefix, entryHeaderBytes);
    const at = entryHeaderBytes + prefix.length;
    // The prefix ends with the length of a request id that is empty.
    entry[at - 1] = id.length;
    entry.set(id, at);
    entry.set(command, at + id.length);
    return entry;
  }

  /** Takes its place in a session's order and changes nothing: the group's own machine refuses a list without values. */
  filler(): Uint8Array {
    return this.encode("", "", emptyBytes);
  }

  #prefix(machine: string): Uint8Array {
    const known = this.#prefixes.get(machine);
    if (known !== undefined) return known;
    const envelope = { proposer: this.#proposer, machine, requestId: "", command: emptyBytes };
    const prefix = encodeCommandEnvelope(envelope);
    this.#prefixes.set(machine, prefix);
    return prefix;
  }

  /** Zeros. Small ones share a block: an array of its own costs several times as much. */
  #allocate(byteLength: number): Uint8Array {
    if (byteLength > slabBytes / 16) return new Uint8Array(byteLength);
    if (this.#used + byteLength > slabBytes) {
      this.#slab = new ArrayBuffer(slabBytes);
      this.#used = 0;
    }
    const bytes = new Uint8Array(this.#slab, this.#used, byteLength);
    this.#used += byteLength;
    return bytes;
  }
}
