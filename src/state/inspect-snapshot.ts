/** Looks a snapshot's state over without bringing it up: what is in it, whatever machines there are. */
import { FrameReader } from "./pieces.ts";
import { machinePieces, readHead, readMachineHead, type MachineDigest } from "./state-snapshot.ts";

export interface StateReport {
  /** The index of the last entry in it. */
  readonly applied: number;
  readonly digest: Uint8Array;
  readonly sessions: number;
  readonly requestIds: number;
  readonly machines: readonly MachineDigest[];
}

/** Reads all of it. Throws `MalformedError` where its form is not that of a snapshot. */
export function inspectSnapshot(pieces: Iterable<Uint8Array>): StateReport {
  const reader = new FrameReader(pieces);
  const head = readHead(reader);
  for (let left = head.sessions + head.requests; left > 0; left--) reader.frame();
  const machines: MachineDigest[] = [];
  while (machines.length < head.machines) {
    const { name, version, digest } = readMachineHead(reader);
    machines.push({ name, version, digest: digest.slice() });
    for (const _ of machinePieces(reader));
  }
  reader.end();
  const { applied, digest, sessions, requests } = head;
  return { applied, digest: digest.slice(), sessions, requestIds: requests, machines };
}
