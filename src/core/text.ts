/**
 * UTF-8. The two classes are part of every JavaScript engine, but TypeScript knows them only through the libraries
 * of the browser and of Node, which the pure folders must not name.
 */
import { MalformedError } from "./errors.ts";

interface Encoder {
  encode(text: string): Uint8Array;
}
interface Decoder {
  decode(bytes: Uint8Array): string;
}
declare const TextEncoder: new () => Encoder;
declare const TextDecoder: new (label: "utf-8", options: { fatal: boolean; ignoreBOM: boolean }) => Decoder;

const encoder = new TextEncoder();
// `ignoreBOM` keeps a leading byte-order mark in the text: what was put in must come out.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Throws {@link MalformedError} where the bytes are not UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new MalformedError("not UTF-8", { cause });
  }
}
