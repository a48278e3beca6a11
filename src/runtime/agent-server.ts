/**
 * Where others reach an agent: one TCP port and one Unix socket, for peers and clients alike. The first frame says who
 * it is and in which version; whoever does not fit is told why and closed.
 */
import { chmodSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { equalBytes } from "../core/bytes.ts";
import { MalformedError, QuorateError } from "../core/errors.ts";
import type { AgentId } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { wireVersionMax, wireVersionMin, type WireVersion } from "../core/wire-version.ts";
import { formatAddress, type HostPort } from "./address.ts";
import { ClientConnection, type ClientHost } from "./client-connection.ts";
import { Connection, type ConnectionHandler } from "./connection.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import {
  anyCluster,
  commonVersion,
  decodeHello,
  encodeRefuse,
  encodeWelcome,
  type Hello,
  type Refuse,
} from "./handshake.ts";
import { describeError, type Logger } from "./logger.ts";
import type { TcpNetwork } from "./tcp-network.ts";

/** What a client may send in one frame: a batch of commands with some room for what is around it. */
const clientFrameBytesMax: number = limits.batchBytesMax * 2;

export interface AgentServerOptions {
  readonly agent: AgentId;
  readonly cluster: Uint8Array;
  readonly network: TcpNetwork;
  readonly clients: Omit<ClientHost, "gone" | "held">;
  /** Speak no version above this one. Default: the newest. */
  readonly wireVersionMax?: WireVersion;
  readonly logger: Logger;
}

export class AgentServer {
  readonly #options: AgentServerOptions;
  readonly #versionMax: WireVersion;
  readonly #servers: Server[] = [];
  readonly #strangers = new Set<Connection>();
  readonly #clients = new Set<ClientConnection>();
  /** Bytes of decided answers that wait for all clients. */
  #heldBytes = 0;
  #closed = false;

