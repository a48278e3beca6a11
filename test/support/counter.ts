import { type ApplyContext, encodeText, MalformedError, type StateMachine } from "../../src/core/index.ts";

/** Counts what it is asked to add; throws at 13; tells what it was told about the entry. */
export class Counter implements StateMachine<number, string, number, number> {
  readonly version = 1;
  total = 0;
  readonly seen: number[] = [];
  readonly commands = {
    encode: (n: number) => Uint8Array.of(n),
    decode: (bytes: Uint8Array) => bytes[0] ?? 0,
  };
  readonly answers = { encode: encodeText, decode: String };
  readonly questions = this.commands;
  readonly replies = {
    encode: (n: number) => Uint8Array.of(n),
    decode: (bytes: Uint8Array) => bytes[0] ?? 0,
  };

  apply(command: number, context: ApplyContext): string {
    if (command === 13) throw new Error("13 is not counted");
    if (command === 14) throw new TypeError("worded by an engine");
    this.total += command;
    this.seen.push(context.index);
    return [
      context.index,
      context.proposer,
      context.time,
      context.random(),
      context.random(),
      this.total,
    ].join(" ");
  }

  query(question: number): number {
    if (question === 13) throw new Error("13 is not asked");
    return this.total;
  }

  snapshot(): Iterable<Uint8Array> {
    return [Uint8Array.of(this.total)];
  }

  restore(pieces: Iterable<Uint8Array>): void {
    const [piece, ...rest] = [...pieces];
    if (piece?.byteLength !== 1 || rest.length > 0) throw new MalformedError("a counter is one byte");
    this.total = piece[0]!;
  }

  digest(): Uint8Array {
    return Uint8Array.of(this.total);
  }
}
