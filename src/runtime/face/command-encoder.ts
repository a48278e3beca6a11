import { ByteWriter, emptyBytes } from "../../core/bytes.ts";
import { entryHeaderBytes } from "../../core/entry.ts";
import { encodeText } from "../../core/text.ts";
import { encodeCommandEnvelope } from "../../state/index.ts";

/** Commands share arrays of so many bytes: one of its own costs several times as much to make. */
const sharedBytes = 64 * 1024;

/**
 * Makes one proposer's commands, all but the header: that is written when the command gets its place in a session. What
 * stands in front of a command without a request id is made once per machine.
 */
export class CommandEncoder {
  readonly #proposer: string;
  readonly #prefixes = new Map<string, Uint8Array>();
  readonly #writer = new ByteWriter(sharedBytes);

  constructor(proposer: string) {
    this.#proposer = proposer;
  }

  /** An entry whose header is zero. Throws what `write` throws, and `BAD_NAME` or `TOO_LARGE` where a name is no good. */
  encode(machine: string, requestId: string, write: (writer: ByteWriter) => void): Uint8Array {
    const prefix = this.#prefix(machine);
    const id = requestId === "" ? emptyBytes : encodeText(requestId);
    const writer = this.#writer;
    // The one before may have thrown in the middle.
    writer.drop();
    writer.zeros(entryHeaderBytes).raw(prefix).uint8(id.length).raw(id);
    write(writer);
    return writer.cut();
  }

  /** Takes its place in a session's order and changes nothing: the group's own machine refuses a list without values. */
  filler(): Uint8Array {
    return this.encode("", "", () => {});
  }

  #prefix(machine: string): Uint8Array {
    const known = this.#prefixes.get(machine);
    if (known !== undefined) return known;
    const envelope = { proposer: this.#proposer, machine, requestId: "", command: emptyBytes };
    // Without its end, the length of the request id.
    const prefix = encodeCommandEnvelope(envelope).subarray(0, -1);
    this.#prefixes.set(machine, prefix);
    return prefix;
  }
}
