import { describe, expect, test } from "vitest";
import { failure } from "../../test/support/runtime.ts";
import type { AgentId, GroupName } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { Scheduler } from "../driver/world.ts";
import { MemoryNetwork, type MemoryPort } from "./memory-network.ts";

/** Tasks that run when the test says so. */
class Steps implements Scheduler {
  readonly #tasks: (() => void)[] = [];

  soon(task: () => void): void {
    this.#tasks.push(task);
  }

  at(): () => void {
    throw new Error("the network has no timers");
  }

  run(): void {
    for (const task of this.#tasks.splice(0)) task();
  }
}

const group = "g" as GroupName;

class Agent {
  readonly log: string[] = [];
  readonly port: MemoryPort;
  readonly id: AgentId;

  constructor(network: MemoryNetwork, name: string, steps: Steps) {
    this.id = name as AgentId;
    this.port = network.join(this.id, steps, {
      receive: (from, _group, message) => this.log.push(`${from}: ${(message as { text: string }).text}`),
      linkChanged: (peer, up) => this.log.push(`${peer} ${up ? "up" : "down"}`),
      heard: (peer) => this.log.push(`${peer} heard`),
    });
  }

  say(to: Agent, text: string): void {
    this.port.send(to.id, group, "stream", { text });
  }
}

function three(): { network: MemoryNetwork; steps: Steps; agents: [Agent, Agent, Agent] } {
  const network = new MemoryNetwork();
  const steps = new Steps();
  const agents: [Agent, Agent, Agent] = [
    new Agent(network, "a", steps),
    new Agent(network, "b", steps),
    new Agent(network, "c", steps),
  ];
  steps.run();
  for (const agent of agents) agent.log.splice(0);
  return { network, steps, agents };
}

describe("the network within one process", () => {
  test("tells everybody who is there", () => {
    const network = new MemoryNetwork();
    const steps = new Steps();
    const a = new Agent(network, "a", steps);
    const b = new Agent(network, "b", steps);
    steps.run();
    expect(a.log).toEqual(["b up"]);
    expect(b.log).toEqual(["a up"]);
  });

  test("delivers in order, each in a turn of the receiver and never inside a send", () => {
    const { steps, agents } = three();
    const [a, b, c] = agents;
    a.say(b, "1");
    a.say(b, "2");
    c.say(b, "3");
    expect(b.log).toEqual([]);
    steps.run();
    expect(b.log).toEqual(["a: 1", "a: 2", "c: 3"]);
  });

  test("hands a message over as it is", () => {
    const { network, steps } = three();
    let got: object | undefined;
    network.join("d" as AgentId, steps, {
      receive: (_from, _group, message) => (got = message),
      linkChanged: () => {},
      heard: () => {},
    });
    const deaf = { receive: () => {}, linkChanged: () => {}, heard: () => {} };
    const port = network.join("e" as AgentId, steps, deaf);
    const message = { text: "the same object" };
    port.send("d" as AgentId, group, "urgent", message);
    steps.run();
    expect(got).toBe(message);
  });

  test("whoever leaves gets nothing more, and the others hear of it", () => {
    const { steps, agents } = three();
    const [a, b, c] = agents;
    a.say(b, "lost");
    b.say(a, "gets through");
    b.port.close();
    b.port.close();
    b.say(a, "from the grave");
    a.say(b, "to the grave");
    steps.run();
    expect(b.log).toEqual([]);
    expect(a.log.toSorted()).toEqual(["b down", "b: gets through"]);
    expect(c.log).toEqual(["b down"]);
  });

  test("a name is taken while its agent is there, and free after", async () => {
    const { network, steps, agents } = three();
    const error = await failure(() => new Agent(network, "b", steps));
    expect(error.code).toBe("GROUP_MISMATCH");
    agents[1].port.close();
    const again = new Agent(network, "b", steps);
    steps.run();
    agents[0].say(again, "hello");
    steps.run();
    expect(again.log).toContain("a: hello");
  });

  test("a connection that is cut loses messages both ways until it is mended", () => {
    const { network, steps, agents } = three();
    const [a, b, c] = agents;
    network.setConnected("a", "b", false);
    network.setConnected("b", "a", false);
    a.say(b, "lost");
    b.say(a, "lost too");
    c.say(b, "not concerned");
    steps.run();
    expect(a.log).toEqual(["b down"]);
    expect(b.log.toSorted()).toEqual(["a down", "c: not concerned"]);
    network.setConnected("a", "b", true);
    a.say(b, "again");
    steps.run();
    expect(b.log.slice(2).toSorted()).toEqual(["a up", "a: again"]);
  });

  test("a slow agent's letters are bounded: what is too much is lost, as on any network", () => {
    const { steps, agents } = three();
    const [a, b] = agents;
    for (let count = 0; count < limits.memoryLettersMax + 10; count++) a.say(b, String(count));
    steps.run();
    expect(b.log).toHaveLength(limits.memoryLettersMax);
    a.say(b, "later");
    steps.run();
    expect(b.log.at(-1)).toBe("a: later");
  });

  test("a message to nobody is lost", () => {
    const { steps, agents } = three();
    agents[0].port.send("nobody" as AgentId, group, "stream", {});
    agents[0].port.flush();
    steps.run();
    expect(agents.map(({ log }) => log)).toEqual([[], [], []]);
  });
});
