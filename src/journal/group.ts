import { assert } from "../core/assert.ts";
import type { GroupName } from "../core/ids.ts";
import { encodeText } from "../core/text.ts";
import { RunIndex } from "./run-index.ts";

/** What the journal knows of one group. */
export class Group {
  readonly name: GroupName;
  /** As blocks have it: length, then UTF-8. */
  readonly encodedName: Uint8Array;
  readonly index: RunIndex = new RunIndex();
  // Invariant: needed − 1 <= durable <= written <= last.
  /** Number of the last record appended. */
  last = 0;
  /** Number of the last record that a block with it has been written for. */
  written = 0;
  /** Number of the last record that has been synced. */
  durable = 0;
  /** Recovery needs no record below this one. */
  needed = 1;
  /** Records are missing, or may be. */
  damaged = false;

  constructor(name: GroupName) {
    const text = encodeText(name);
    assert(text.length >= 1 && text.length <= 255, "a group's name has 1 to 255 bytes");
    this.name = name;
    this.encodedName = new Uint8Array(1 + text.length);
    this.encodedName[0] = text.length;
    this.encodedName.set(text, 1);
  }
}
