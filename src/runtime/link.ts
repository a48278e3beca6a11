/**
 * The link to one peer: two connections, `control` for urgent messages and the log, `bulk` for what may take long. The
 * agent with the smaller id dials both and dials again when one is lost; the other waits for them. The link is up while
 * both are.
 */
import { assert } from "../core/assert.ts";
import { limits } from "../core/limits.ts";
import type { QuorateError } from "../core/errors.ts";
import type { AgentId } from "../core/ids.ts";
import type { WireVersion } from "../core/wire-version.ts";
import type { HostPort } from "./address.ts";
import { BackOff } from "./back-off.ts";
import type { Connection, ConnectionHandler, FrameSource } from "./connection.ts";
import { dial } from "./dial.ts";
import type { Frame, OutgoingFrame } from "./frame.ts";
import type { ConnectionRole } from "./handshake.ts";
import type { Logger } from "./logger.ts";
import { PeerQueue } from "./peer-queue.ts";

export type PeerRole = Exclude<ConnectionRole, "client">;

const pingMs = 1000;

export interface LinkOptions {
  readonly self: AgentId;
  readonly peer: AgentId;
  readonly cluster: Uint8Array;
  readonly address: HostPort;
  /** Speak no version above this one. */
  readonly versionMax: WireVersion;
  readonly logger: Logger;
  /** This agent's public key. */
  readonly key?: Uint8Array | undefined;
  /** Why a peer with that key must not be talked to. */
  readonly admit: (peer: AgentId, key: Uint8Array | undefined) => QuorateError | undefined;
  /** What came, in the version of its connection. Throws `MalformedError` to have the connection closed. */
  readonly frame: (from: AgentId, frame: Frame, version: WireVersion) => void;
  readonly changed: (peer: AgentId, up: boolean) => void;
}

/** What to do with a connection that a peer dialled. */
export interface Accepted {
  readonly handler: ConnectionHandler;
  readonly source: FrameSource;
}

/** One of the two connections. */
class Lane {
  readonly queue = new PeerQueue();
  /** The one that is open, and the version that both sides speak on it. */
  open: { readonly connection: Connection; readonly version: WireVersion } | undefined;
  dialling: Connection | undefined;
  retry: NodeJS.Timeout | undefined;
  readonly backOff = new BackOff();
}

export class Link {
  readonly peer: AgentId;
  /** Where the peer listens. */
  readonly address: HostPort;
  /** Whether this side dials. */
  readonly dials: boolean;
  readonly #options: LinkOptions;
  readonly #lanes: Readonly<Record<PeerRole, Lane>> = { control: new Lane(), bulk: new Lane() };
  #closed = false;
  #up = false;
  /** The last complaint, so that a peer that stays away is one line in the log, not one per attempt. */
  #complaint = "";

  constructor(options: LinkOptions) {
    this.#options = options;
    this.peer = options.peer;
    this.address = options.address;
    this.dials = options.self < options.peer;
  }

  get isUp(): boolean {
    return this.#up;
  }

  get queuedBytes(): number {
    return this.#lanes.control.queue.byteLength + this.#lanes.bulk.queue.byteLength;
  }

  get dropped(): number {
    return this.#lanes.control.queue.dropped + this.#lanes.bulk.queue.dropped;
  }

  /** Begins to dial, if this side does. */
  start(): void {
    if (!this.dials) return;
    this.#dial("control");
    this.#dial("bulk");
  }

  /** The version in which frames are to be encoded that leave there now; undefined without a connection. */
  versionOf(role: PeerRole): WireVersion | undefined {
    return this.#lanes[role].open?.version;
  }

  /**
   * Queues a frame for the connection that is open, in whose version it is encoded: what is left in the queue when that
   * one is lost or replaced is dropped, since the next may have another version. Whoever sent it repeats it.
   */
  send(frame: OutgoingFrame, role: PeerRole, urgent: boolean): void {
    const lane = this.#lanes[role];
    assert(lane.open !== undefined, "a frame is encoded for a connection that is open");
    lane.queue.push(frame, urgent);
  }

  /** Counts a message that can't be sent: there is no connection, or the peer's version does not have it. */
  drop(role: PeerRole): void {
    this.#lanes[role].queue.drop();
  }

  /** Since when a frame has been waiting for others to leave with, on `performance.now()`; undefined: none has. */
  lazySinceMs: number | undefined;

  flush(): void {
    this.lazySinceMs = undefined;
    this.#lanes.control.open?.connection.flush();
    this.#lanes.bulk.open?.connection.flush();
  }

  /** The peer dialled: its newest connection replaces an older one, which it has given up. */
  accept(connection: Connection, role: PeerRole, version: WireVersion): Accepted {
    const lane = this.#lanes[role];
    const before = lane.open;
    const handler = this.#opened(lane, role, connection, version);
    before?.connection.close("a newer connection replaces it");
    return { handler, source: lane.queue };
  }

  close(): void {
    this.#closed = true;
    for (const lane of Object.values(this.#lanes)) {
      clearTimeout(lane.retry);
      lane.dialling?.close("the agent closes");
      lane.open?.connection.close("the agent closes");
      lane.open = undefined;
      lane.queue.clear();
    }
    this.#up = false;
  }

  #dial(role: PeerRole): void {
    const lane = this.#lanes[role];
    const { self, peer, cluster, versionMax, key, admit } = this.#options;
    lane.retry = undefined;
    lane.dialling = dial({
      to: this.address,
      hello: {
        role,
        cluster,
        from: self,
        to: peer,
        ...(key !== undefined && { key }),
      },
      versionMax,
      source: lane.queue,
      frameBytesMax: limits.frameBytesMax,
      welcomed: (welcome, connection, version) => {
        const refusal = admit(peer, welcome.key);
        if (refusal !== undefined) throw refusal;
        lane.dialling = undefined;
        lane.backOff.reset();
        return this.#opened(lane, role, connection, version);
      },
      failed: (error) => {
        lane.dialling = undefined;
        if (this.#closed) return;
        this.#complain(error.message);
        this.#dialLater(lane, role);
      },
    });
  }

  #dialLater(lane: Lane, role: PeerRole): void {
    if (this.#closed || !this.dials || lane.retry !== undefined) return;
    lane.retry = setTimeout(() => this.#dial(role), lane.backOff.next());
  }

  #opened(lane: Lane, role: PeerRole, connection: Connection, version: WireVersion): ConnectionHandler {
    lane.queue.clear();
    lane.open = { connection, version };
    connection.keepAlive(pingMs, limits.linkSilenceMsMax);
    this.#update("");
    return {
      frame: (frame) => this.#options.frame(this.peer, frame, version),
      closed: (reason, malformed) => {
        if (malformed) {
          this.#options.logger.warn(`closed the ${role} connection with ${this.peer}: ${reason}`);
        }
        if (lane.open?.connection !== connection) return;
        lane.open = undefined;
        lane.queue.clear();
        this.#update(reason);
        this.#dialLater(lane, role);
      },
    };
  }

  #update(reason: string): void {
    const { control, bulk } = this.#lanes;
    const up = control.open !== undefined && bulk.open !== undefined;
    if (up === this.#up || this.#closed) return;
    this.#up = up;
    if (up) {
      this.#complaint = "";
      this.#options.logger.info(`the link to ${this.peer} is up`);
    } else this.#complain(reason);
    this.#options.changed(this.peer, up);
  }

  #complain(reason: string): void {
    if (this.#complaint === reason) return;
    this.#complaint = reason;
    this.#options.logger.warn(`the link to ${this.peer} is down: ${reason}`);
  }
}
