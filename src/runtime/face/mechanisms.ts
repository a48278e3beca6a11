import { shown } from "../../core/arguments.ts";
import { QuorateError } from "../../core/errors.ts";
import { hostedMechanisms } from "../group-options.ts";
import type { Mechanism } from "./types.ts";

/** Announced, and not there yet. */
const plannedMechanisms: readonly string[] = ["paxos", "pbft", "gossip", "voting", "attestation"];

/** Throws `UNKNOWN_MECHANISM` with the known ones, and says where one is only planned. */
export function checkMechanism(name: unknown): Mechanism {
  const known: readonly Mechanism[] = hostedMechanisms;
  const found = known.find((mechanism) => mechanism === name);
  if (found !== undefined) return found;
  const names = `Built in: ${known.join(", ")}. Planned: ${plannedMechanisms.join(", ")}.`;
  if (typeof name !== "string") {
    throw unknownMechanism(
      `The mechanism is ${shown(name)}, not a name.`,
      `Name it first, as in createConsensus("raft", "a", ["b", "c"]) or group("main", { mechanism: "raft" }). ${names}`,
    );
  }
  const isPlanned = plannedMechanisms.includes(name);
  throw unknownMechanism(
    isPlanned
      ? `The mechanism ${shown(name)} is planned, but not built in yet.`
      : `There is no mechanism ${shown(name)}.`,
    names,
  );
}

function unknownMechanism(message: string, hint: string): QuorateError {
  return new QuorateError("UNKNOWN_MECHANISM", message, { outcome: "notDone", hint });
}
