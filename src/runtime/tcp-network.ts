/** The driver's `Network` over TCP: one link per peer, and the messages of all groups on it. */
import { present } from "../core/assert.ts";
import { emptyBytes } from "../core/bytes.ts";
import type { Channel } from "../core/boundary.ts";
import { MalformedError, type QuorateError } from "../core/errors.ts";
import type { Address, AgentId, GroupName } from "../core/ids.ts";
import { wireVersionMax, type WireVersion } from "../core/wire-version.ts";
import type { MessageCodec } from "../driver/transfer-messages.ts";
import type { Network } from "../driver/world.ts";
import { formatAddress, type HostPort } from "./address.ts";
import type { AgentAddress } from "./cluster-file.ts";
import type { Connection } from "./connection.ts";
import { encodeFrame, hasFrame, type Frame, type OutgoingFrame } from "./frame.ts";
import { Link, type Accepted, type PeerRole } from "./link.ts";
import type { Logger } from "./logger.ts";
import type { PeerKeys } from "./peer-keys.ts";

/** What a network tells whoever drives the groups. */
export interface NetworkEvents {
  receive(from: AgentId, group: GroupName, message: object): void;
  linkChanged(peer: AgentId, up: boolean): void;
  /** A pulse came from that agent. */
  heard(peer: AgentId): void;
}

export interface LinkStatus {
  readonly id: string;
  readonly up: boolean;
  /** Of the wire; undefined where nothing can be said to the peer. */
  readonly version: WireVersion | undefined;
  readonly queuedBytes: number;
  /** Messages: for lack of room or of a connection, or because the peer's version does not have them. */
  readonly dropped: number;
}

export interface TcpNetworkOptions {
  readonly self: AgentId;
  readonly cluster: Uint8Array;
  /** Where the others listen. */
  readonly peers: ReadonlyMap<AgentId, HostPort>;
  /** Speak no version above this one. Default: the newest. */
  readonly wireVersionMax?: WireVersion;
  readonly logger: Logger;
  /** This agent's public key, and who its peers are by theirs. Absent: nobody shows or checks one. */
  readonly key?: Uint8Array;
  readonly keys?: PeerKeys;
  readonly events: NetworkEvents;
}

/** How long a `lazy` message waits for company: little to a reader of its state, and several appends under load. */
const lazyMs = 4;
const pulseFrame = encodeFrame("pulse", "", emptyBytes);

export class TcpNetwork implements Network {
  readonly #options: TcpNetworkOptions;
  readonly #links = new Map<string, Link>();
  readonly #codecs = new Map<string, MessageCodec>();
  /** Links with something to send, each once. */
  readonly #waiting: Link[] = [];
  /** Encoded last in this turn: a leader sends the same message to every peer that is as far. */
  #last:
    | {
        readonly message: object;
        readonly group: GroupName;
        readonly version: WireVersion;
        readonly frame: OutgoingFrame;
      }
    | undefined;
  #lazyTimer: NodeJS.Timeout | undefined;
  readonly #flushLazy = (): void => this.#sendLazy();
  #started = false;
  #closed = false;

  constructor(options: TcpNetworkOptions) {
    this.#options = options;
    for (const [peer, address] of options.peers) this.add(peer, address);
  }

