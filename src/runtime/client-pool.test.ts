/** Finding an agent that answers among several, some of which do not. */
import { createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { FakeAgent } from "../../test/support/fake-agent.ts";
import { failure, freePort } from "../../test/support/runtime.ts";
import { ClientPool } from "./client-pool.ts";

describe("connecting", () => {
  test("a stopped process, which accepts and says nothing, keeps nobody from the next agent", async () => {
    const agent = await new FakeAgent("agent_1", await freePort()).start();
    agent.host();
    const port = await freePort();
    const stopped = createServer();
    await new Promise<void>((resolve) => stopped.listen(port, "127.0.0.1", resolve));
    onTestFinished(() => void stopped.close());
    const silent = `127.0.0.1:${port}`;
    const { pool, report } = await ClientPool.connect({ agents: [silent, silent, agent.address] });
    pool.close();
    expect(report.agent).toBe("agent_1");
    const error = await failure(async () => ClientPool.connect({ agents: [silent], connectTimeoutMs: 50 }));
    expect([error.code, error.message]).toEqual(["CANNOT_CONNECT", expect.stringContaining("within 50 ms")]);
  });
});
