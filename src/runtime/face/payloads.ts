import { emptyBytes } from "../../core/bytes.ts";
import { encodeCommandEnvelope } from "../../state/index.ts";

/** Makes the payloads of one proposer's commands. What is in front of a command without a request id is made once per machine. */
export class Payloads {
  readonly #proposer: string;
  readonly #prefixes = new Map<string, Uint8Array>();

  constructor(proposer: string) {
    this.#proposer = proposer;
  }

  /** Throws `BAD_NAME` or `TOO_LARGE` where a name is no good. */
  encode(machine: string, requestId: string, command: Uint8Array): Uint8Array {
    if (requestId !== "") {
      return encodeCommandEnvelope({ proposer: this.#proposer, machine, requestId, command });
    }
    const prefix = this.#prefix(machine);
    const payload = new Uint8Array(prefix.byteLength + command.byteLength);
    payload.set(prefix);
    payload.set(command, prefix.byteLength);
    return payload;
  }

  /** Takes its place in a session's order and changes nothing: the group's own machine refuses a list without values. */
  filler(): Uint8Array {
    return this.#prefix("");
  }

  #prefix(machine: string): Uint8Array {
    const known = this.#prefixes.get(machine);
    if (known !== undefined) return known;
    const envelope = { proposer: this.#proposer, machine, requestId: "", command: emptyBytes };
    const prefix = encodeCommandEnvelope(envelope);
    this.#prefixes.set(machine, prefix);
    return prefix;
  }
}
