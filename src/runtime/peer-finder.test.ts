/** Real agents' sockets on loopback: who listens at an address is learned from what answers there, however late. */
import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { FakeAgent, testCluster } from "../../test/support/fake-agent.ts";
import { freePort, until } from "../../test/support/runtime.ts";
import { loopbackAddress } from "./address.ts";
import { PeerFinder } from "./peer-finder.ts";

/** Lets `agent` look at these ports; whom it finds becomes its peer. */
function seek(agent: FakeAgent, ports: readonly number[]): string[] {
  const found: string[] = [];
  const finder = new PeerFinder({
    self: agent.id,
    cluster: testCluster,
    addresses: ports.map((port) => loopbackAddress(`127.0.0.1:${port}`)),
    logger: agent.notes,
    found: (peer, address) => {
      found.push(`${peer} ${address.port}`);
      agent.network.add(peer, address);
    },
  });
  onTestFinished(() => finder.close());
  finder.start();
  return found;
}

test("agents that were given addresses only find each other and are linked, whoever starts first", async () => {
  const ports = [await freePort(), await freePort(), await freePort()];
  const agents = ports.map((port, place) => new FakeAgent(`agent_${place + 1}`, port));
  for (const agent of agents) {
    await agent.start();
    seek(agent, ports);
  }
  for (const agent of agents) {
    const others = agents.filter((other) => other !== agent).map(({ id }) => `${id} up`);
    await until(() => others.every((line) => agent.links.includes(line)), `${agent.id} is linked`);
  }
  for (const agent of agents) expect(agent.network.status().filter(({ id }) => id === agent.id)).toEqual([]);
});

test("where nobody listens yet there is one complaint, and the agent is found once it is there", async () => {
  const [own, late] = [await freePort(), await freePort()];
  const agent = await new FakeAgent("agent_1", own).start();
  const found = seek(agent, [late]);
  await until(() => agent.notes.count("No agent answers") > 0, "a complaint");
  await new FakeAgent("agent_2", late).start();
  await until(() => found.length > 0, "the agent is found");
  expect(found).toEqual([`agent_2 ${late}`]);
  expect(agent.notes.count("No agent answers")).toBe(1);
});

test("an agent of another cluster is no peer, and neither is what is no agent", async () => {
  const [own, foreign] = [await freePort(), await freePort()];
  await new FakeAgent("agent_2", foreign, {}, new Uint8Array(16).fill(9)).start();
  const web = createServer((socket) => {
    socket.on("error", () => {});
    socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  onTestFinished(() => void web.close());
  const strange = await freePort();
  await new Promise<void>((resolve) => {
    web.listen(strange, "127.0.0.1", resolve);
  });
  const agent = await new FakeAgent("agent_1", own).start();
  const found = seek(agent, [foreign, strange]);
  await until(() => agent.notes.count("belongs to another cluster") > 0, "a complaint about the cluster");
  await until(() => agent.notes.count("is not a Quorate agent") > 0, "a complaint about the stranger");
  expect(found).toEqual([]);
});

test("closed, it finds nobody any more", async () => {
  const [own, other] = [await freePort(), await freePort()];
  const agent = await new FakeAgent("agent_1", own).start();
  const found: string[] = [];
  const finder = new PeerFinder({
    self: agent.id,
    cluster: testCluster,
    addresses: [loopbackAddress(`127.0.0.1:${other}`)],
    logger: agent.notes,
    found: (peer) => found.push(peer),
  });
  finder.start();
  await until(() => agent.notes.count("No agent answers") > 0, "it has looked once");
  finder.close();
  await new FakeAgent("agent_2", other).start();
  // Whoever would look now would meet this one: it answers, and nobody asks.
  const witness = seek(agent, [other]);
  await until(() => witness.length > 0, "another one finds it");
  expect(found).toEqual([]);
});
