/** Work in short steps, between which others get their turn. May be left in the middle. */
export type Steps<T> = Generator<void, T, undefined>;

/** All steps at once. */
export function runToEnd<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
