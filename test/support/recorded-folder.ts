/** A data folder that an earlier program left, made again from the bytes that were recorded of it. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "./runtime.ts";

/** `vectors`: a file of test/vectors in the form that its first lines tell. Returns the folder's path. */
export function recordedFolder(vectors: string): string {
  const folder = join(temporaryFolder(), "agent");
  const text = readFileSync(new URL(`../vectors/${vectors}`, import.meta.url), "utf8");
  for (const block of text.split("\n\n").slice(1)) {
    const [title = "", ...lines] = block.trim().split("\n");
    const [, name = "", length = "0"] = title.split(" ");
    const bytes = Buffer.alloc(Number(length));
    for (const line of lines) {
      const [offset, digits = ""] = line.split(" ");
      bytes.write(digits, Number(offset), "hex");
    }
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, bytes, { mode: 0o600 });
  }
  return folder;
}
