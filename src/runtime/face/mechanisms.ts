import { QuorateError } from "../../core/errors.ts";
import { hostedMechanisms } from "../group-options.ts";
import type { Mechanism } from "./types.ts";

/** Announced, and not there yet. */
const plannedMechanisms: readonly string[] = ["paxos", "pbft", "gossip", "voting", "attestation"];

/** Throws `UNKNOWN_MECHANISM` with the known ones, and says where one is only planned. */
export function checkMechanism(name: string): Mechanism {
  const known: readonly Mechanism[] = hostedMechanisms;
  const found = known.find((mechanism) => mechanism === name);
  if (found !== undefined) return found;
  const isPlanned = plannedMechanisms.includes(name);
  throw new QuorateError(
    "UNKNOWN_MECHANISM",
    isPlanned
      ? `The mechanism ${JSON.stringify(name)} is planned, but not built in yet.`
      : `There is no mechanism ${JSON.stringify(name)}.`,
    {
      outcome: "notDone",
      hint: `Built in: ${known.join(", ")}. Planned: ${plannedMechanisms.join(", ")}.`,
    },
  );
}
