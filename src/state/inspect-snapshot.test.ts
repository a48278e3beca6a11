/** A snapshot of whatever machines can be looked over, and one that is damaged in its form can't. */
import { describe, expect, it } from "vitest";
import { Counter } from "../../test/support/counter.ts";
import { recut, StateLog, value } from "../../test/support/state-log.ts";
import { MalformedError } from "../core/index.ts";
import { inspectSnapshot } from "./inspect-snapshot.ts";
import { mapMachine } from "./map.ts";
import { mapCommands } from "./map-codec.ts";

function sample(): StateLog {
  const log = new StateLog({ map: mapMachine(), own: new Counter() });
  const session = log.open(5);
  for (let key = 1; key <= 30; key++) {
    log.command(session, key, mapCommands.put(`key ${key}`, value("x")), { requestId: `r${key}` });
  }
  return log;
}

describe("a look into a snapshot", () => {
  it("tells what is in it, however it is cut", () => {
    const { state } = sample();
    for (const pieceBytes of [7, 64, 1 << 20]) {
      const report = inspectSnapshot(recut(state.snapshot(), pieceBytes));
      expect(report).toMatchObject({ applied: 31, sessions: 1, requestIds: 30 });
      expect(report.digest).toEqual(state.digest());
      expect(report.machines.map(({ name }) => name)).toEqual(["", "map", "own"]);
    }
  });

  it("refuses what ends too early, or goes on", () => {
    const [whole] = recut(sample().state.snapshot(), 1 << 20) as [Uint8Array];
    for (let length = 0; length < whole.length; length++) {
      expect(() => inspectSnapshot([whole.subarray(0, length)])).toThrow(MalformedError);
    }
    expect(() => inspectSnapshot([whole, Uint8Array.of(0)])).toThrow(MalformedError);
  });
});