  /** One more peer, from now on. One that is known keeps the address that it has. */
  add(peer: AgentId, address: HostPort): void {
    if (this.#closed || this.#links.has(peer)) return;
    const { self, cluster, logger, events } = this.#options;
    const link = new Link({
      self,
      peer,
      cluster,
      address,
      versionMax: this.#options.wireVersionMax ?? wireVersionMax,
      logger,
      key: this.#options.key,
      admit: (id, key) => this.admit(id, key),
      frame: (from, frame, version) => this.#frame(from, frame, version),
      changed: (id, up) => {
        if (!this.#closed) events.linkChanged(id, up);
      },
    });
    this.#links.set(peer, link);
    if (this.#started) link.start();
  }

  /** That peer listens there, whatever was known before. */
  move(peer: AgentId, address: HostPort): void {
    const link = this.#links.get(peer);
    if (link !== undefined && formatAddress(link.address) !== formatAddress(address)) {
      link.close();
      this.#links.delete(peer);
    }
    this.add(peer, address);
  }

  /** Messages of this group are encoded so. Before its group is hosted, and until it is closed. */
  register(group: GroupName, codec: MessageCodec): void {
    this.#codecs.set(group, codec);
  }

  unregister(group: GroupName): void {
    this.#codecs.delete(group);
  }

  start(): void {
    this.#started = true;
    for (const link of this.#links.values()) link.start();
  }

  send(to: AgentId | Address, group: GroupName, channel: Channel, message: object): void {
    const link = this.#links.get(to);
    const codec = this.#codecs.get(group);
    if (link === undefined || codec === undefined) return;
    const role = channel === "bulk" ? "bulk" : "control";
    const version = link.versionOf(role);
    const frame = version === undefined ? undefined : this.#frameOf(message, group, codec, version);
    if (frame === undefined) {
      link.drop(role);
      return;
    }
    link.send(frame, role, channel === "urgent" || channel === "lazy");
    if (channel === "lazy") this.#flushLater(link);
    else this.#wait(link);
  }

  pulse(to: AgentId): void {
    const link = this.#links.get(to);
    const version = link?.versionOf("control");
    if (link === undefined || version === undefined || !hasFrame(version, "pulse")) return;
    link.send(pulseFrame, "control", true);
    this.#wait(link);
  }

  #wait(link: Link): void {
    if (!this.#waiting.includes(link)) this.#waiting.push(link);
  }

  versionOf(to: AgentId): WireVersion | undefined {
    return this.#links.get(to)?.versionOf("control");
  }

  flush(): void {
    for (const link of this.#waiting) link.flush();
    this.#waiting.length = 0;
    this.#last = undefined;
  }

  /** Why that peer, with that key, must not be talked to; undefined where it may. */
  admit(peer: AgentId, key: Uint8Array | undefined): QuorateError | undefined {
    return this.#options.keys?.admit(peer, key);
  }

  get key(): Uint8Array | undefined {
    return this.#options.key;
  }

  /** Whether that peer is known, and is the one of the two that dials. */
  awaits(peer: string): boolean {
    return this.#links.get(peer)?.dials === false;
  }

  /** A peer that dialled and was welcomed. */
  accept(peer: string, role: PeerRole, connection: Connection, version: WireVersion): Accepted {
    const link = present(this.#links.get(peer), "a peer is checked before it is welcomed");
    return link.accept(connection, role, version);
  }

  /** Where that peer listens; undefined where it is not known. */
  addressOf(peer: AgentId): string | undefined {
    const link = this.#links.get(peer);
    return link === undefined ? undefined : formatAddress(link.address);
  }

  /** Every peer that it knows, and where it listens. */
  get peers(): AgentAddress[] {
    return [...this.#links.values()].map(({ peer, address }) => ({
      id: peer,
      address: formatAddress(address),
    }));
  }

  /** Per peer: whether its link is up and in which version, how much waits for it, and how many messages were dropped. */
  status(): LinkStatus[] {
    return [...this.#links.values()].map((link) => ({
      id: link.peer,
      up: link.isUp,
      version: link.versionOf("control"),
      queuedBytes: link.queuedBytes,
      dropped: link.dropped,
    }));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#lazyTimer);
    for (const link of this.#links.values()) link.close();
    this.#waiting.length = 0;
  }

  #flushLater(link: Link): void {
    link.lazySinceMs ??= performance.now();
    this.#lazyTimer ??= setTimeout(this.#flushLazy, lazyMs).unref();
  }

  /** Whatever has waited for long enough leaves alone. Under load there is none: something else has taken it along. */
  #sendLazy(): void {
    this.#lazyTimer = undefined;
    const nowMs = performance.now();
    let longestMs = 0;
    for (const link of this.#links.values()) {
      const waitedMs = link.lazySinceMs === undefined ? 0 : nowMs - link.lazySinceMs;
      if (waitedMs >= lazyMs) link.flush();
      else longestMs = Math.max(longestMs, waitedMs);
    }
    if (longestMs > 0) this.#lazyTimer = setTimeout(this.#flushLazy, lazyMs - longestMs).unref();
  }

  #frameOf(
    message: object,
    group: GroupName,
    codec: MessageCodec,
    version: WireVersion,
  ): OutgoingFrame | undefined {
    const last = this.#last;
    if (last?.message === message && last.group === group && last.version === version) return last.frame;
    const encoded = codec.encodeMessage(message, version);
    if (encoded === undefined) return undefined;
    const frame = encodeFrame("message", group, encoded.head, encoded.tail);
    this.#last = { message, group, version, frame };
    return frame;
  }

  #frame(from: AgentId, frame: Frame, version: WireVersion): void {
    if (frame.kind === "pulse" && hasFrame(version, "pulse")) {
      this.#options.events.heard(from);
      return;
    }
    if (frame.kind !== "message") throw new MalformedError(`a frame of kind ${frame.kind} from a peer`);
    const codec = this.#codecs.get(frame.group);
    // A group that this agent does not host, or not yet: the peer repeats what matters.
    if (codec === undefined || this.#closed) return;
    const message = codec.decodeMessage(frame.head, frame.tail, version);
    this.#options.events.receive(from, frame.group as GroupName, message);
  }
}
