/**
 * One client's connection, on the agent's side. Answers gather in one piece of memory and leave when the turn ends, in
 * one write. A client that does not read its answers, or asks for more than it may at a time, is itself read no further
 * until that is better; what it has asked meanwhile waits as a question, which is small, and not as an answer. A command
 * that is decided can't be asked again (its answer may be forgotten by then), so its answer waits as it is; and no more
 * commands are handed in than have answers that may wait.
 */
import { unreachable } from "../core/assert.ts";
import type { Refusal } from "../core/boundary.ts";
import type { ProgressState } from "../core/decision.ts";
import { entryKind, isProposable, splitCommands } from "../core/entry.ts";
import { MalformedError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import type { WireVersion } from "../core/wire-version.ts";
import { answerIndex, encodeAnswer } from "../state/index.ts";
import {
  decodeBackup,
  decodeBackupPiece,
  writeBackupAnswer,
  writeBackupPieceAnswer,
} from "./backup/backup-wire.ts";
import { ClientBackup } from "./backup/client-backup.ts";
import {
  decodeChanges,
  decodeEntries,
  decodeOrder,
  decodeQuery,
  decodeRequest,
  decodeStatusRequest,
  readProposeFlags,
  writeCampaignAnswer,
  writeChangesAnswer,
  writeEntriesAnswer,
  writeFailure,
  writeOrderAnswer,
  writeProgress,
  writeQueryAnswer,
  writeRefusal,
  writeStatusReport,
  type Failure,
  type StatusReport,
} from "./client-wire.ts";
import { ClientRequests } from "./client-requests.ts";
import { CommandWindow } from "./command-window.ts";
import type { Connection, ConnectionHandler, FrameSource } from "./connection.ts";
import { FrameWriter, hasFrame, type Frame, type FrameKind } from "./frame.ts";
import type { Cancel } from "./gateway.ts";
import type { GroupHub, Subscriber } from "./group-hub.ts";
import { WaitingAnswers } from "./waiting-answers.ts";

/** What a client's connection needs of its agent. */
export interface ClientHost {
  hub(group: string): GroupHub | undefined;
  report(group: GroupHub | undefined): StatusReport;
  /** This connection has something to send: flush it when the turn ends. */
  waiting(client: ClientConnection): void;
  /** So many bytes more, or fewer, wait for this connection's client. */
  held(byBytes: number): void;
  gone(client: ClientConnection): void;
}

/** A larger answer does not fit into a frame behind others. */
const answerBytesMax: number = limits.frameBytesMax - 2 * limits.answerFrameBytesMax;

/** Frames in which much of one kind gathers. */
type BatchKind = "answers" | "refusals" | "progress";

const clientKinds = [
  "propose",
  "query",
  "changes",
  "entries",
  "campaign",
  "status",
  "cancel",
  "order",
  "backup",
  "backupPiece",
] as const;
type ClientKind = (typeof clientKinds)[number];

function clientKind(kind: FrameKind, version: WireVersion): ClientKind {
  const found = hasFrame(version, kind) ? clientKinds.find((known) => known === kind) : undefined;
  if (found === undefined) throw new MalformedError(`a frame of kind ${kind} from a client`);
  return found;
}

/** One group as this client uses it. */
class Use implements Subscriber {
  readonly hub: GroupHub;
  readonly leave: Cancel;
  readonly #client: ClientConnection;
  watchesStatus = false;
  /** This client has asked for the progress of a command: only then does it know the frame. */
  tracks = false;

  constructor(client: ClientConnection, hub: GroupHub) {
    this.#client = client;
    this.hub = hub;
    this.leave = hub.subscribe(this);
  }

  answered(session: number, sequence: number, answer: Uint8Array): void {
    this.#client.answer(this.hub.name, session, sequence, answer);
  }

  refused(session: number, sequence: number, refusal: Refusal): void {
    this.#client.refuse(this.hub.name, session, sequence, refusal);
  }

  progressed(session: number, sequence: number, state: ProgressState): void {
    if (this.tracks) this.#client.progress(this.hub.name, session, sequence, state);
  }

  /** The client sees it from the status, which changed as well. */
  interrupted(): void {
    this.#client.interrupted();
  }

  statusChanged(): void {
    if (this.watchesStatus) this.#client.tellStatus(0, this.hub);
  }

  closed(): void {
    this.#client.groupClosed(this.hub);
  }
}

export class ClientConnection implements ConnectionHandler, FrameSource {
  readonly #version: WireVersion;
  readonly #host: ClientHost;
  readonly #uses = new Map<string, Use>();
  readonly #writer = new FrameWriter();
  readonly #requests = new ClientRequests(() => this.#isBehind);
  readonly #backup = new ClientBackup();
  readonly #commands = new CommandWindow();
  readonly #answers: WaitingAnswers;
  #connection: Connection | undefined;
  #open:
    | { readonly kind: BatchKind; readonly group: string; readonly refusal: Refusal | undefined }
    | undefined;
  /** Kept by {@link Outgoing}: it waits there for the end of the turn. */
  isOutgoing = false;
  #paused: NodeJS.Timeout | undefined;
  /** The client has taken so many bytes, and no more for so long. */
  #taken = 0;
  #untakenMs = 0;

  /** `version`: what both sides speak. */
  constructor(version: WireVersion, host: ClientHost) {
    this.#version = version;
    this.#host = host;
    this.#answers = new WaitingAnswers((byBytes) => host.held(byBytes));
  }

  /** Bytes of decided answers that wait for the client. */
  get heldBytes(): number {
    return this.#answers.byteLength;
  }

  /** Everything from the client comes through this connection. */
  attach(connection: Connection): void {
    this.#connection = connection;
  }

  flush(): void {
    this.#connection?.flush();
    this.#goOn();
  }

  /** Everything gathered, in one piece; then what waits, a frame at a time. */
  take(): readonly Uint8Array[] {
    if (this.#gatheredBytes === 0) this.#gatherWaiting();
    this.#closeBatch();
    const bytes = this.#writer.take();
    return bytes === undefined ? [] : [bytes];
  }

  left(): void {
    this.#writer.reclaim();
  }

  /** Called when the agent closes. */
  close(reason: string): void {
    this.#connection?.close(reason);
  }

  /** The client is at fault: it lets too much wait. */
  giveUp(reason: string): void {
    this.#answers.clear();
    this.#connection?.close(reason, true);
  }

  // ── what the client says ──

  frame(frame: Frame): void {
    const hub = this.#host.hub(frame.group);
    const kind = clientKind(frame.kind, this.#version);
    switch (kind) {
      case "propose":
        this.#propose(frame, hub);
        break;
      case "query":
        this.#query(frame, hub);
        break;
      case "changes":
        this.#changes(frame, hub);
        break;
      case "entries":
        this.#entries(frame, hub);
        break;
      case "campaign":
        this.#campaign(frame, hub);
        break;
      case "status":
        this.#status(frame, hub);
        break;
      case "cancel":
        this.#requests.cancel(decodeRequest(frame.head));
        break;
      case "order":
        this.#order(frame, hub);
        break;
      case "backup":
        this.#backUp(frame, hub);
        break;
      case "backupPiece":
        this.#backupPiece(frame, hub);
        break;
      default:
        unreachable(kind);
    }
    this.#throttle();
  }

  closed(): void {
    clearTimeout(this.#paused);
    this.#paused = undefined;
    this.#connection = undefined;
    this.#requests.clear();
    this.#backup.close();
    this.#answers.clear();
    for (const use of this.#uses.values()) use.leave();
    this.#uses.clear();
    this.#host.gone(this);
  }

  drained(): void {
    this.#goOn();
  }

  // ── what the groups tell ──

  answer(group: string, session: number, sequence: number, answer: Uint8Array): void {
    this.#commands.answered(answer.length);
    const fate = answer.length > answerBytesMax ? forgotten(answer) : answer;
    this.#tell(group, session, sequence, fate);
  }

  refuse(group: string, session: number, sequence: number, refusal: Refusal): void {
    this.#commands.refused();
    this.#tell(group, session, sequence, refusal);
  }

  progress(group: string, session: number, sequence: number, state: ProgressState): void {
    writeProgress(this.#batch("progress", group, undefined), session, sequence, state);
    this.#host.waiting(this);
  }

  interrupted(): void {
    this.#commands.forgetAll();
    this.#host.waiting(this);
  }

  tellStatus(request: number, hub: GroupHub): void {
    this.#send("statusAnswer", hub.name, (writer) => {
      writeStatusReport(writer.uint32(request), this.#host.report(hub));
    });
  }

  groupClosed(hub: GroupHub): void {
    this.#backup.close(hub.name);
    this.#uses.delete(hub.name);
    this.#commands.forgetAll();
    this.#fail(hub.name, 0, "closed");
  }

  // ── inside ──

  #use(hub: GroupHub): Use {
    const known = this.#uses.get(hub.name);
    if (known !== undefined) return known;
    const use = new Use(this, hub);
    this.#uses.set(hub.name, use);
    return use;
  }

  #propose(frame: Frame, hub: GroupHub | undefined): void {
    const options = readProposeFlags(frame.head[0] ?? 0xff);
    const commands = splitCommands(frame.head.subarray(1));
    for (const command of commands) checkKind(command);
    if (hub === undefined) this.#fail(frame.group, 0, "unknownGroup");
    else if (commands.length > 0) {
      const use = this.#use(hub);
      if (options.tracked) use.tracks = true;
      this.#commands.add(hub, use, commands, options);
      this.#handIn();
    }
  }

  #query(frame: Frame, hub: GroupHub | undefined): void {
    const { request, at, question } = decodeQuery(frame.head);
    this.#ask(request, frame.group, hub, (known, settle) => {
      known.query(question, at, (answer) => {
        settle("queryAnswer", (writer) => writeQueryAnswer(writer, answer, this.#version));
      });
      return undefined;
    });
  }

  #changes(frame: Frame, hub: GroupHub | undefined): void {
    const { request, from, filter } = decodeChanges(frame.head);
    // Asked again, it goes on where it was: the history before that may be gone.
    let next = from;
    this.#ask(request, frame.group, hub, (known, settle) =>
      known.changes(
        filter,
        next,
        (changes) => settle("changesAnswer", (writer) => writeChangesAnswer(writer, changes)),
        (through) => {
          next = through + 1;
        },
      ),
    );
  }

  #entries(frame: Frame, hub: GroupHub | undefined): void {
    const { request, from } = decodeEntries(frame.head);
    this.#ask(request, frame.group, hub, (known, settle) =>
      known.entries(from, (entries) => {
        settle("entriesAnswer", (writer) => writeEntriesAnswer(writer, entries));
      }),
    );
  }

  #campaign(frame: Frame, hub: GroupHub | undefined): void {
    this.#ask(
      decodeRequest(frame.head),
      frame.group,
      hub,
      (known, settle) =>
        known.campaign((result) => {
          if (result.kind === "lost") return;
          settle("campaignAnswer", (writer) => writeCampaignAnswer(writer, result, this.#version));
        }),
      false,
    );
  }

  #order(frame: Frame, hub: GroupHub | undefined): void {
    const { request, order } = decodeOrder(frame.head);
    this.#ask(
      request,
      frame.group,
      hub,
      (known, settle) => {
        known.order(order, (result) => {
          settle("orderAnswer", (writer) => writeOrderAnswer(writer, result, this.#version));
        });
        return undefined;
      },
      false,
    );
  }

  #backUp(frame: Frame, hub: GroupHub | undefined): void {
    const { request, at } = decodeBackup(frame.head);
    this.#ask(
      request,
      frame.group,
      hub,
      (known, settle) =>
        known.backUp(at, (result) => {
          if (result.kind === "opened") this.#backup.keep(known.name, result.backup);
          const answer =
            result.kind === "opened" ? { kind: "opened" as const, snapshot: result.backup.snapshot } : result;
          settle("backupAnswer", (writer) => writeBackupAnswer(writer, answer, this.#version));
        }),
      false,
    );
  }

  #backupPiece(frame: Frame, hub: GroupHub | undefined): void {
    const { request, number } = decodeBackupPiece(frame.head);
    this.#ask(request, frame.group, hub, (known, settle) => {
      // In a turn of its own: between two pieces the agent does what is urgent.
      setImmediate(() => {
        settle("backupPieceAnswer", (writer) => {
          writeBackupPieceAnswer(writer, this.#backup.piece(known.name, number));
        });
      });
      return undefined;
    });
  }

  #status(frame: Frame, hub: GroupHub | undefined): void {
    const { request, subscribe } = decodeStatusRequest(frame.head);
    if (frame.group === "") {
      this.#send("statusAnswer", "", (writer) => {
        writeStatusReport(writer.uint32(request), this.#host.report(undefined));
      });
    } else if (hub === undefined) this.#fail(frame.group, request, "unknownGroup");
    else {
      if (subscribe) this.#use(hub).watchesStatus = true;
      this.tellStatus(request, hub);
    }
  }

  /** Registers a request; `settle` sends its answer unless it was taken back meanwhile. */
  #ask(
    number: number,
    group: string,
    hub: GroupHub | undefined,
    begin: (
      hub: GroupHub,
      settle: (kind: FrameKind, write: (writer: FrameWriter) => void) => void,
    ) => Cancel | undefined,
    mayWait = true,
  ): void {
    if (this.#requests.has(number)) throw new MalformedError(`the request number ${number} is in use`);
    if (hub === undefined) {
      this.#fail(group, number, "unknownGroup");
      return;
    }
    if (this.#requests.isFull) {
      this.#fail(group, number, "overloaded");
      return;
    }
    this.#use(hub);
    this.#requests.ask(number, mayWait, (answer) =>
      begin(hub, (kind, write) => {
        answer(() => this.#send(kind, group, (writer) => write(writer.uint32(number))));
      }),
    );
  }

  /** So much waits for the client that another answer would only wait, too. */
  get #isBehind(): boolean {
    return this.#unsentBytes > limits.clientUnreadBytesMax;
  }

  get #unsentBytes(): number {
    return this.#gatheredBytes + this.#answers.byteLength + (this.#connection?.unsentBytes ?? 0);
  }

  get #gatheredBytes(): number {
    return this.#writer.byteLength + this.#writer.openBytes;
  }

  #tell(group: string, session: number, sequence: number, fate: Uint8Array | Refusal): void {
    if (this.#connection === undefined || this.#connection.isClosed) return;
    if (this.#answers.isEmpty && !this.#isBehind) this.#write(group, session, sequence, fate);
    else {
      this.#answers.push({ group, session, sequence, fate });
      this.#checkUnsent();
    }
    this.#host.waiting(this);
  }

  #checkUnsent(): void {
    if (this.#unsentBytes > limits.clientAnswersBytesMax) this.giveUp("it does not read its answers");
  }

  #goOn(): void {
    this.#handIn();
    this.#throttle();
    this.#requests.resume();
  }

  #handIn(): void {
    if (!this.#isBehind) this.#commands.handIn();
  }

  #fail(group: string, request: number, failure: Failure): void {
    this.#send("failed", group, (writer) => writeFailure(writer, request, failure));
  }

  #send(kind: FrameKind, group: string, write: (writer: FrameWriter) => void): void {
    this.#closeBatch();
    write(this.#writer.begin(kind, group));
    this.#writer.end();
    this.#host.waiting(this);
  }

  #gatherWaiting(): void {
    while (!this.#answers.isEmpty && this.#gatheredBytes < limits.answerFrameBytesMax) {
      const { group, session, sequence, fate } = this.#answers.take();
      this.#write(group, session, sequence, fate);
    }
  }

  #write(group: string, session: number, sequence: number, fate: Uint8Array | Refusal): void {
    if (fate instanceof Uint8Array) {
      this.#batch("answers", group, undefined).uint53(session).uint53(sequence).sized(fate);
    } else this.#batch("refusals", group, fate).uint53(session).uint53(sequence);
  }

  /** The frame into which answers of one kind gather; a new one where the last is of another kind, or full. */
  #batch(kind: BatchKind, group: string, refusal: Refusal | undefined): FrameWriter {
    const open = this.#open;
    const fits = open?.kind === kind && open.group === group && isSameRefusal(open.refusal, refusal);
    if (fits && this.#writer.openBytes < limits.answerFrameBytesMax) return this.#writer;
    this.#closeBatch();
    this.#open = { kind, group, refusal };
    this.#writer.begin(kind, group);
    if (refusal !== undefined) writeRefusal(this.#writer, refusal, this.#version);
    return this.#writer;
  }

  #closeBatch(): void {
    if (this.#open === undefined) return;
    this.#open = undefined;
    this.#writer.end();
  }

  #throttle(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#checkUnsent();
    if (connection.isClosed) return;
    const full = this.#isBehind || this.#commands.isFull;
    if (full === (this.#paused !== undefined)) return;
    clearTimeout(this.#paused);
    this.#paused = undefined;
    this.#untakenMs = 0;
    if (full) this.#pause(connection);
    else connection.resume();
  }

  #pause(connection: Connection): void {
    connection.pause();
    this.#paused = setTimeout(() => this.#pauseIsLong(connection), limits.clientPausedMsMax);
  }

  #pauseIsLong(connection: Connection): void {
    this.#paused = undefined;
    const stuck = this.#isBehind && connection.takenBytes === this.#taken;
    this.#taken = connection.takenBytes;
    const untakenMs = stuck ? this.#untakenMs + limits.clientPausedMsMax : 0;
    if (untakenMs >= limits.clientUnreadMsMax) {
      this.giveUp(`it has read none of its answers for ${limits.clientUnreadMsMax / 1000} s`);
      return;
    }
    this.#commands.forgetOld();
    connection.resume();
    this.#goOn();
    this.#untakenMs = untakenMs;
  }
}

/** It took effect, but can't be told. */
function forgotten(answer: Uint8Array): Uint8Array {
  return encodeAnswer("forgotten", answerIndex(answer));
}

/** What only a mechanism itself may put into its log must not come from a client. */
function checkKind(command: Uint8Array): void {
  if (!isProposable(command, 0))
    throw new MalformedError(`a client proposed an entry of kind ${entryKind(command, 0)}`);
}

/** Refusals that differ only in how much is in flight go into one frame. */
function isSameRefusal(a: Refusal | undefined, b: Refusal | undefined): boolean {
  if (a?.kind !== b?.kind) return false;
  if (a?.kind === "notLeader" && b?.kind === "notLeader") return a.leader === b.leader;
  return a?.kind === "busy" && b?.kind === "busy" ? a.because === b.because : true;
}
