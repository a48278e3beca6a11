import type { Snapshot } from "../core/boundary.ts";
import { equalBytes } from "../core/bytes.ts";
import { MalformedError, QuorateError } from "../core/errors.ts";
import type { GroupName } from "../core/ids.ts";
import type { Steps } from "../core/steps.ts";
import type { AppliedState } from "./hosted.ts";
import type { DriverSnapshots } from "./world.ts";

/**
 * Replaces the state, with its last step, by the one that a snapshot on the disk holds. A step throws `DATA_CORRUPT` where that is
 * not there as it was written, or not one of these state machines, and `DATA_VERSION` where a later program wrote it; then the
 * state is as before.
 */
export function* restoringState(
  snapshots: DriverSnapshots,
  group: GroupName,
  snapshot: Snapshot,
  state: AppliedState,
): Steps<void> {
  const { index, digest } = snapshot;
  const found = snapshots.read(group, index);
  if (found.kind === "otherVersion") throw otherVersion(group, index, found.version);
  if (found.kind !== "found") throw unusable(group, index, `is ${found.kind}`);
  const { reader } = found;
  try {
    if (!equalBytes(reader.snapshot.digest, digest)) throw new MalformedError("it is of another state");
    yield* state.restoring(reader.pieces(), snapshot);
  } catch (error) {
    if (error instanceof MalformedError)
      throw unusable(group, index, `can't be used: ${error.message}`, error);
    throw error;
  } finally {
    reader.close();
  }
}

function unusable(group: GroupName, index: number, what: string, cause?: Error): QuorateError {
  const message = `The snapshot that the group ${group} starts from, of index ${index}, ${what}.`;
  return new QuorateError("DATA_CORRUPT", message, {
    outcome: "notDone",
    hint: "Give the group the same state machines here as on its other members. If it has them, leave this member stopped: the others go on while they are a majority.",
    cause,
  });
}

function otherVersion(group: GroupName, index: number, version: number): QuorateError {
  const message = `The snapshot of the group ${group} at index ${index} has the format ${version}, which this program does not read.`;
  return new QuorateError("DATA_VERSION", message, {
    outcome: "notDone",
    hint: "Start this agent with the program that wrote it, or a later one.",
  });
}