  constructor(options: AgentServerOptions) {
    this.#options = options;
    this.#versionMax = options.wireVersionMax ?? wireVersionMax;
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  /** Rejects with `ADDRESS_IN_USE`, `DENIED` or `BAD_OPTION`. Resolves to the address with its actual port. */
  async listen({ host, port }: HostPort): Promise<string> {
    const server = await this.#listen((created) => created.listen({ host, port, exclusive: true }), {
      what: formatAddress({ host, port }),
      hint: "Stop what listens there, or give this agent another port.",
    });
    return formatAddress({ host, port: (server.address() as AddressInfo).port });
  }

  /** The same for a Unix socket, which only this user may use. */
  async listenAt(path: string): Promise<void> {
    await this.#listen((created) => created.listen(path), {
      what: path,
      hint: "Another program has made a socket of that name; remove it if nothing uses it.",
    });
    if (process.platform !== "win32") chmodSync(path, 0o600);
  }

  /** Stops listening and closes every connection of a client. Resolves when the ports are free. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const stranger of this.#strangers) stranger.close("the agent closes");
    for (const client of this.#clients) client.close("the agent closes");
    const servers = this.#servers.splice(0);
    await Promise.all(servers.map(async (server) => new Promise((resolve) => server.close(resolve))));
  }

  async #listen(start: (server: Server) => void, about: { what: string; hint: string }): Promise<Server> {
    return new Promise((resolve, reject) => {
      const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
      server.once("error", (cause: NodeJS.ErrnoException) =>
        reject(listenError(cause, about.what, about.hint)),
      );
      server.once("listening", () => {
        server.removeAllListeners("error");
        // Too many open files, for example: whoever wanted to connect tries again.
        server.on("error", (error) => this.#options.logger.warn(`listening: ${describeError(error)}`));
        this.#servers.push(server);
        resolve(server);
      });
      start(server);
    });
  }

  #accept(socket: Socket): void {
    if (this.#closed || this.#strangers.size >= limits.strangersMax) {
      socket.on("error", () => {});
      socket.destroy();
      return;
    }
    const where =
      socket.remoteAddress === undefined ? "a local socket" : `${socket.remoteAddress}:${socket.remotePort}`;
    const done = (): void => {
      clearTimeout(timer);
      this.#strangers.delete(connection);
    };
    const stranger: ConnectionHandler = {
      frame: (frame) => {
        done();
        this.#greet(frame, connection, where);
      },
      closed: (reason, malformed) => {
        done();
        if (malformed) this.#options.logger.warn(`closed a connection from ${where}: ${reason}`);
      },
    };
    const connection = new Connection(socket, stranger, limits.handshakeBytesMax);
    const timer = setTimeout(() => connection.close("it did not say hello", true), limits.handshakeMsMax);
    timer.unref();
    this.#strangers.add(connection);
  }

  #greet(frame: Frame, connection: Connection, where: string): void {
    if (frame.kind !== "hello") throw new MalformedError("the first frame is not a hello");
    const hello = decodeHello(frame.head);
    const { agent, cluster, network } = this.#options;
    const version = this.#versionWith(hello);
    if (typeof version !== "number") {
      this.#options.logger.warn(`refused ${hello.from || "a client"} from ${where}: ${version.message}`);
      connection.end(encodeFrame("refuse", "", encodeRefuse(version)).parts, "refused");
      return;
    }
    const welcome = encodeFrame(
      "welcome",
      "",
      encodeWelcome({ version, cluster, agent, ...(network.key !== undefined && { key: network.key }) }),
    );
    connection.sendAtOnce(welcome.parts);
    if (hello.role === "client") this.#welcomeClient(connection, where, version);
    else {
      const { handler, source } = network.accept(hello.from, hello.role, connection, version);
      connection.use(handler, limits.frameBytesMax, source);
    }
  }

  /** The version to speak, or why it is refused. */
  #versionWith(hello: Hello): WireVersion | Refuse {
    const version = commonVersion(hello, this.#versionMax);
    if (version !== undefined) return this.#refusal(hello) ?? version;
    const message = `this agent speaks versions ${wireVersionMin} to ${this.#versionMax} of the wire protocol, the other side ${hello.versionMin} to ${hello.versionMax}`;
    return { code: "PROTOCOL", message };
  }

  #refusal(hello: Hello): Refuse | undefined {
    const { agent, cluster, network } = this.#options;
    const isClient = hello.role === "client";
    const anyIsFine = isClient && equalBytes(hello.cluster, anyCluster);
    if (!anyIsFine && !equalBytes(hello.cluster, cluster)) {
      return { code: "DENIED", message: "this agent belongs to another cluster" };
    }
    if (hello.to !== "" && hello.to !== agent) {
      return { code: "DENIED", message: `this is agent ${agent}, not ${hello.to}` };
    }
    if (!isClient && !network.awaits(hello.from)) {
      return { code: "DENIED", message: `${hello.from} is no peer that this agent waits for` };
    }
    const stranger = isClient ? undefined : network.admit(hello.from as AgentId, hello.key);
    if (stranger !== undefined)
      return { code: stranger.code, message: `${stranger.message} ${stranger.hint}` };
    if (isClient && this.#clients.size >= limits.clientConnectionsMax) {
      return { code: "OVERLOADED", message: `${limits.clientConnectionsMax} clients are connected already` };
    }
    return undefined;
  }

  #welcomeClient(connection: Connection, where: string, version: WireVersion): void {
    const { clients, logger } = this.#options;
    const client = new ClientConnection(version, {
      hub: (group) => clients.hub(group),
      report: (group) => clients.report(group),
      waiting: (waiter) => clients.waiting(waiter),
      held: (byBytes) => this.#held(byBytes),
      gone: (gone) => this.#clients.delete(gone),
    });
    this.#clients.add(client);
    client.attach(connection);
    const handler: ConnectionHandler = {
      frame: (frame) => client.frame(frame),
      drained: () => client.drained(),
      closed: (reason, malformed) => {
        if (malformed) logger.warn(`closed the connection of a client from ${where}: ${reason}`);
        client.closed();
      },
    };
    connection.use(handler, clientFrameBytesMax, client);
  }

  #held(byBytes: number): void {
    this.#heldBytes += byBytes;
    if (this.#heldBytes <= limits.agentAnswersBytesMax) return;
    slowest(this.#clients)?.giveUp("too many clients do not read their answers, and most waits for this one");
  }
}

/** The client for which most waits. */
function slowest(clients: Iterable<ClientConnection>): ClientConnection | undefined {
  let found: ClientConnection | undefined;
  for (const client of clients) {
    if (found === undefined || client.heldBytes > found.heldBytes) found = client;
  }
  return found;
}

/** Why it is not possible to listen on `what`: `ADDRESS_IN_USE`, `DENIED` or `BAD_OPTION`. */
export function listenError(cause: NodeJS.ErrnoException, what: string, hint: string): QuorateError {
  if (cause.code === "EADDRINUSE") {
    return new QuorateError("ADDRESS_IN_USE", `Something listens on ${what} already.`, {
      outcome: "notDone",
      hint,
      cause,
    });
  }
  if (cause.code === "EACCES" || cause.code === "EPERM") {
    return new QuorateError("DENIED", `This user may not listen on ${what}.`, {
      outcome: "notDone",
      hint: "Use a port above 1023, or a folder that this user may write to.",
      cause,
    });
  }
  return new QuorateError("BAD_OPTION", `It is not possible to listen on ${what}: ${cause.message}.`, {
    outcome: "notDone",
    hint: "Check the host's name and the port.",
    cause,
  });
}
