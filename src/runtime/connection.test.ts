import type { Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { pause, socketPair, until } from "../../test/support/runtime.ts";
import { concatBytes } from "../core/bytes.ts";
import { MalformedError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { Connection, type ConnectionHandler, type FrameSource } from "./connection.ts";
import { encodeFrame, FrameWriter, type Frame, type OutgoingFrame } from "./frame.ts";
import { PeerQueue } from "./peer-queue.ts";

/** A connection whose every event is remembered. */
class End implements ConnectionHandler {
  readonly frames: Frame[] = [];
  readonly ends: string[] = [];
  readonly queue = new PeerQueue();
  readonly connection: Connection;
  malformed = false;
  drains = 0;

  constructor(socket: Socket, frameBytesMax = limits.frameBytesMax) {
    this.connection = new Connection(socket, this, frameBytesMax, this.queue);
  }

  frame(frame: Frame): void {
    if (frame.kind === "campaign") throw new MalformedError("not here");
    this.frames.push(frame);
  }

  closed(reason: string, malformed: boolean): void {
    this.ends.push(reason);
    this.malformed = malformed;
  }

  drained(): void {
    this.drains += 1;
  }

  send(frame: OutgoingFrame, urgent = false): void {
    this.queue.push(frame, urgent);
    this.connection.flush();
  }
}

const small = (mark: number): OutgoingFrame => encodeFrame("message", "g", Uint8Array.of(mark));

async function ends(): Promise<[End, End, Socket, Socket]> {
  const [a, b] = await socketPair();
  return [new End(a), new End(b), a, b];
}

describe("a connection", () => {
  test("carries frames of all sizes both ways, in order", async () => {
    const [one, other] = await ends();
    const sizes = [0, 1, 100, 20_000, 300_000, 1_000_000];
    for (const size of sizes) {
      one.send(encodeFrame("message", "g", new Uint8Array(5), [new Uint8Array(size).fill(size & 0xff)]));
      other.send(encodeFrame("message", "g", new Uint8Array(size)));
    }
    await until(() => one.frames.length === 6 && other.frames.length === 6, "all frames arrive");
    expect(other.frames.map(({ tail }) => tail.byteLength)).toEqual(sizes);
    expect(one.frames.map(({ head }) => head.byteLength)).toEqual(sizes);
    for (const { tail } of other.frames)
      expect(tail.every((byte) => byte === (tail.byteLength & 0xff))).toBe(true);
  });

  test("what is queued before a flush leaves in one write", async () => {
    const [a, b] = await socketPair();
    const one = new End(a);
    let reads = 0;
    b.on("data", () => (reads += 1));
    const before = a.bytesWritten;
    for (let mark = 0; mark < 50; mark++) one.queue.push(small(mark), false);
    one.connection.flush();
    await until(() => b.bytesRead > 0, "it arrives");
    await pause(20);
    expect(a.bytesWritten - before).toBe(50 * small(0).byteLength);
    expect(reads).toBe(1);
  });

  test("hands at most 256 KiB over to a socket that does not take it; the rest waits where it can be overtaken", async () => {
    const [one, , , b] = await ends();
    b.pause();
    const chunk = encodeFrame("message", "g", new Uint8Array(0), [new Uint8Array(64 * 1024)]);
    let most = 0;
    for (let count = 0; count < 200; count++) {
      one.send(chunk);
      most = Math.max(most, one.connection.unsentBytes);
      if (count % 20 === 0) await pause(1);
    }
    expect(most).toBeLessThanOrEqual(limits.socketBufferBytesMax + chunk.byteLength);
    expect(one.queue.byteLength).toBeGreaterThan(0);
    b.resume();
    await until(() => one.queue.byteLength === 0, "everything leaves once the other side reads");
    await until(() => one.drains > 0, "and that is told");
  });

  test("memory is written to again only once the kernel has what was in it", async () => {
    const [a, b] = await socketPair();
    b.pause();
    const writer = new FrameWriter();
    let lent = 0;
    const source: FrameSource = {
      take: () => {
        const bytes = writer.take();
        if (bytes === undefined) return [];
        lent += 1;
        return [bytes];
      },
      left: () => {
        expect(a.writableLength).toBe(0);
        writer.reclaim();
        lent = 0;
      },
    };
    const one = new Connection(a, new End(a), limits.frameBytesMax, source);
    const marks: number[] = [];
    for (let mark = 0; lent === 0; mark++) {
      marks.push(mark & 0xff);
      writer
        .begin("message", "g")
        .raw(new Uint8Array(64 * 1024).fill(mark))
        .end();
      one.flush();
    }
    // The last one waits: what is written now must not go where it still is.
    marks.push(0xee);
    writer.begin("message", "g").raw(new Uint8Array(1000).fill(0xee)).end();
    const other = new End(b);
    b.resume();
    await until(() => {
      one.flush();
      return other.frames.length === marks.length;
    }, "all frames arrive");
    const found = other.frames.map(({ head }) => (head.every((byte) => byte === head[0]) ? head[0] : -1));
    expect(found).toEqual(marks);
  });

  test("an urgent frame waits behind no more than what was handed over", async () => {
    const [one, other, , b] = await ends();
    b.pause();
    const chunk = encodeFrame("message", "stream", new Uint8Array(0), [new Uint8Array(64 * 1024)]);
    for (let count = 0; count < 200; count++) one.send(chunk);
    await pause(20);
    const waiting = one.queue.byteLength / chunk.byteLength;
    one.send(encodeFrame("message", "urgent", new Uint8Array(0)), true);
    b.resume();
    await until(() => other.frames.length === 201, "all frames arrive");
    const place = other.frames.findIndex(({ group }) => group === "urgent");
    expect(place).toBeLessThanOrEqual(201 - waiting);
    expect(place).toBeLessThan(200);
  });

  test("answers a ping with a pong, and tells nobody", async () => {
    const [a, b] = await socketPair();
    const one = new End(a);
    const ping = encodeFrame("ping", "", new Uint8Array(0)).parts[0] as Uint8Array;
    const answer = new Promise<Buffer>((resolve) => {
      b.once("data", resolve);
    });
    b.write(ping);
    expect(new Uint8Array(await answer)).toEqual(encodeFrame("pong", "", new Uint8Array(0)).parts[0]);
    expect(one.frames).toEqual([]);
  });

  test("is not given up for the silence of a time in which this process itself stood still", async () => {
    const [one] = await ends();
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    one.connection.keepAlive(20, 100);
    // One beat that is a second late, as after a long pause; the next ones are in time.
    const now = performance.now();
    const late = vi.spyOn(performance, "now").mockReturnValue(now + 1000);
    vi.advanceTimersToNextTimer();
    expect(one.connection.isClosed).toBe(false);
    // Nothing comes back for as long as it may be silent: then it is over.
    for (let beat = 1; beat <= 6; beat++) {
      late.mockReturnValue(now + 1000 + beat * 20);
      vi.advanceTimersToNextTimer();
    }
    expect(one.connection.isClosed).toBe(true);
  });

  test("that is silent is asked, and given up when nothing comes back", async () => {
    const [one, other] = await ends();
    one.connection.keepAlive(20, 100);
    await pause(250);
    expect(one.ends).toEqual([]);
    const [a, b] = await socketPair();
    const alone = new End(a);
    b.resume();
    alone.connection.keepAlive(20, 100);
    await until(() => alone.ends.length > 0, "it is given up");
    expect(alone.ends).toEqual(["it was silent for 100 ms"]);
    expect(other.ends).toEqual([]);
  });

  test.each([
    ["garbage", Buffer.from("GET / HTTP/1.1\r\n\r\n"), "longer than"],
    ["an oversized frame", Buffer.from([0xff, 0xff, 0xff, 0x7f]), "longer than"],
    ["a truncated header", Buffer.from([15, 0, 0, 0]), "shorter than"],
    ["a wrong checksum", Buffer.from([16, 0, 0, 0, 1, 2, 3, 4, 4, 0, 0, 0, 0, 0, 0, 0]), "checksum"],
    [
      "a frame that the handler refuses",
      Buffer.concat(encodeFrame("campaign", "g", Uint8Array.of()).parts),
      "not here",
    ],
  ])("%s closes it, once, as the other side's fault", async (_name, bytes, reason) => {
    const [a, b] = await socketPair();
    const one = new End(a);
    b.on("error", () => {});
    const gone = new Promise((resolve) => {
      b.once("close", resolve);
    });
    b.write(concatBytes([bytes, bytes]));
    await until(() => one.ends.length > 0, "it is closed");
    await gone;
    expect(one.ends).toHaveLength(1);
    expect(one.ends[0]).toContain(reason);
    expect(one.malformed).toBe(true);
    expect(one.connection.isClosed).toBe(true);
  });

  test("a socket that breaks in the middle of a frame closes it, and the half frame is forgotten", async () => {
    const [a, b] = await socketPair();
    const one = new End(a);
    const whole = concatBytes(encodeFrame("message", "g", new Uint8Array(5000)).parts);
    b.write(concatBytes([whole, whole.subarray(0, 3000)]));
    await until(() => one.frames.length === 1, "the whole one arrives");
    b.resetAndDestroy();
    await until(() => one.ends.length > 0, "it is closed");
    expect(one.frames).toHaveLength(1);
    expect(one.malformed).toBe(false);
  });

  test("closing is told once, later, and nothing is written or read after", async () => {
    const [one, other] = await ends();
    one.send(small(1));
    await until(() => other.frames.length === 1, "it arrives");
    one.connection.close("enough");
    one.connection.close("again");
    expect(one.ends).toEqual([]);
    one.send(small(2));
    one.connection.pause();
    one.connection.resume();
    await until(() => other.ends.length > 0, "the other side sees it");
    expect(one.ends).toEqual(["enough"]);
    expect(other.frames).toHaveLength(1);
  });

  test("the last words get through", async () => {
    const [one, other] = await ends();
    one.connection.end(small(7).parts, "refused");
    await until(() => other.ends.length > 0, "the other side sees the end");
    expect(other.frames.map(({ head }) => head[0])).toEqual([7]);
  });

  test("whatever bytes arrive, it takes whole frames or closes, and nothing is thrown", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constant(small(3).parts[0] as Uint8Array)), {
          minLength: 1,
          maxLength: 6,
        }),
        async (pieces) => {
          const [a, b] = await socketPair();
          const one = new End(a);
          b.on("error", () => {});
          for (const piece of pieces) b.write(piece);
          b.end();
          await until(() => one.ends.length > 0, "it ends");
          expect(one.ends).toHaveLength(1);
          for (const frame of one.frames) expect(frame.kind).toBe("message");
        },
      ),
      { numRuns: 60 },
    );
  });
});
