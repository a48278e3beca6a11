/**
 * One socket and the frames on it. What is to be sent waits in a source (a peer's queues, a client's answers) and is
 * handed over in gathered writes, of which at most 256 KiB are unsent at any time: what is urgent then never waits behind
 * more than that.
 *
 * Whatever goes wrong ends in one call of `closed`, with the reason; nothing is thrown and nothing is emitted.
 */
import type { Socket } from "node:net";
import { MalformedError, QuorateError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { describeError } from "./logger.ts";

/** What waits to be sent. */
export interface FrameSource {
  /** The next pieces, about `bytesMax` bytes but at least one frame; empty when there is nothing. */
  take(bytesMax: number): readonly Uint8Array[];
  /** The kernel has all that was taken: its memory may be used again. */
  left?(): void;
}

export interface ConnectionHandler {
  /** Throws `MalformedError` where the frame makes no sense here: the connection is then closed. */
  frame(frame: Frame): void;
  /** Called once, never from inside a call of the connection's. `malformed`: the other side broke the protocol. */
  closed(reason: string, malformed: boolean): void;
  /** All that was handed over has left. */
  drained?(): void;
}

/** A side that is not read can't be heard asking whether somebody is there: it is told so often enough. */
const assuranceMs = limits.clientSilenceMsMax / 3;
/** Pieces up to this are copied together; larger ones go out beside them, all in one `writev`. */
const copiedBytesMax = 4096;

/** Nothing to send but what the connection itself says. */
export const noSource: FrameSource = { take: () => [] };
const pingFrame = encodeFrame("ping", "", new Uint8Array(0)).parts[0] as Uint8Array;
const pongFrame = encodeFrame("pong", "", new Uint8Array(0)).parts[0] as Uint8Array;

export class Connection {
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  #source: FrameSource;
  #handler: ConnectionHandler;
  #closed = false;
  #urgent: Uint8Array[] = [];
  #heardAtMs = performance.now();
  #keepAlive: NodeJS.Timeout | undefined;
  #assurance: NodeJS.Timeout | undefined;
  readonly #take = (frame: Frame): boolean => this.#arrived(frame);

  constructor(
    socket: Socket,
    handler: ConnectionHandler,
    frameBytesMax: number,
    source: FrameSource = noSource,
  ) {
    this.#socket = socket;
    this.#source = source;
    this.#handler = handler;
    this.#reader = new FrameReader(frameBytesMax);
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.#data(bytes));
    socket.on("drain", () => this.#drained());
    socket.on("error", (error) => this.close(describeError(error)));
    socket.on("end", () => this.close("the other side closed it"));
    socket.on("close", () => this.close("it was closed"));
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Bytes handed to the socket and not yet taken by the kernel. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Bytes that the kernel has taken. */
  get takenBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  /** The handshake is over: from now on frames go there, may be so long, and what is to be sent comes from `source`. */
  use(handler: ConnectionHandler, frameBytesMax: number, source: FrameSource): void {
    this.#handler = handler;
    this.#reader.frameBytesMax = frameBytesMax;
    this.#source = source;
  }

  /** Hands over what waits, as far as the socket may take more. */
  flush(): void {
    while (!this.#closed) {
      const room = limits.socketBufferBytesMax - this.#socket.writableLength;
      if (room <= 0) return;
      const urgent = this.#urgent;
      if (urgent.length > 0) this.#urgent = [];
      const pieces = urgent.length > 0 ? urgent : this.#source.take(room);
      if (pieces.length === 0) return;
      this.#write(pieces);
      if (this.#socket.writableLength === 0) this.#source.left?.();
    }
  }

  /** For the few frames of the connection itself: handshake, ping, pong. Overtakes what waits. */
  sendAtOnce(parts: readonly Uint8Array[]): void {
    this.#urgent.push(...parts);
    this.flush();
  }

  /** Reads no further. The other side's questions are answered without being read. */
  pause(): void {
    if (this.#closed) return;
    this.#socket.pause();
    this.#assurance ??= setInterval(() => this.#assure(), assuranceMs);
  }

  resume(): void {
    if (this.#closed) return;
    clearInterval(this.#assurance);
    this.#assurance = undefined;
    this.#socket.resume();
  }

  /** Asks "are you there" so often, and closes the connection when nothing was heard for that long. */
  keepAlive(everyMs: number, silentMsMax: number): void {
    clearInterval(this.#keepAlive);
    this.#heardAtMs = performance.now();
    let askedAtMs = this.#heardAtMs;
    this.#keepAlive = setInterval(() => {
      const nowMs = performance.now();
      // A late timer means that this process itself stood still: the other side then gets another chance.
      const stalled = nowMs - askedAtMs > everyMs * 2;
      askedAtMs = nowMs;
      if (stalled) this.#heardAtMs = Math.max(this.#heardAtMs, nowMs - everyMs);
      if (nowMs - this.#heardAtMs > silentMsMax) this.close(`it was silent for ${silentMsMax} ms`);
      else if (nowMs - this.#heardAtMs >= everyMs) this.sendAtOnce([pingFrame]);
    }, everyMs);
    this.#keepAlive.unref();
  }

  /** Sends what is given last, then closes. */
  end(parts: readonly Uint8Array[], reason: string): void {
    if (this.#closed) return;
    this.#socket.end(Buffer.concat(parts));
    this.close(reason);
  }

  /** Idempotent. `closed` is called later, in a turn of its own. */
  close(reason: string, malformed = false): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#keepAlive);
    clearInterval(this.#assurance);
    this.#urgent = [];
    // Half-closed by `end`, the socket has something to say; it is given a moment for that.
    if (this.#socket.writableEnded) this.#socket.destroySoon();
    else this.#socket.destroy();
    const handler = this.#handler;
    setImmediate(() => handler.closed(reason, malformed));
  }

  #data(bytes: Buffer): void {
    if (this.#closed) return;
    this.#heardAtMs = performance.now();
    try {
      // A plain array: what is cut from a Buffer is a Buffer again, slower, and its `slice` does not copy.
      const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
      this.#reader.push(plain, this.#take);
    } catch (error) {
      // A name that is none is malformed too; anything else is a bug here, and must not pass for the other side's mistake.
      if (!(error instanceof MalformedError || error instanceof QuorateError)) throw error;
      this.close(error.message, true);
    }
  }

  #arrived(frame: Frame): boolean {
    if (frame.kind === "ping") this.sendAtOnce([pongFrame]);
    else if (frame.kind !== "pong") this.#handler.frame(frame);
    return !this.#closed;
  }

  /** Whatever is on its way there says the same. */
  #assure(): void {
    if (this.#urgent.length === 0 && this.#socket.writableLength === 0) this.sendAtOnce([pongFrame]);
  }

  #drained(): void {
    this.flush();
    if (!this.#closed && this.#socket.writableLength === 0) this.#handler.drained?.();
  }

  #write(pieces: readonly Uint8Array[]): void {
    const socket = this.#socket;
    const chunks = pieces.length === 1 ? pieces : gather(pieces);
    if (chunks.length === 1) {
      socket.write(chunks[0] as Uint8Array);
      return;
    }
    socket.cork();
    for (const chunk of chunks) socket.write(chunk);
    socket.uncork();
  }
}

/** Neighbours that are small are copied into one; a large piece stays as it is. */
function gather(pieces: readonly Uint8Array[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let first = 0; first < pieces.length;) {
    let total = 0;
    let next = first;
    for (
      let piece = pieces[next];
      piece !== undefined && piece.length <= copiedBytesMax;
      piece = pieces[next]
    ) {
      total += piece.length;
      next += 1;
    }
    if (next - first > 1) chunks.push(Buffer.concat(pieces.slice(first, next), total));
    else {
      chunks.push(pieces[first] as Uint8Array);
      next = first + 1;
    }
    first = next;
  }
  return chunks;
}
