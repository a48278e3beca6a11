/** What a machine of one's own must be made of; from plain JavaScript it may be anything. */
import { badOption, isRecord, type OptionList, reading, readOptions, shown } from "../core/index.ts";
import type { Machine } from "./define-machine.ts";
import { isStandardSchema } from "./schemas.ts";

const parts: OptionList<Machine> = {
  of: "a machine",
  noun: "part",
  like: "{ version: 1, initial: () => ({ n: 0 }), commands: { … }, queries: { … } }",
  names: { version: true, initial: true, commands: true, queries: true, migrate: true, schemas: true },
};

/** Throws `BAD_OPTION` with the first thing that is wrong. */
export function checkMachine(machine: unknown): asserts machine is Machine {
  const { version, initial, commands, queries, migrate, schemas } = readOptions(parts, machine);
  if (!Number.isSafeInteger(version) || Number(version) < 0 || Number(version) > 0xffff_ffff) {
    throw badOption(
      `A machine's version is ${shown(version)}.`,
      "Give a whole number from 0 and below 2^32. Start with 1.",
    );
  }
  requireFunction("initial", initial, "It makes the state before the first command, like () => ({ n: 0 }).");
  const names = new Set(checkFunctions("command", "commands", commands));
  for (const name of checkFunctions("query", "queries", queries)) {
    if (names.has(name)) {
      throw badOption(`"${name}" is both a command and a query.`, "Give one of them another name.");
    }
    names.add(name);
  }
  if (migrate !== undefined) {
    requireFunction(
      "migrate",
      migrate,
      "It makes today's state of an old one. Leave it out where there is none.",
    );
  }
  if (schemas !== undefined) checkSchemas(schemas, names);
}

/** Returns their names. */
function checkFunctions(one: string, all: string, given: unknown): readonly string[] {
  const functions = entriesOf(all, given);
  for (const [name, value] of functions) {
    requireFunction(`${one} "${name}"`, value, "Give functions by name, like { add: (state, by) => … }.");
    const kind = Object.prototype.toString.call(value);
    if (kind !== "[object Function]") {
      const what = kind.includes("Generator") ? "a generator" : "async";
      throw badOption(
        `A machine's ${one} "${name}" is ${what}.`,
        "It must answer at once, from the state and its argument alone: have other things done before, and their result as the argument.",
      );
    }
  }
  return functions.map(([name]) => name);
}

function checkSchemas(given: unknown, names: ReadonlySet<string>): void {
  for (const [name, schema] of entriesOf("schemas", given)) {
    if (!names.has(name)) {
      throw badOption(
        `There is a schema for "${name}", which is no command or query of the machine.`,
        `Its commands and queries are: ${[...names].toSorted().join(", ") || "none"}.`,
      );
    }
    if (schema !== undefined && !isStandardSchema(schema)) {
      throw badOption(
        `The schema for "${name}" is no Standard Schema.`,
        "Use one of zod, valibot or arktype.",
      );
    }
  }
}

function entriesOf(part: string, given: unknown): readonly (readonly [string, unknown])[] {
  if (!isRecord(given)) {
    throw badOption(
      `A machine's ${part} are ${shown(given)}, not an object.`,
      `Give an object of ${part} by name; an empty one where there are none.`,
    );
  }
  return reading(`The object of a machine's ${part}`, () => Object.entries(given));
}

function requireFunction(part: string, value: unknown, hint: string): void {
  if (typeof value === "function") return;
  throw badOption(`A machine's ${part} is ${shown(value)}, not a function.`, hint);
}
