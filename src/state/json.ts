/**
 * Plain data: what JSON can carry and give back unchanged. JSON on its own is too forgiving for a replicated state: it
 * turns NaN into null and drops whole values in silence, so that what one agent computes is not what another restores.
 */
import {
  decodeText,
  encodeText,
  limits,
  MalformedError,
  QuorateError,
  thrownMessage,
} from "../core/index.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Thrown with a sentence that says what can't be carried. */
export class NotPlainError extends Error {
  override readonly name = "NotPlainError";
}

/**
 * A deep copy in plain objects and arrays. Properties that are undefined are left out, as in JSON; -0 becomes 0.
 * Throws {@link NotPlainError} on anything that JSON would change or lose: NaN, a Date, a Map, a class, a hole, a bigint.
 */
export function plainJson(value: unknown, depthMax: number = limits.jsonDepthMax): Json {
  return new Copier().copy(value, depthMax);
}

class Copier {
  #values = 0;
  #characters = 0;

  /** Of all texts: as JSON, none is shorter. */
  get characters(): number {
    return this.#characters;
  }

  copy(value: unknown, depthLeft: number): Json {
    this.#values += 1;
    if (this.#values > limits.jsonValuesMax) throw new NotPlainError("It holds too many values.");
    switch (typeof value) {
      case "string":
        this.#characters += value.length;
        return value;
      case "boolean":
        return value;
      case "number":
        if (!Number.isFinite(value)) throw new NotPlainError("A number is not finite.");
        return value === 0 ? 0 : value;
      case "object":
        if (value === null) return null;
        if (depthLeft === 0)
          throw new NotPlainError(`It is nested more than ${limits.jsonDepthMax} deep, or contains itself.`);
        return Array.isArray(value) ? this.#array(value, depthLeft) : this.#object(value, depthLeft);
      case "undefined":
      case "bigint":
      case "symbol":
      case "function":
      default:
        throw new NotPlainError(`A value of type ${typeof value} is not plain data.`);
    }
  }

  #array(value: readonly unknown[], depthLeft: number): Json {
    const copy: Json[] = [];
    for (let at = 0; at < value.length; at++) copy.push(this.copy(value[at], depthLeft - 1));
    return copy;
  }

  #object(value: object, depthLeft: number): Json {
    const prototype: unknown = Object.getPrototypeOf(value);
    // A plain object of another realm (a vm context) has another Object.prototype, which ends the chain just the same.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      throw new NotPlainError("An object has a class; only plain objects and arrays are plain data.");
    }
    const copy: Record<string, Json> = {};
    for (const [key, inner] of Object.entries(value)) {
      if (inner !== undefined) setOwn(copy, key, this.copy(inner, depthLeft - 1));
    }
    return copy;
  }
}

/** Assignment, but `__proto__` is a key like any other. */
export function setOwn(target: object, key: PropertyKey, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    (target as Record<PropertyKey, unknown>)[key] = value;
  }
}

/** JSON as bytes. Throws as {@link jsonText} does. */
export function encodeJson(value: unknown): Uint8Array {
  return encodeText(jsonText(value));
}

/**
 * JSON of plain data. Throws `BAD_VALUE` where the value is something else or can't be read, `TOO_LARGE` where its texts
 * are so large that an engine may not be able to make one text of them.
 */
export function jsonText(value: unknown): string {
  const copier = new Copier();
  let plain: Json;
  try {
    plain = copier.copy(value, limits.jsonDepthMax);
  } catch (cause) {
    throw notJson(cause);
  }
  if (copier.characters > limits.jsonCharactersMax) {
    throw new QuorateError("TOO_LARGE", `The value takes more than ${copier.characters} bytes as JSON.`, {
      outcome: "notDone",
      hint: `Keep it within ${limits.entryBytesMax} bytes: store large values elsewhere and agree on where they are.`,
    });
  }
  return JSON.stringify(plain);
}

/** `cause`: that it is not plain, or what a getter or proxy of the user's own has thrown. */
function notJson(cause: unknown): QuorateError {
  const why = cause instanceof NotPlainError ? cause.message : `Reading it failed: ${thrownMessage(cause)}.`;
  return new QuorateError("BAD_VALUE", `The value can't be carried as JSON. ${why}`, {
    outcome: "notDone",
    hint: "Use null, booleans, finite numbers, strings, and arrays and plain objects of these.",
    cause,
  });
}

/** Throws {@link MalformedError} where the bytes are not JSON. */
export function decodeJson(bytes: Uint8Array): Json {
  const text = decodeText(bytes);
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new MalformedError("not JSON", { cause });
  }
}

/** One text for all values that are equal, whatever order their keys have. The value must be plain data. */
export function canonicalJson(value: Json): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) {
    return `[${(value as readonly Json[]).map((inner) => canonicalJson(inner)).join(",")}]`;
  }
  const object = value as { readonly [key: string]: Json };
  const fields = Object.keys(object)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key]!)}`);
  return `{${fields.join(",")}}`;
}
