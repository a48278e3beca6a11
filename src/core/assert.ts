/**
 * Assertions stay on in production: a broken invariant must stop the agent, not spread. Messages are literals,
 * since a template would be built even where the condition holds.
 */

/** A broken invariant: a bug in this program, never an answer to bad input. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws {@link AssertionError} unless `condition` holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** `value`, which can't be undefined here; throws {@link AssertionError} if it is. */
export function present<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw new AssertionError(message);
  return value;
}

/** The `default` of a switch over a closed union: a case that is forgotten does not compile. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable case: ${JSON.stringify(value)}`);
}
