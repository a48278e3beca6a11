/** An agent that answers nonsense: whoever asked hears of it, and is not left waiting. */
import { expect, onTestFinished, test } from "vitest";
import { FakeAgent } from "../../test/support/fake-agent.ts";
import { freePort, until } from "../../test/support/runtime.ts";
import { logIndex } from "../core/ids.ts";
import type { AppliedRun } from "../driver/hosted.ts";
import { ClientPool } from "./client-pool.ts";

test("a question whose answer can't be read ends as lost, and the link with it; the next link answers", async () => {
  const agent = await new FakeAgent("agent_1", await freePort()).start();
  const group = agent.host();
  group.apply(1, 1, new Uint8Array(3));
  group.withoutEffect.add(1);
  const pool = new ClientPool({ agents: [agent.address] });
  onTestFinished(() => pool.close());
  const gateway = pool.gateway("main");
  let links = 0;
  gateway.listen({
    answered: () => {},
    refused: () => {},
    progressed: () => {},
    interrupted: () => (links += 1),
    statusChanged: () => {},
    closed: () => {},
  });
  await until(() => links === 1, "an agent is found");
  const sound = group.entries(logIndex(1)) as AppliedRun;
  group.entries = () => {
    group.entries = () => sound;
    return { ...sound, withoutEffect: [logIndex(99)] };
  };
  const got: unknown[] = [];
  gateway.entries(1, (result) => got.push(result));
  await until(() => links === 2, "there is another link");
  expect(got).toEqual([{ kind: "lost" }]);
  gateway.entries(1, (result) => got.push(result));
  await until(() => got.length === 2, "it is answered");
  expect(got[1]).toMatchObject({ kind: "entries", withoutEffect: [1] });
});
