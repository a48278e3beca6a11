/**
 * Just enough HTTP/2 (RFC 9113) and gRPC to call one unary method after another at little cost: Node's own client takes
 * more CPU for each call than the server that it is to load, which on a small machine would measure the client.
 * Request headers are encoded once (HPACK literals that change no table); of an answer only the frame headers are read:
 * a call has succeeded if it brought a DATA frame, since gRPC errors come without one.
 */
import { type Socket, connect } from "node:net";

const frameTypes = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
const flags = { endStream: 0x1, ack: 0x1, endHeaders: 0x4 } as const;
const frameHeaderBytes = 9;
const windowGrowth = 0x4000_0000;
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

interface PendingCall {
  readonly done: (error?: Error) => void;
  answered: boolean;
}

export class GrpcConnection {
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #headerBlocks = new Map<string, Buffer>();
  readonly #calls = new Map<number, PendingCall>();
  #waiting: Buffer[] = [];
  #waitingData: { readonly stream: number; readonly message: Buffer }[] = [];
  #nextStream = 1;
  /** Bytes of DATA that the server still takes on this connection. */
  #sendWindow = 65_535;
  #receivedBytes = 0;
  #rest: Buffer = Buffer.alloc(0);
  #flushing = false;
  #closed: Error | undefined;

  constructor(host: string, port: number) {
    this.#authority = `${host}:${port}`;
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on("data", (bytes) => this.#receive(bytes));
    this.#socket.on("error", (error) => this.#end(error));
    this.#socket.on("close", () => this.#end(new Error("the connection closed")));
    // Streams may bring 2^30 bytes each; the connection as a whole is topped up as it is used.
    const settings = Buffer.from([0, 4, 0x40, 0, 0, 0]);
    this.#push(preface, frame(frameTypes.settings, 0, 0, settings), windowUpdate(windowGrowth));
  }

  /** Calls back once, with an error where the call did not succeed. */
  call(path: string, message: Buffer, done: (error?: Error) => void): void {
    if (this.#closed !== undefined) return done(this.#closed);
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#calls.set(stream, { done, answered: false });
    const block = this.#headerBlock(path);
    this.#push(frameHeader(block.byteLength, frameTypes.headers, flags.endHeaders, stream), block);
    this.#waitingData.push({ stream, message });
    this.#pushData();
  }

  close(): void {
    this.#socket.destroy();
  }

  #pushData(): void {
    while (this.#waitingData.length > 0) {
      const next = this.#waitingData[0];
      if (next === undefined || next.message.byteLength + 5 > this.#sendWindow) return;
      this.#waitingData.shift();
      const byteLength = next.message.byteLength + 5;
      this.#sendWindow -= byteLength;
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(next.message.byteLength, 1);
      this.#push(
        frameHeader(byteLength, frameTypes.data, flags.endStream, next.stream),
        prefix,
        next.message,
      );
    }
  }

  #headerBlock(path: string): Buffer {
    let block = this.#headerBlocks.get(path);
    if (block === undefined) {
      block = Buffer.concat([
        Buffer.from([0x83, 0x86]), // :method POST, :scheme http
        literal([0x04], path),
        literal([0x01], this.#authority),
        literal([0x0f, 0x10], "application/grpc"), // content-type
        literal([0x00, 2, 0x74, 0x65], "trailers"), // te
      ]);
      this.#headerBlocks.set(path, block);
    }
    return block;
  }

  /** All that one turn of the loop writes leaves together. */
  #push(...parts: Buffer[]): void {
    this.#waiting.push(...parts);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      const bytes = Buffer.concat(this.#waiting);
      this.#waiting = [];
      this.#socket.write(bytes);
    });
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest.byteLength === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + frameHeaderBytes <= bytes.byteLength) {
      const byteLength = bytes.readUIntBE(at, 3);
      const end = at + frameHeaderBytes + byteLength;
      if (end > bytes.byteLength) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      this.#frame(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, stream, bytes.subarray(at + frameHeaderBytes, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }

  #frame(type: number, flagBits: number, stream: number, payload: Buffer): void {
    if (type === frameTypes.data) {
      const call = this.#calls.get(stream);
      if (call !== undefined) call.answered = true;
      this.#receivedBytes += payload.byteLength;
      if (this.#receivedBytes > windowGrowth / 2) {
        this.#push(windowUpdate(this.#receivedBytes));
        this.#receivedBytes = 0;
      }
    } else if (type === frameTypes.windowUpdate && stream === 0) {
      this.#sendWindow += payload.readUInt32BE(0);
      this.#pushData();
    } else if (type === frameTypes.settings && (flagBits & flags.ack) === 0) {
      this.#push(frame(frameTypes.settings, flags.ack, 0, Buffer.alloc(0)));
    } else if (type === frameTypes.ping && (flagBits & flags.ack) === 0) {
      this.#push(frame(frameTypes.ping, flags.ack, 0, payload));
    } else if (type === frameTypes.goAway) {
      this.#end(new Error("the server goes away"));
    } else if (type === frameTypes.rstStream) {
      this.#settle(stream, new Error("the server reset the stream"));
    }
    const ends = type === frameTypes.data || type === frameTypes.headers;
    if (ends && (flagBits & flags.endStream) !== 0) this.#settle(stream);
  }

  #settle(stream: number, error?: Error): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    this.#calls.delete(stream);
    call.done(error ?? (call.answered ? undefined : new Error("the server refused the call")));
  }

  #end(error: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#socket.destroy();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.done(error);
  }
}

/** A header that enters no table: its name as HPACK encodes it, then its value. */
function literal(name: readonly number[], value: string): Buffer {
  return Buffer.concat([Buffer.from([...name, value.length]), Buffer.from(value, "latin1")]);
}

function frameHeader(byteLength: number, type: number, flagBits: number, stream: number): Buffer {
  const header = Buffer.alloc(frameHeaderBytes);
  header.writeUIntBE(byteLength, 0, 3);
  header[3] = type;
  header[4] = flagBits;
  header.writeUInt32BE(stream, 5);
  return header;
}

function frame(type: number, flagBits: number, stream: number, payload: Buffer): Buffer {
  return Buffer.concat([frameHeader(payload.byteLength, type, flagBits, stream), payload]);
}

function windowUpdate(increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(frameTypes.windowUpdate, 0, 0, payload);
}
