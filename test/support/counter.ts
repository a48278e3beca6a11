import {
  type ApplyContext,
  type Codec,
  MalformedError,
  type RestoredState,
  type StateMachine,
  type Steps,
} from "../../src/core/index.ts";

const oneByte: Codec<number> = {
  write(n, writer) {
    writer.raw(Uint8Array.of(n));
  },
  decode: (bytes) => bytes[0] ?? 0,
};

/** Counts what it is asked to add; throws at 13; tells what it was told about the entry. */
export class Counter implements StateMachine<number, string, number, number> {
  readonly version = 1;
  total = 0;
  readonly seen: number[] = [];
  readonly commands = oneByte;
  readonly answers: Codec<string> = {
    write(text, writer) {
      writer.characters(text);
    },
    decode: String,
  };
  readonly questions = oneByte;
  readonly replies = oneByte;

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

  *restoring(pieces: Iterable<Uint8Array>): Steps<RestoredState> {
    const [piece, ...rest] = [...pieces];
    if (piece?.byteLength !== 1 || rest.length > 0) throw new MalformedError("a counter is one byte");
    yield;
    const install = (): void => {
      this.total = piece[0]!;
    };
    return { digest: piece, install };
  }

  digest(): Uint8Array {
    return Uint8Array.of(this.total);
  }
}
