/**
 * UTF-8. The two classes are part of every JavaScript engine, but TypeScript knows them only through the libraries
 * of the browser and of Node, which the pure folders must not name.
 */
import { MalformedError } from "./errors.ts";

interface Encoder {
  encode(text: string): Uint8Array;
  encodeInto(text: string, into: Uint8Array): { readonly written: number };
}
interface Decoder {
  decode(bytes: Uint8Array): string;
}
declare const TextEncoder: new () => Encoder;
declare const TextDecoder: new (label: "utf-8", options: { fatal: boolean; ignoreBOM: boolean }) => Decoder;

const encoder = new TextEncoder();
// `ignoreBOM` keeps a leading byte-order mark in the text: what was put in must come out.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One character of a string takes at most so many bytes. */
export const utf8BytesMax = 3;

/** Most texts are short. Encoded here and copied, they take a quarter of the time that an array from the engine does. */
const short = new Uint8Array(256);
const shortCharactersMax: number = short.length / utf8BytesMax;

export function encodeText(text: string): Uint8Array {
  if (text.length > shortCharactersMax) return encoder.encode(text);
  return short.slice(0, encoder.encodeInto(text, short).written);
}

/** Writes the text at `at`, where there must be room for `utf8BytesMax` bytes a character. Gives how many bytes it took. */
export function encodeTextInto(text: string, bytes: Uint8Array, at: number): number {
  return encoder.encodeInto(text, bytes.subarray(at)).written;
}

/** Whether UTF-8 can carry it: that has no form for half of a surrogate pair. */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** Throws {@link MalformedError} where the bytes are not UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new MalformedError("not UTF-8", { cause });
  }
}
