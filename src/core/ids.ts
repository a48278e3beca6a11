/**
 * Names and numbers that must not be mixed up: each is a branded primitive, so that a log index can't be
 * passed where a record number is wanted. They cost nothing at run time.
 */
import { shown } from "./arguments.ts";
import { assert } from "./assert.ts";
import { QuorateError } from "./errors.ts";

type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** The name of one agent, unique in its cluster: 1 to 64 of `a-z A-Z 0-9 . _ -`, starting with a letter or digit. */
export type AgentId = Brand<string, "AgentId">;
/** The name of one group, unique in its cluster; the same alphabet as an agent's name. */
export type GroupName = Brand<string, "GroupName">;
/** Where to reach somebody whose id is not yet known, as `host:port`: a gossip seed. */
export type Address = Brand<string, "Address">;
/** Microseconds. On the monotonic clock they count from an arbitrary origin, on the wall clock from 1970. */
export type Micros = Brand<number, "Micros">;
/**
 * 1, 2, 3 … in ONE group's stream of journal records. Never reused, not even when log entries are truncated,
 * so it is not a log index.
 */
export type RecordNumber = Brand<number, "RecordNumber">;
/** 1, 2, 3 … in one group's log of entries; 0 stands for "before the first". */
export type LogIndex = Brand<number, "LogIndex">;
/** A leader's time in office: at most one leader in each. 0 stands for "before the first". */
export type Term = Brand<number, "Term">;
/** Names one question put to the driver, so that its answer finds its way back. */
export type Ticket = Brand<number, "Ticket">;

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/;

/** Checks the name of an agent that came from outside. Throws `BAD_NAME`. */
export function agentId(name: unknown): AgentId {
  if (typeof name !== "string" || !namePattern.test(name)) throw badName("an agent", name);
  return name as AgentId;
}

/** Checks the name of a group that came from outside. Throws `BAD_NAME`. */
export function groupName(name: unknown): GroupName {
  if (typeof name !== "string" || !namePattern.test(name)) throw badName("a group", name);
  return name as GroupName;
}

function badName(what: string, name: unknown): QuorateError {
  return new QuorateError("BAD_NAME", `${shown(name)} is not a name for ${what}.`, {
    outcome: "notDone",
    hint: "Use 1 to 64 of a-z A-Z 0-9 . _ - and start with a letter or a digit.",
  });
}

/** Brands a whole number ≥ 0 as a log index. Asserts: a wrong one is a bug, not an input. */
export function logIndex(value: number): LogIndex {
  assert(Number.isSafeInteger(value) && value >= 0, "a log index is a whole number from 0");
  return value as LogIndex;
}

/** Brands a whole number ≥ 0 as a term. */
export function term(value: number): Term {
  assert(Number.isSafeInteger(value) && value >= 0, "a term is a whole number from 0");
  return value as Term;
}

/** Brands a whole number ≥ 1 as a record number. */
export function recordNumber(value: number): RecordNumber {
  assert(Number.isSafeInteger(value) && value >= 1, "a record number is a whole number from 1");
  return value as RecordNumber;
}

/** Milliseconds, as people write them in options, in the microseconds of the clocks. */
export function microsFromMs(ms: number): Micros {
  return Math.round(ms * 1000) as Micros;
}

/** "No deadline at all": later than every instant. */
export const never: Micros = Number.POSITIVE_INFINITY as Micros;
