/** What the leader knows of one peer, by itself: what it sends next, and what an answer means. */
import { describe, expect, test } from "vitest";
import type { AgentId, LogIndex, Micros } from "../core/index.ts";
import { raftLimits } from "./options.ts";
import { Progress } from "./progress.ts";

const index = (value: number): LogIndex => value as LogIndex;
const at = (value: number): Micros => value as Micros;

describe("what the leader knows of a peer", () => {
  const limits = raftLimits({ inFlightAppendsMax: 2, inFlightEntriesMax: 20, inFlightBytesMax: 100 });
  const progress = (): Progress => new Progress("b" as AgentId, index(11), at(0), 2);

  test("it probes first; an acknowledgement opens the pipeline behind it", () => {
    const peer = progress();
    peer.sent(index(12), 10);
    expect([peer.mode, peer.next, peer.asked]).toEqual(["probe", 11, true]);
    expect(peer.acknowledged(index(12), index(0))).toBe(true);
    expect([peer.mode, peer.next, peer.matched]).toEqual(["replicate", 13, 12]);
    peer.sent(index(13), 60);
    expect(peer.windowOpen(limits)).toBe(true);
    peer.sent(index(14), 60);
    expect(peer.windowOpen(limits)).toBe(false);
    expect(peer.next).toBe(15);
  });

  test("R16: the window closes by bytes and by entries as well as by messages", () => {
    const heavy = progress();
    heavy.acknowledged(index(10), index(0));
    heavy.sent(index(11), 100);
    expect([heavy.window.full, heavy.windowOpen(limits)]).toEqual([false, false]);
    const many = progress();
    many.acknowledged(index(10), index(0));
    many.sent(index(29), 10);
    expect(many.windowOpen(limits)).toBe(true);
    many.probeFrom(index(11));
    many.acknowledged(index(10), index(0));
    many.sent(index(30), 10);
    expect([many.window.full, many.windowOpen(limits)]).toEqual([false, false]);
    many.acknowledged(index(11), index(0));
    expect(many.windowOpen(limits)).toBe(true);
  });

  test("R13: a late acknowledgement takes nothing back", () => {
    const peer = progress();
    peer.acknowledged(index(10), index(0));
    peer.sent(index(11), 1);
    peer.sent(index(12), 1);
    expect(peer.acknowledged(index(12), index(0))).toBe(true);
    expect(peer.acknowledged(index(11), index(0))).toBe(false);
    expect(peer.acknowledged(index(12), index(0))).toBe(false);
    expect([peer.matched, peer.next, peer.window.count]).toEqual([12, 13, 0]);
  });

  test("R13: a rejection counts only where it speaks of what is asked now", () => {
    const peer = progress();
    peer.sent(index(12), 1);
    expect(peer.rejected(index(9), index(4)), "of an earlier probe").toBe(false);
    expect(peer.rejected(index(10), index(4))).toBe(true);
    expect([peer.next, peer.asked]).toEqual([5, false]);
    peer.acknowledged(index(4), index(0));
    peer.sent(index(5), 1);
    peer.sent(index(6), 1);
    expect(peer.rejected(index(4), index(2)), "of what is acknowledged since").toBe(false);
    expect(peer.rejected(index(7), index(2)), "of what was never sent").toBe(false);
    expect(peer.rejected(index(5), index(2)), "a lost append").toBe(true);
    expect([peer.mode, peer.next, peer.window.count]).toEqual(["probe", 5, 0]);
  });

  test("R13: a rejection always moves the probe down, whatever its hint says", () => {
    const peer = progress();
    expect(peer.rejected(index(10), index(99))).toBe(true);
    expect(peer.next).toBe(10);
    expect(peer.rejected(index(9), index(-1))).toBe(true);
    expect(peer.next).toBe(1);
  });

  test("a snapshot on its way: rejections mean nothing, and an acknowledgement ends it once the log has what follows", () => {
    const peer = progress();
    peer.snapshotNeeded();
    expect(peer.rejected(index(10), index(4))).toBe(false);
    expect(peer.acknowledged(index(0), index(15))).toBe(false);
    expect(peer.acknowledged(index(14), index(15)), "what it needs next is gone").toBe(true);
    expect([peer.mode, peer.matched]).toEqual(["snapshot", 14]);
    expect(peer.acknowledged(index(20), index(15))).toBe(true);
    expect([peer.mode, peer.next]).toEqual(["replicate", 21]);
  });

  test("R35: a late acknowledgement of what the log no longer has does not tell what to send", () => {
    const peer = progress();
    expect(peer.acknowledged(index(7), index(8))).toBe(true);
    expect([peer.mode, peer.matched, peer.next]).toEqual(["probe", 7, 11]);
    expect(peer.acknowledged(index(8), index(8))).toBe(true);
    expect([peer.mode, peer.next]).toEqual(["replicate", 9]);
  });

  test("what it needs next lies behind what it has, or behind the snapshot that is under way to it", () => {
    const peer = progress();
    peer.acknowledged(index(5), index(0));
    expect(peer.neededBehind).toBe(5);
    peer.snapshotNeeded();
    peer.transfer = index(9);
    expect(peer.neededBehind).toBe(9);
    peer.acknowledged(index(12), index(20));
    expect(peer.neededBehind).toBe(12);
    peer.probeFrom(index(13));
    expect(peer.transfer).toBeUndefined();
  });
});
