/** What tests of odd arguments share: the package as plain JavaScript sees it, and what a good refusal is. */
import { expect } from "vitest";
import { QuorateError, type Code } from "../../../src/index.ts";

type Call = (...parameters: unknown[]) => unknown;

/** The same value, but every function takes anything and gives anything. */
export type Untyped<T> = T extends (...parameters: never) => unknown
  ? Call
  : { readonly [Name in keyof T]: Untyped<T[Name]> };

/** The one cast: from here on no compiler looks at what is passed. */
export function untyped<T>(value: T): Untyped<T> {
  return value as unknown as Untyped<T>;
}

/** What is done, what it must be refused with, and a part of the message: what was wrong. */
export type OddRow<World> = readonly [
  what: string,
  act: (world: World) => unknown,
  code: Code,
  says: string | RegExp,
];

/** What the action throws or rejects with. Anything but a `QuorateError` fails the test, as does being accepted. */
export async function refusalOf(act: () => unknown): Promise<QuorateError> {
  let given: unknown;
  try {
    given = await act();
  } catch (error) {
    if (error instanceof QuorateError) return error;
    throw new Error("it was refused with something else than a QuorateError", { cause: error });
  }
  throw new Error(`it was accepted: ${typeof given}`);
}

/** What was wrong in a sentence, what to do in another, and nothing happened. */
export async function expectRefusal(act: () => unknown, code: Code, says: string | RegExp): Promise<void> {
  const error = await refusalOf(act);
  expect(error).toMatchObject({ code, outcome: "notDone" });
  expect(error.message).toMatch(says);
  for (const text of [error.message, error.hint]) {
    expect(text).toMatch(/^\S.*[.!?]$/s);
    expect(text).not.toContain("[object");
    expect(text.length).toBeLessThan(400);
  }
}

function raise(): never {
  throw new TypeError("raised by the user's own object");
}

/** An object whose property throws when it is read. */
export function trapped(name: string): object {
  return Object.defineProperty({}, name, { enumerable: true, get: raise });
}

/** An object that throws whatever is done with it. */
export function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
