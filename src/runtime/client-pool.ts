/** A client's links, one per agent, shared by the groups that it uses; and the addresses that it knows. */
import { QuorateError } from "../core/errors.ts";
import { groupName } from "../core/ids.ts";
import { dialAddress, isDialAddress, type HostPort } from "./address.ts";
import { ClientLink } from "./client-link.ts";
import { readStatusReport, type StatusReport } from "./client-wire.ts";
import { anyCluster } from "./handshake.ts";
import { RemoteGateway } from "./remote-gateway.ts";

export interface ClientOptions {
  /** `host:port`, or the path of a Unix socket (whatever has a slash in it). At least one. */
  readonly agents: readonly string[];
  /** Stay with the first agent that answers rather than go where the leader is. */
  readonly pin?: boolean;
  /** Only agents of this cluster; otherwise whichever they belong to. */
  readonly cluster?: Uint8Array;
  /** For the agents' logs. */
  readonly name?: string;
  /** How long `connect` looks for an agent that answers. Default 5,000 ms. */
  readonly connectTimeoutMs?: number;
}

/** Somebody who waits for a link, or uses it. */
export interface LinkWatcher {
  opened(link: ClientLink): void;
  lost(error: QuorateError): void;
}

interface Shared {
  readonly link: ClientLink;
  readonly watchers: Set<LinkWatcher>;
}

const defaultConnectTimeoutMs = 5000;
/** After so long without a word from one agent, the next is asked as well. */
const silenceMs = 200;

export class ClientPool {
  readonly pin: boolean;
  readonly #options: ClientOptions;
  readonly #links = new Map<string, Shared>();
  readonly #gateways = new Set<RemoteGateway>();
  readonly #learnt = new Map<string, string>();
  #closed = false;

  /** Does no I/O by itself. Throws `BAD_OPTION` where an address is none, `DENIED` where it is beyond this machine. */
  constructor(options: ClientOptions) {
    if (options.agents.length === 0) {
      throw new QuorateError("BAD_OPTION", "There is no agent to connect to.", {
        outcome: "notDone",
        hint: "Give at least one address, like 127.0.0.1:7400.",
      });
    }
    for (const agent of options.agents) targetOf(agent);
    this.#options = options;
    this.pin = options.pin ?? false;
  }

  /** Resolves once an agent answered. Rejects with `CANNOT_CONNECT`, `PROTOCOL`, `DENIED` … of the last that did not. */
  static async connect(options: ClientOptions): Promise<{ pool: ClientPool; report: StatusReport }> {
    const pool = new ClientPool(options);
    return { pool, report: await pool.open() };
  }

  /** The same for a pool that is there already; closed meanwhile, it may never settle. */
  async open(): Promise<StatusReport> {
    try {
      return await this.#firstReport();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Addresses to try, those given first. */
  targets(): readonly string[] {
    const { agents } = this.#options;
    return this.pin ? agents : [...new Set([...agents, ...this.#learnt.values()])];
  }

  /** Where that agent listens, if that is known. */
  addressOf(agent: string): string | undefined {
    return this.#learnt.get(agent);
  }

  /** Remembers the addresses that an agent tells; whatever it says, nothing leaves this machine. */
  learn(report: StatusReport): void {
    for (const { id, address } of report.agents) if (isDialAddress(address)) this.#learnt.set(id, address);
  }

  /** A new way into a group; closed with the pool. Throws `BAD_NAME`. */
  gateway(group: string): RemoteGateway {
    const gateway = new RemoteGateway(this, groupName(group), () => this.#gateways.delete(gateway));
    this.#gateways.add(gateway);
    if (this.#closed) gateway.close();
    return gateway;
  }

  /** Uses the link to that address, dialling if there is none. Returns how to stop; the last one to stop closes it. */
  watch(target: string, watcher: LinkWatcher): () => void {
    const shared = this.#links.get(target) ?? this.#dial(target);
    shared.watchers.add(watcher);
    if (shared.link.isOpen) setImmediate(() => shared.watchers.has(watcher) && watcher.opened(shared.link));
    return () => {
      if (!shared.watchers.delete(watcher) || shared.watchers.size > 0) return;
      if (this.#links.get(target) === shared) this.#links.delete(target);
      shared.link.close("it is no longer needed");
    };
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const gateway of this.#gateways) gateway.close();
    for (const { link } of this.#links.values()) link.close("the client closes");
    this.#links.clear();
  }

  #dial(target: string): Shared {
    const watchers = new Set<LinkWatcher>();
    const link = new ClientLink({
      to: targetOf(target),
      cluster: this.#options.cluster ?? anyCluster,
      name: this.#options.name ?? "",
      opened: () => {
        // Later, so that what the link itself does on opening is done.
        setImmediate(() => {
          for (const watcher of watchers) if (link.isOpen) watcher.opened(link);
        });
      },
      closed: (error) => {
        if (this.#links.get(target) === shared) this.#links.delete(target);
        const left = [...watchers];
        watchers.clear();
        for (const watcher of left) watcher.lost(error);
      },
    });
    const shared: Shared = { link, watchers };
    this.#links.set(target, shared);
    return shared;
  }

  /** Asks one after another, the next as soon as one has failed or has been silent for a while: a stopped process accepts, and says nothing. */
  async #firstReport(): Promise<StatusReport> {
    const { agents, connectTimeoutMs: timeoutMs = defaultConnectTimeoutMs } = this.#options;
    const endsAt = performance.now() + timeoutMs;
    return new Promise((resolve, reject) => {
      let asked = 0;
      let failed = 0;
      let patience: NodeJS.Timeout | undefined;
      const askNext = (): void => {
        clearTimeout(patience);
        const target = this.#closed ? undefined : agents[asked];
        if (target === undefined) return;
        asked += 1;
        if (asked < agents.length) patience = setTimeout(askNext, silenceMs);
        this.#reportFrom(target, Math.max(1, endsAt - performance.now())).then(
          (report) => {
            clearTimeout(patience);
            resolve(report);
          },
          (error: QuorateError) => {
            failed += 1;
            if (failed === agents.length) reject(error);
            else askNext();
          },
        );
      };
      askNext();
    });
  }

  async #reportFrom(target: string, timeoutMs: number): Promise<StatusReport> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        clearTimeout(timer);
        action();
        // Later, so that whoever connects may use the same link.
        setImmediate(stop);
      };
      const fail = (error: QuorateError): void => settle(() => reject(error));
      const stop = this.watch(target, {
        opened: (link) => {
          link.request(
            "status",
            "statusAnswer",
            "",
            (writer) => writer.uint8(0),
            (answer) => {
              if (answer === undefined) return;
              const report = readStatusReport(answer);
              this.learn(report);
              settle(() => resolve(report));
            },
          );
        },
        lost: fail,
      });
      const timer = setTimeout(() => fail(silentAgent(target, timeoutMs)), timeoutMs);
    });
  }
}

/** A path has a slash in it (or, on Windows, a backslash), an address has none; a URL is neither. */
function targetOf(agent: string): string | HostPort {
  const isPath = /[/\\]/.test(agent) && !/^[a-z]{2,}:\/\//i.test(agent);
  return isPath ? agent : dialAddress(agent, "address of an agent");
}

function silentAgent(target: string, timeoutMs: number): QuorateError {
  return new QuorateError(
    "CANNOT_CONNECT",
    `No agent answers at ${target} within ${Math.ceil(timeoutMs)} ms.`,
    {
      outcome: "notDone",
      hint: "Start it, for example with `quorate up`, or check the address.",
    },
  );
}
