/**
 * What the map's keys held after each decided command: a second, plain opinion beside the state machine, and the measure
 * for reads.
 */
import { equalBytes } from "../core/bytes.ts";
import { mapAnswerCodec, mapCommandCodec, recordValue, type MapCommand } from "../state/map-codec.ts";
import { Violation } from "./violation.ts";

/** A key from the command at `index` on; no value: the key is absent. */
interface Version {
  readonly index: number;
  readonly value: Uint8Array | undefined;
}

export class MapModel {
  readonly #keys = new Map<string, Version[]>();
  #through = 0;

  /** A command that took effect at `index`, with the machine's answer. Every agent tells it; the first one counts. */
  applied(index: number, commandBytes: Uint8Array, answerBytes: Uint8Array): void {
    if (index <= this.#through) return;
    this.#through = index;
    const command = mapCommandCodec.decode(commandBytes);
    const answer = mapAnswerCodec.decode(answerBytes);
    const expected = this.#apply(index, command);
    const version = "version" in answer ? answer.version : 0;
    if (answer.kind === expected.kind && version === expected.version) return;
    throw new Violation(
      "equalDigests",
      `the map answered ${answer.kind} ${version} at ${index}, the model ${expected.kind} ${expected.version}`,
    );
  }

  #apply(index: number, command: MapCommand): { readonly kind: string; readonly version: number } {
    const versions = this.#versions(command.key);
    const now = versions.at(-1);
    const version = now?.value === undefined ? 0 : now.index;
    switch (command.kind) {
      case "put":
        versions.push({ index, value: recordValue(command.record) });
        return { kind: "put", version: index };
      case "delete":
        if (version === 0) return { kind: "absent", version: 0 };
        versions.push({ index, value: undefined });
        return { kind: "deleted", version: 0 };
      case "cas":
        if (version !== command.expectedVersion) return { kind: "conflict", version };
        versions.push({ index, value: recordValue(command.record) });
        return { kind: "swapped", version: index };
    }
  }

  /**
   * A linearizable read of `key` gave this version (0: absent). It must be what the key held at some point at or after
   * `floor`: the highest index that anybody had been told of when the read began.
   */
  checkRead(key: string, version: number, value: Uint8Array | undefined, floor: number): void {
    const versions = this.#versions(key);
    let until = Number.POSITIVE_INFINITY;
    for (let at = versions.length - 1; at >= 0; at--) {
      const found = versions[at] as Version;
      if (until <= floor) break;
      const same = found.value === undefined ? version === 0 : found.index === version;
      if (same) {
        if (found.value === undefined || (value !== undefined && equalBytes(found.value, value))) return;
        throw new Violation(
          "linearizable",
          `a read of ${key} gave another value than version ${version} has`,
        );
      }
      until = found.index;
    }
    if (version === 0 && until > floor && (versions[0]?.index ?? Number.POSITIVE_INFINITY) === until) return;
    throw new Violation(
      "linearizable",
      `a read of ${key} gave version ${version}, which index ${floor} had made history`,
    );
  }

  #versions(key: string): Version[] {
    let versions = this.#keys.get(key);
    if (versions === undefined) {
      versions = [];
      this.#keys.set(key, versions);
    }
    return versions;
  }
}
