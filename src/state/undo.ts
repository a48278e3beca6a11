/**
 * Runs a function over plain data such that it happens whole or not at all: the function sees the data through proxies
 * that write it in place and note what was there before. If it throws, the notes are played backwards; if not, whatever
 * it put in becomes plain data of its own, so that no two places share an object: a restored state could not share it either.
 */
import { assert, limits } from "../core/index.ts";
import { NotPlainError, plainJson, setOwn } from "./json.ts";

interface Note {
  readonly target: object;
  readonly key: string;
  readonly existed: boolean;
  readonly before: unknown;
}

type Container = Record<string, unknown>;

/** Calls `run` with a view of `data` to change. Throws what it throws, or `NotPlainError` where it put in what is not plain data. */
export function changeWhole<T>(data: object, run: (view: object) => T): T {
  const change = new Change("write");
  try {
    const result = run(change.view(data, 0));
    change.settle();
    return result;
  } catch (thrown) {
    change.undo();
    throw thrown;
  } finally {
    change.end();
  }
}

/** Calls `run` with a view of `data` that refuses every write. */
export function readOnly<T>(data: object, run: (view: object) => T): T {
  const change = new Change("read");
  try {
    return run(change.view(data, 0));
  } finally {
    change.end();
  }
}

class Change implements ProxyHandler<object> {
  readonly #mode: "read" | "write";
  readonly #notes: Note[] = [];
  readonly #views = new Map<object, object>();
  readonly #dataOf = new WeakMap<object, object>();
  readonly #depths = new Map<object, number>();
  #ended = false;

  constructor(mode: "read" | "write") {
    this.#mode = mode;
  }

  /** The one view of this object: the same each time, so that `a === a` holds. */
  view(data: object, depth: number): object {
    const known = this.#views.get(data);
    if (known !== undefined) return known;
    const view = new Proxy(data, this);
    this.#views.set(data, view);
    this.#dataOf.set(view, data);
    this.#depths.set(data, depth);
    return view;
  }

  /** What was put in becomes plain data of its own. Throws {@link NotPlainError} where it can't. */
  settle(): void {
    const settled = new Map<object, Set<string>>();
    for (const { target, key, before } of this.#notes) {
      if (Array.isArray(target)) settleArray(target as unknown[], key, before);
      const keys = settled.get(target) ?? new Set();
      settled.set(target, keys);
      if (keys.has(key) || !Object.hasOwn(target, key) || (Array.isArray(target) && key === "length"))
        continue;
      keys.add(key);
      const value = (target as Container)[key];
      if (value === undefined && !Array.isArray(target)) {
        delete (target as Container)[key];
        continue;
      }
      const depth = this.#depths.get(target);
      assert(depth !== undefined, "what was written was viewed");
      if (depth >= limits.jsonDepthMax)
        throw new NotPlainError(`The state is nested more than ${limits.jsonDepthMax} deep.`);
      setOwn(target, key, plainJson(value, limits.jsonDepthMax - depth - 1));
    }
  }

  undo(): void {
    for (let last = this.#notes.length - 1; last >= 0; last--) {
      const { target, key, existed, before } = this.#notes[last]!;
      if (existed) setOwn(target, key, before);
      else delete (target as Container)[key];
    }
  }

  /** Views that were kept are of no use from now on: a change outside a command would not be replicated. */
  end(): void {
    this.#ended = true;
  }

  get(target: object, key: PropertyKey): unknown {
    const value = (target as Record<PropertyKey, unknown>)[key];
    if (typeof value !== "object" || value === null || this.#dataOf.has(value)) return value;
    if (!Object.hasOwn(target, key)) return value;
    return this.view(value, (this.#depths.get(target) ?? 0) + 1);
  }

  getOwnPropertyDescriptor(target: object, key: PropertyKey): PropertyDescriptor | undefined {
    const descriptor = Object.getOwnPropertyDescriptor(target, key);
    return descriptor === undefined ? undefined : { ...descriptor, value: this.get(target, key) };
  }

  set(target: object, key: PropertyKey, value: unknown): boolean {
    const name = this.#checkWrite(target, key);
    if (Array.isArray(target) && name === "length") this.#noteShortening(target as unknown[], value);
    this.#note(target, name);
    setOwn(target, name, this.#unwrapped(value));
    return true;
  }

  deleteProperty(target: object, key: PropertyKey): boolean {
    const name = this.#checkWrite(target, key);
    this.#note(target, name);
    return Reflect.deleteProperty(target, name);
  }

  defineProperty(): boolean {
    throw new NotPlainError("Properties of the state are assigned, not defined.");
  }

  setPrototypeOf(): boolean {
    throw new NotPlainError("The state is plain data: it has no prototype to set.");
  }

  preventExtensions(): boolean {
    throw new NotPlainError("The state can't be frozen.");
  }

  #checkWrite(target: object, key: PropertyKey): string {
    if (this.#ended) throw new NotPlainError("The state is changed only while its command runs.");
    if (this.#mode === "read") throw new NotPlainError("A query can't change the state.");
    if (typeof key === "symbol") throw new NotPlainError("A key of the state is a string.");
    const name = String(key);
    if (Array.isArray(target) && name !== "length" && !isArrayIndex(name)) {
      throw new NotPlainError("An array of the state has elements only.");
    }
    return name;
  }

  #note(target: object, key: string): void {
    const existed = Object.hasOwn(target, key);
    const before = existed ? (target as Container)[key] : undefined;
    // An element behind the end makes the array longer, which deleting the element would not take back.
    if (Array.isArray(target) && !existed && key !== "length") {
      this.#notes.push({ target, key: "length", existed: true, before: target.length });
    }
    this.#notes.push({ target, key, existed, before });
  }

  /** A shorter length drops elements without a word. */
  #noteShortening(target: unknown[], length: unknown): void {
    if (typeof length !== "number") return;
    for (let at = target.length - 1; at >= length; at--) this.#note(target, String(at));
  }

  /** The data behind a view, which is copied faster when the change is settled. */
  #unwrapped(value: unknown): unknown {
    return typeof value === "object" && value !== null ? (this.#dataOf.get(value) ?? value) : value;
  }
}

/** Refuses holes, which JSON would fill: looks only where one could have been made. */
function settleArray(target: unknown[], key: string, before: unknown): void {
  const from = key === "length" ? Math.min(Number(before), target.length) : Number(key);
  const to = key === "length" ? target.length : Math.min(from + 1, target.length);
  for (let at = from; at < to; at++) {
    if (!Object.hasOwn(target, at)) throw new NotPlainError("An array of the state has a hole.");
  }
}

function isArrayIndex(key: string): boolean {
  const index = Number(key);
  return Number.isInteger(index) && index >= 0 && index < 0xffff_ffff && String(index) === key;
}
