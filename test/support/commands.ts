/** A session by hand: numbered commands, repeated until each is answered. */
import {
  encodeCommand,
  entryIndex,
  entryKind,
  entryPayload,
  entrySequence,
  entrySession,
  splitCommands,
} from "../../src/core/entry.ts";
import type { Gateway } from "../../src/runtime/gateway.ts";
import {
  decodeAnswer,
  decodeCommandEnvelope,
  decodeProposal,
  encodeCommandEnvelope,
  encodeProposal,
  mapCommands,
  type Answer,
} from "../../src/state/index.ts";

const repeatMs = 200;
const noBytes = new Uint8Array(0);

interface Pending {
  readonly command: Uint8Array;
  readonly settle: (answer: Answer) => void;
}

export class TestSession {
  readonly gateway: Gateway;
  readonly #nonce = Math.floor(Math.random() * 2 ** 48) + 1;
  readonly #pending = new Map<number, Pending>();
  readonly #timer: NodeJS.Timeout;
  #session = 0;
  #next = 1;
  #opened: (() => void) | undefined;
  /** Answers that came for commands which had one already. */
  repeats = 0;

  constructor(gateway: Gateway) {
    this.gateway = gateway;
    gateway.listen({
      answered: (session, sequence, bytes) => this.#answered(session, sequence, decodeAnswer(bytes)),
      refused: () => {},
      progressed: () => {},
      interrupted: () => this.repeat(),
      statusChanged: () => {},
      closed: () => clearInterval(this.#timer),
    });
    this.#timer = setInterval(() => this.repeat(), repeatMs);
    this.#timer.unref();
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => {
      this.#opened = resolve;
      this.repeat();
    });
    return this;
  }

  /** Resolves to the index at which the value was decided. */
  async decide(value: string): Promise<number> {
    return this.#send("", encodeProposal([value]), value);
  }

  /** Writes to the machine `map`. Resolves to the index at which it was decided. */
  async put(key: string, value: Uint8Array): Promise<number> {
    return this.#send("map", mapCommands.put(key, value), key);
  }

  async #send(machine: string, inner: Uint8Array, what: string): Promise<number> {
    const sequence = this.#next;
    this.#next += 1;
    const command = encodeCommand(
      { kind: "command", session: this.#session, sequence, unsettled: 1000 },
      encodeCommandEnvelope({
        proposer: "test",
        machine,
        requestId: "",
        command: inner,
      }),
    );
    return new Promise((resolve, reject) => {
      const settle = (answer: Answer): void => {
        if (answer.kind === "answered") resolve(answer.index);
        else reject(new Error(`${what}: ${answer.kind}`));
      };
      this.#pending.set(sequence, { command, settle });
      this.gateway.propose([command]);
    });
  }

  /** Everything that has no answer, again, in order. */
  repeat(): void {
    if (this.#session === 0) {
      const opening = { kind: "openSession", session: this.#nonce, sequence: 0, unsettled: 0 } as const;
      if (this.#opened !== undefined) this.gateway.propose([encodeCommand(opening, noBytes)]);
      return;
    }
    const commands = [...this.#pending.values()].map(({ command }) => command);
    if (commands.length > 0) this.gateway.propose(commands);
  }

  #answered(session: number, sequence: number, answer: Answer): void {
    if (sequence === 0) {
      if (session !== this.#nonce || this.#session !== 0) return;
      this.#session = answer.index;
      this.#opened?.();
      return;
    }
    if (session !== this.#session || answer.kind === "outOfOrder") return;
    const pending = this.#pending.get(sequence);
    if (pending === undefined) this.repeats += 1;
    this.#pending.delete(sequence);
    pending?.settle(answer);
  }
}

/**
 * All plain values that the group decided, in the order of its log, as this gateway's agent has applied them. The log may
 * hold a command several times, where it was repeated; it counts where it is the next one of its session.
 */
export async function decidedValues(gateway: Gateway, through: number): Promise<string[]> {
  const values: string[] = [];
  const sequences = new Map<number, number>();
  for (let from = 1; from <= through;) {
    const run = await new Promise<Uint8Array>((resolve, reject) => {
      gateway.entries(from, (result) => {
        if (result.kind === "entries") resolve(result.bytes);
        else reject(new Error(`entries from ${from}: ${result.kind}`));
      });
    });
    for (const entry of splitCommands(run)) {
      from = entryIndex(entry, 0) + 1;
      if (entryKind(entry, 0) !== "command") continue;
      const session = entrySession(entry, 0);
      const sequence = entrySequence(entry, 0);
      if (sequence !== (sequences.get(session) ?? 0) + 1) continue;
      sequences.set(session, sequence);
      const { command } = decodeCommandEnvelope(entryPayload(entry, 0));
      values.push(...(decodeProposal(command) as string[]));
    }
  }
  return values;
}
