/** The named machines of one group, found by the bytes of their names, so that no text is made per command. */
import { type AnyStateMachine, assert, encodeText } from "../core/index.ts";

export interface NamedMachine {
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly machine: AnyStateMachine;
  /** A snapshot of the machine as it was given: what it is set to where a snapshot does not know it. */
  readonly blank: readonly Uint8Array[];
}

export class Machines {
  /** In the order of their names: every agent writes and compares them in the same one. */
  readonly all: readonly NamedMachine[];

  constructor(machines: Readonly<Record<string, AnyStateMachine>>) {
    this.all = Object.keys(machines)
      .toSorted()
      .map((name) => {
        const nameBytes = encodeText(name);
        assert(nameBytes.length <= 255, "a machine's name takes at most 255 bytes");
        const machine = machines[name]!;
        return { name, nameBytes, machine, blank: [...machine.snapshot()] };
      });
  }

  find(bytes: Uint8Array, from: number, to: number): NamedMachine | undefined {
    for (const named of this.all) if (isAt(named.nameBytes, bytes, from, to)) return named;
    return undefined;
  }

  named(name: string): NamedMachine | undefined {
    return this.all.find((named) => named.name === name);
  }
}

function isAt(name: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let at = 0; at < name.length; at++) if (name[at] !== bytes[from + at]) return false;
  return true;
}
