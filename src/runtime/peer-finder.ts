/**
 * Finds out which agents listen at addresses that were given without names: dials each until somebody of this cluster
 * says who it is.
 */
import type { QuorateError } from "../core/errors.ts";
import { agentId, type AgentId } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { formatAddress, type HostPort } from "./address.ts";
import { BackOff } from "./back-off.ts";
import { noSource, type Connection } from "./connection.ts";
import { dial } from "./dial.ts";
import type { Welcome } from "./handshake.ts";
import type { Logger } from "./logger.ts";

export interface PeerFinderOptions {
  readonly self: AgentId;
  readonly cluster: Uint8Array;
  readonly addresses: readonly HostPort[];
  readonly logger: Logger;
  /** Called once for each address where another agent of this cluster listens. */
  readonly found: (peer: AgentId, address: HostPort) => void;
}

/** One address that nobody has answered for yet. */
interface Search {
  readonly address: HostPort;
  readonly backOff: BackOff;
  connection: Connection | undefined;
  retry: NodeJS.Timeout | undefined;
  /** The last complaint, so that the same one is one line in the log and not one per attempt. */
  complaint: string;
}

export class PeerFinder {
  readonly #options: PeerFinderOptions;
  readonly #searches = new Set<Search>();

  constructor(options: PeerFinderOptions) {
    this.#options = options;
    for (const address of options.addresses) {
      const backOff = new BackOff();
      this.#searches.add({ address, backOff, connection: undefined, retry: undefined, complaint: "" });
    }
  }

  start(): void {
    for (const search of this.#searches) this.#ask(search);
  }

  /** Nothing is dialled or found any more. */
  close(): void {
    const searches = [...this.#searches];
    this.#searches.clear();
    for (const { connection, retry } of searches) {
      clearTimeout(retry);
      connection?.close("the agent closes");
    }
  }

  #ask(search: Search): void {
    const { self, cluster } = this.#options;
    search.connection = dial({
      to: search.address,
      // As a client: those who do not know this agent yet would not welcome it as a peer.
      hello: {
        role: "client",
        cluster,
        from: self,
        to: "",
      },
      source: noSource,
      frameBytesMax: limits.handshakeBytesMax,
      welcomed: (welcome, connection) => {
        connection.close("all is said");
        this.#answered(search, welcome);
        return { frame: () => {}, closed: () => {} };
      },
      failed: (error) => this.#failed(search, error),
    });
  }

  #answered(search: Search, welcome: Welcome): void {
    if (!this.#searches.delete(search)) return;
    const peer = agentId(welcome.agent);
    const { self, logger, found } = this.#options;
    // A list of the whole cluster is welcome: this agent's own address is no peer's.
    if (peer === self) return;
    logger.info(`${formatAddress(search.address)} is ${peer}`);
    found(peer, search.address);
  }

  #failed(search: Search, error: QuorateError): void {
    if (!this.#searches.has(search)) return;
    search.connection = undefined;
    if (search.complaint !== error.message) this.#options.logger.warn(error.message);
    search.complaint = error.message;
    search.retry = setTimeout(() => this.#ask(search), search.backOff.next());
  }
}
