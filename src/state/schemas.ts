/**
 * Arguments are checked against a Standard Schema (standardschema.dev: zod, valibot, arktype and others bring one) where
 * they are proposed. Never where they are applied: agents may have different versions of a schema library.
 */
import { badOption, QuorateError, thrownMessage } from "../core/index.ts";

/** The part of the Standard Schema interface, version 1, that is used here. */
interface StandardSchema {
  readonly "~standard": { readonly validate: (value: unknown) => unknown };
}

interface Issue {
  readonly message: string;
  readonly path?: readonly unknown[];
}

/**
 * What the schema for `name` makes of the argument; the argument itself where there is none. Throws `BAD_VALUE` with what
 * is wrong, and `BAD_OPTION` where the schema is none, or answers later.
 */
export function validateArgument(
  schemas: Readonly<Record<string, unknown>> | undefined,
  name: string,
  argument: unknown,
): unknown {
  const schema = schemas !== undefined && Object.hasOwn(schemas, name) ? schemas[name] : undefined;
  if (schema === undefined) return argument;
  if (!isStandardSchema(schema)) {
    throw badOption(`The schema for "${name}" is no Standard Schema.`, "Use one of zod, valibot or arktype.");
  }
  let result: unknown;
  try {
    result = schema["~standard"].validate(argument);
  } catch (cause) {
    throw badOption(
      `The schema for "${name}" threw: ${thrownMessage(cause)}.`,
      "A schema says what is wrong by its `issues`; correct the schema.",
      cause,
    );
  }
  if (typeof result !== "object" || result === null || "then" in result) {
    throw badOption(`The schema for "${name}" answers later.`, "Use one that validates at once.");
  }
  if ("issues" in result && Array.isArray(result.issues)) {
    const issues = result.issues as readonly Issue[];
    throw new QuorateError("BAD_VALUE", `The argument of "${name}" is not valid: ${describe(issues)}.`, {
      outcome: "notDone",
      hint: "Correct the argument; nothing was proposed.",
    });
  }
  return "value" in result ? result.value : undefined;
}

/** Whether it has the form of one. */
export function isStandardSchema(schema: unknown): schema is StandardSchema {
  // A function, too: arktype's schemas are callable.
  if ((typeof schema !== "object" && typeof schema !== "function") || schema === null) return false;
  if (!("~standard" in schema)) return false;
  const standard: unknown = schema["~standard"];
  return typeof standard === "object" && standard !== null && "validate" in standard;
}

function describe(issues: readonly Issue[]): string {
  return issues
    .slice(0, 5)
    .map(({ message, path }) => {
      const where = (path ?? []).map((segment) => segmentOf(segment)).join(".");
      return where === "" ? message : `${where}: ${message}`;
    })
    .join("; ")
    .replace(/[.\s]+$/, "");
}

function segmentOf(segment: unknown): string {
  return typeof segment === "object" && segment !== null && "key" in segment
    ? String(segment.key)
    : String(segment);
}
