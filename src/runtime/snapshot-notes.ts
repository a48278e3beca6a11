import { unreachable } from "../core/assert.ts";
import type { Snapshot } from "../core/boundary.ts";
import type { GroupName } from "../core/ids.ts";
import type { SnapshotNews } from "../driver/hosted.ts";
import type { Logger } from "./logger.ts";

const reasons: Readonly<Record<Extract<SnapshotNews, { kind: "notReceived" }>["because"], string>> = {
  noRoom: "the disk is full, so it is tried again later; free some space",
  tooLarge: "it is larger than this agent allows",
  damaged: "its pieces do not fit together",
  silence: "nothing more came; what is here is gone on with when it is offered again",
};

/** Writes down what becomes of a group's snapshots. That one was taken is nothing to speak of. */
export function noteSnapshot(log: Logger, group: GroupName, news: SnapshotNews): void {
  switch (news.kind) {
    case "taken":
      return;
    case "notTaken":
      log.warn(
        `${group}: no snapshot was taken at index ${news.index}, so its log goes on growing: ${news.error.message}`,
      );
      return;
    case "damaged":
      log.error(`${group}: the snapshot at index ${news.index} is damaged on disk; another one is taken`);
      return;
    case "receiving":
      log.info(`${group}: gets ${described(news.snapshot)} from ${news.from}${goingOn(news.bytesHere)}`);
      return;
    case "received":
      log.info(`${group}: has got ${described(news.snapshot)} from ${news.from}`);
      return;
    case "notReceived":
      log.warn(
        `${group}: did not get ${described(news.snapshot)} from ${news.from}: ${reasons[news.because]}`,
      );
      return;
    default:
      unreachable(news);
  }
}

function described({ index, byteLength }: Snapshot): string {
  return `the snapshot up to ${index} (${byteLength} bytes)`;
}

function goingOn(bytesHere: number): string {
  return bytesHere === 0 ? "" : `, and goes on with the ${bytesHere} bytes of it that are here`;
}
