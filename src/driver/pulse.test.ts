/** One pulse per pair of agents: when it leaves, whom it tells of whose silence, and what it does not take for one. */
import { describe, expect, it } from "vitest";
import type { Hibernation } from "../core/boundary.ts";
import { agentId, never, type AgentId, type Micros } from "../core/ids.ts";
import { Pulse } from "./pulse.ts";

const [a, b, c] = ["a", "b", "c"].map(agentId) as [AgentId, AgentId, AgentId];

function sleepWith(...present: AgentId[]): Hibernation {
  return { present, pulseInterval: 50 as Micros, silence: 150 as Micros };
}

/** Groups are names here. */
function watch() {
  const log: string[] = [];
  const pulse = new Pulse<string>({
    send: (peer) => log.push(`to ${peer}`),
    fellSilent: (group, peer) => log.push(`${group}: ${peer} is silent`),
  });
  return {
    pulse,
    sleep: (group: string, hibernation: Hibernation, now = 0) =>
      pulse.replace(group, undefined, hibernation, now as Micros),
    wake: (group: string, hibernation: Hibernation, now = 0) =>
      pulse.replace(group, hibernation, undefined, now as Micros),
    /** What a pulse at `now` does. */
    beat: (now: number) => {
      log.length = 0;
      pulse.beat(now as Micros);
      return [...log];
    },
  };
}

describe("D50: pulses", () => {
  it("leave for each peer once, however many groups count on it, and for nobody else", () => {
    const { pulse, sleep, beat } = watch();
    expect(pulse.deadline).toBe(never);
    sleep("g", sleepWith(a, b));
    sleep("h", sleepWith(b));
    expect(pulse.deadline).toBe(50);
    expect(beat(50).toSorted()).toEqual(["to a", "to b"]);
    expect(pulse.deadline).toBe(100);
  });

  it("end with the last sleep that counts on somebody", () => {
    const { pulse, sleep, wake, beat } = watch();
    const [first, second, alone] = [sleepWith(a), sleepWith(a), sleepWith()];
    sleep("g", first);
    sleep("h", second);
    sleep("one member", alone);
    wake("g", first);
    expect(beat(50)).toEqual(["to a"]);
    wake("h", second, 60);
    expect(pulse.deadline).toBe(never);
    wake("one member", alone, 60);
    expect(pulse.deadline).toBe(never);
  });

  it("are as frequent as the most impatient of the groups asks for, and no longer than it sleeps", () => {
    const { pulse, sleep, wake } = watch();
    const impatient: Hibernation = { ...sleepWith(a), pulseInterval: 10 as Micros };
    sleep("g", sleepWith(a));
    sleep("h", impatient, 20);
    expect(pulse.deadline).toBe(30);
    pulse.beat(30 as Micros);
    expect(pulse.deadline).toBe(40);
    wake("h", impatient, 31);
    pulse.beat(40 as Micros);
    expect(pulse.deadline).toBe(90);
  });
});

describe("D51: silence", () => {
  it("is told to each group that counts on that peer, once, after as long as it allows", () => {
    const { sleep, beat, pulse } = watch();
    sleep("g", sleepWith(a));
    sleep("patient", { ...sleepWith(a), silence: 200 as Micros });
    sleep("other", sleepWith(b));
    const said: string[][] = [];
    for (let now = 50; now <= 300; now += 50) {
      pulse.heard(b);
      said.push(beat(now).filter((line) => line.includes("silent")));
    }
    expect(said).toEqual([[], [], ["g: a is silent"], ["patient: a is silent"], [], []]);
  });

  it("ends with any word of just that peer", () => {
    const { sleep, beat, pulse } = watch();
    sleep("g", sleepWith(a));
    beat(50);
    beat(100);
    pulse.heard(a);
    pulse.heard(c);
    beat(150);
    beat(200);
    beat(250);
    expect(beat(300)).toContain("g: a is silent");
    expect(pulse.isSilent(a, 150 as Micros)).toBe(true);
    pulse.heard(b);
    expect(pulse.isSilent(a, 150 as Micros)).toBe(true);
    pulse.heard(a);
    expect(pulse.isSilent(a, 150 as Micros)).toBe(false);
    expect(beat(350)).toEqual(["to a"]);
  });

  it("is told again where the peer was heard meanwhile, and to groups that fall asleep in it", () => {
    const { sleep, beat, pulse } = watch();
    sleep("g", sleepWith(a));
    for (const now of [50, 100, 150]) beat(now);
    sleep("late", sleepWith(a), 160);
    expect(beat(200)).toEqual(["late: a is silent", "to a"]);
    pulse.heard(a);
    for (const now of [250, 300, 350]) expect(beat(now)).toEqual(["to a"]);
    expect(beat(400).toSorted()).toEqual(["g: a is silent", "late: a is silent", "to a"]);
  });

  it("is not what an agent makes of its own sleep: a pulse that is late counts nothing", () => {
    const { sleep, beat } = watch();
    sleep("g", sleepWith(a));
    beat(50);
    beat(100);
    expect(beat(100_000)).toEqual(["to a"]);
    expect(beat(100_050)).toContain("g: a is silent");
  });

  it("of one that a group no longer counts on is none of its business", () => {
    const { sleep, beat, pulse } = watch();
    const both = sleepWith(a, b);
    sleep("g", both);
    pulse.replace("g", both, sleepWith(b), 10 as Micros);
    for (const now of [50, 100, 150, 200]) {
      pulse.heard(b);
      expect(beat(now)).toEqual(["to b"]);
    }
  });
});
