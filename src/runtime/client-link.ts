/**
 * A client's connection to one agent, shared by all groups that are reached through it. Pipelined: requests leave as they
 * come, those of one turn of the event loop in one write, and answers come in any order.
 */
import type { Refusal } from "../core/boundary.ts";
import { ByteReader } from "../core/bytes.ts";
import type { ProgressState } from "../core/decision.ts";
import { MalformedError, type QuorateError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { NumberTable } from "../core/number-table.ts";
import { wireVersionMin, type WireVersion } from "../core/wire-version.ts";
import type { HostPort } from "./address.ts";
import {
  proposeFlags,
  readAnswers,
  readFailure,
  readProgress,
  readRefusals,
  readStatusReport,
  type Failure,
  type StatusReport,
} from "./client-wire.ts";
import type { Connection, ConnectionHandler, FrameSource } from "./connection.ts";
import { dial, unreachableAgent } from "./dial.ts";
import { FrameWriter, hasFrame, type Frame, type FrameKind } from "./frame.ts";
import type { Cancel, ProposeOptions } from "./gateway.ts";
import type { Welcome } from "./handshake.ts";

const pingMs = 300;

/** Somebody who uses the link for one group. */
export interface LinkUser {
  readonly group: string;
  answered(session: number, sequence: number, answer: Uint8Array): void;
  refused(session: number, sequence: number, refusal: Refusal): void;
  progressed(session: number, sequence: number, state: ProgressState): void;
  /** The agent tells on its own that its status changed. */
  reported(report: StatusReport): void;
  /** The agent does not host the group, or no longer. */
  groupFailed(failure: Failure): void;
}

/** `notInVersion`: the agent is not asked at all, since the version that it speaks has no such request. */
export type LinkFailure = Failure | "notInVersion";

/** `undefined`: the link broke, or the agent could not answer for the reason given. */
export type Settle = (
  answer: ByteReader | undefined,
  tail: Uint8Array,
  failure: LinkFailure | undefined,
) => void;

interface Request {
  readonly answerKind: FrameKind;
  readonly settle: Settle;
}

export interface ClientLinkOptions {
  readonly to: string | HostPort;
  readonly cluster: Uint8Array;
  /** For the agent's log. */
  readonly name: string;
  readonly opened: (welcome: Welcome) => void;
  /** Called once, also where it was never opened. */
  readonly closed: (error: QuorateError) => void;
}

const noBytes = new Uint8Array(0);

export class ClientLink implements ConnectionHandler, FrameSource {
  readonly #options: ClientLinkOptions;
  readonly #connection: Connection;
  readonly #writer = new FrameWriter();
  readonly #users = new Map<string, Set<LinkUser>>();
  readonly #requests = new NumberTable<Request>();
  readonly #flushNow = (): void => {
    this.#flushScheduled = false;
    this.#connection.flush();
  };
  /** What both sides speak. Until that is known, only what every version has may be said. */
  #version: WireVersion = wireVersionMin;
  #lastRequest = 0;
  #isOpen = false;
  #flushScheduled = false;

  constructor(options: ClientLinkOptions) {
    this.#options = options;
    this.#connection = dial({
      to: options.to,
      hello: {
        role: "client",
        cluster: options.cluster,
        from: options.name,
        to: "",
      },
      source: this,
      frameBytesMax: limits.frameBytesMax,
      welcomed: (welcome, connection, version) => {
        this.#isOpen = true;
        this.#version = version;
        connection.keepAlive(pingMs, limits.clientSilenceMsMax);
        options.opened(welcome);
        return this;
      },
      failed: (error) => options.closed(error),
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get version(): WireVersion {
    return this.#version;
  }

  /** Bytes that wait for the socket. */
  get queuedBytes(): number {
    return this.#writer.byteLength + this.#connection.unsentBytes;
  }

  use(user: LinkUser): Cancel {
    const users = this.#users.get(user.group) ?? new Set();
    this.#users.set(user.group, users.add(user));
    return () => {
      users.delete(user);
      if (users.size === 0 && this.#users.get(user.group) === users) this.#users.delete(user.group);
    };
  }

  /**
   * Hands over the first of the commands, as far as there is room; gives how many. All or none would be none for ever, where
   * together they are more than there can be room for.
   */
  propose(group: string, commands: readonly Uint8Array[], options?: ProposeOptions): number {
    const writer = this.#writer;
    const flags = proposeFlags(options);
    let room = limits.linkQueueBytesMax - this.queuedBytes;
    let taken = 0;
    let begun = false;
    for (const command of commands) {
      room -= command.length;
      if (room < 0) break;
      taken += 1;
      if (begun && writer.openBytes + command.length > limits.batchBytesMax) {
        writer.end();
        begun = false;
      }
      if (!begun) writer.begin("propose", group).uint8(flags);
      begun = true;
      writer.raw(command);
    }
    if (begun) writer.end();
    this.#flushSoon();
    return taken;
  }

  /** Sends a request; `settle` is called once, unless it is cancelled before. */
  request(
    kind: FrameKind,
    answerKind: FrameKind,
    group: string,
    write: (writer: FrameWriter) => void,
    settle: Settle,
  ): Cancel {
    if (!hasFrame(this.#version, kind)) {
      const refusing = setImmediate(() => settle(undefined, noBytes, "notInVersion"));
      return () => clearImmediate(refusing);
    }
    const number = this.#nextNumber();
    this.#requests.add(number, { answerKind, settle });
    write(this.#writer.begin(kind, group).uint32(number));
    this.#writer.end();
    this.#flushSoon();
    return () => {
      if (this.#requests.delete(number) === undefined || !this.#isOpen) return;
      this.#writer.begin("cancel", group).uint32(number);
      this.#writer.end();
      this.#flushSoon();
    };
  }

  close(reason: string): void {
    this.#connection.close(reason);
  }

  // ── for the connection ──

  take(): readonly Uint8Array[] {
    const bytes = this.#isOpen ? this.#writer.take() : undefined;
    return bytes === undefined ? [] : [bytes];
  }

  left(): void {
    this.#writer.reclaim();
  }

  frame(frame: Frame): void {
    const { kind, group, head } = frame;
    if (kind === "answers") {
      const users = this.#users.get(group);
      if (users === undefined) return;
      readAnswers(head, (session, sequence, answer) => {
        for (const user of users) user.answered(session, sequence, answer);
      });
    } else if (kind === "refusals") {
      readRefusals(head, this.#version, (session, sequence, refusal) => {
        for (const user of this.#users.get(group) ?? []) user.refused(session, sequence, refusal);
      });
    } else if (kind === "progress") {
      readProgress(head, (session, sequence, state) => {
        for (const user of this.#users.get(group) ?? []) user.progressed(session, sequence, state);
      });
    } else this.#answer(frame);
  }

  closed(reason: string): void {
    this.#isOpen = false;
    this.#writer.take();
    const requests = this.#requests.toArray();
    this.#requests.clear();
    for (const { settle } of requests) settle(undefined, noBytes, undefined);
    this.#users.clear();
    this.#options.closed(unreachableAgent(this.#options.to, reason));
  }

  // ── inside ──

  #answer(frame: Frame): void {
    const reader = new ByteReader(frame.head);
    const number = reader.uint32();
    if (number === 0) {
      this.#told(frame, reader);
      return;
    }
    const request = this.#requests.get(number);
    if (request === undefined) {
      // Taken back before the answer came; any other number was never given to a request.
      if (number > this.#lastRequest) throw new MalformedError("an answer to nothing that was asked");
      return;
    }
    if (frame.kind === "failed") {
      this.#requests.delete(number);
      request.settle(undefined, noBytes, readFailure(reader));
    } else if (frame.kind === request.answerKind) {
      this.#requests.delete(number);
      request.settle(reader, frame.tail, undefined);
    } else throw new MalformedError(`a frame of kind ${frame.kind} answers something else`);
  }

  /** What an agent says on its own. */
  #told(frame: Frame, reader: ByteReader): void {
    const users = this.#users.get(frame.group) ?? [];
    if (frame.kind === "failed") {
      const failure = readFailure(reader);
      for (const user of users) user.groupFailed(failure);
    } else if (frame.kind === "statusAnswer") {
      const report = readStatusReport(reader);
      for (const user of users) user.reported(report);
    } else throw new MalformedError(`a frame of kind ${frame.kind} without a request`);
  }

  /** 1 to 2^31; numbers of long polls that are still under way are skipped. */
  #nextNumber(): number {
    do this.#lastRequest = this.#lastRequest >= 0x8000_0000 ? 1 : this.#lastRequest + 1;
    while (this.#requests.has(this.#lastRequest));
    return this.#lastRequest;
  }

  #flushSoon(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // Behind the promise callbacks of this turn, whose calls leave in the same write, and ahead of the next wait for events.
    process.nextTick(this.#flushNow);
  }
}
