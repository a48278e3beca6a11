import { describe, expect, test } from "vitest";
import { limits } from "../core/limits.ts";
import { encodeFrame, type OutgoingFrame } from "./frame.ts";
import { PeerQueue } from "./peer-queue.ts";

function frame(mark: number, headBytes = 10): OutgoingFrame {
  return encodeFrame("message", "g", new Uint8Array(headBytes).fill(mark));
}

/** The marks of what is taken, in order. */
function takeAll(queue: PeerQueue, bytesMax = Number.POSITIVE_INFINITY): number[] {
  return queue.take(bytesMax).map((piece) => piece[piece.byteLength - 1] ?? -1);
}

describe("what waits for a peer", () => {
  test("leaves in order, and urgent frames overtake the stream", () => {
    const queue = new PeerQueue();
    queue.push(frame(1), false);
    queue.push(frame(2), false);
    queue.push(frame(3), true);
    queue.push(frame(4), true);
    expect(takeAll(queue)).toEqual([3, 4, 1, 2]);
    expect(queue.byteLength).toBe(0);
    expect(takeAll(queue)).toEqual([]);
  });

  test("leaves about as much as asked for, but at least one frame", () => {
    const queue = new PeerQueue();
    for (let mark = 1; mark <= 5; mark++) queue.push(frame(mark, 1000), false);
    expect(takeAll(queue, 2000)).toEqual([1, 2]);
    expect(takeAll(queue, 1)).toEqual([3]);
    queue.push(frame(9), true);
    expect(takeAll(queue, 1500)).toEqual([9, 4, 5]);
  });

  test("is bounded: of the stream the oldest goes first, and urgent frames are none of its business", () => {
    const queue = new PeerQueue(10_000);
    queue.push(frame(100), true);
    for (let mark = 1; mark <= 20; mark++) queue.push(frame(mark, 983), false);
    expect(queue.dropped).toBe(10);
    expect(takeAll(queue)).toEqual([100, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  });

  test("urgent frames are bounded as well", () => {
    const queue = new PeerQueue();
    const count = Math.ceil(limits.urgentQueueBytesMax / 10_000) + 50;
    for (let mark = 0; mark < count; mark++) queue.push(frame(mark & 0xff, 10_000), true);
    expect(queue.byteLength).toBeLessThanOrEqual(limits.urgentQueueBytesMax);
    expect(queue.dropped).toBeGreaterThan(0);
    expect(takeAll(queue).at(-1)).toBe((count - 1) & 0xff);
  });

  test("keeps a single frame that is larger than the limit, for it would never get through otherwise", () => {
    const queue = new PeerQueue(100);
    queue.push(frame(1, 5000), false);
    expect(queue.dropped).toBe(0);
    expect(takeAll(queue)).toEqual([1]);
  });

  test("stays in order over many thousands of frames", () => {
    const queue = new PeerQueue();
    const out: number[] = [];
    for (let round = 0; round < 5000; round++) {
      queue.push(frame(round & 0xff), false);
      if (round % 3 === 2) out.push(...takeAll(queue, 60));
    }
    out.push(...takeAll(queue));
    expect(out).toEqual(Array.from({ length: 5000 }, (_, at) => at & 0xff));
  });

  test("is emptied when its connection is lost", () => {
    const queue = new PeerQueue();
    queue.push(frame(1), false);
    queue.push(frame(2), true);
    queue.clear();
    expect(queue.byteLength).toBe(0);
    expect(takeAll(queue)).toEqual([]);
    queue.drop();
    expect(queue.dropped).toBe(1);
  });

  test("its limit is the one of LIMITS.md", () => {
    const queue = new PeerQueue();
    const size = 1024 * 1024;
    for (let mark = 0; mark < 20; mark++) queue.push(frame(mark, size), false);
    expect(queue.byteLength).toBeLessThanOrEqual(limits.linkQueueBytesMax);
    expect(queue.byteLength).toBeGreaterThan(limits.linkQueueBytesMax - 2 * size);
  });
});
