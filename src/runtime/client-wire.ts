/**
 * What clients and agents say to each other, as heads of frames. `docs/wire.md` has the layouts; the golden vectors in
 * `test/vectors` hold them in place.
 *
 * Requests carry a number that the client chooses, 1 to 2^32 − 1, not in use in this connection at that moment; the
 * answer brings it back. `propose` has none: its answers name session and sequence.
 */
import { unreachable } from "../core/assert.ts";
import type { Refusal } from "../core/boundary.ts";
import { ByteReader, ByteWriter } from "../core/bytes.ts";
import { progressStates, type ProgressState } from "../core/decision.ts";
import { decodeRun, type Run } from "../core/entry.ts";
import { MalformedError } from "../core/errors.ts";
import { agentId, type Address, type AgentId } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { Changes, MachineChange } from "../core/machine.ts";
import type { MemberChange, MemberStep } from "../core/members.ts";
import { decodeText, encodeText } from "../core/text.ts";
import type { WireVersion } from "../core/wire-version.ts";
import type { Order, OrderResult } from "../driver/orders.ts";
import { readRefusal, writeRefusal as encodeRefusal } from "../raft/fields.ts";
import { isDialAddress } from "./address.ts";
import type { AgentAddress } from "./cluster-file.ts";
import type { FrameWriter } from "./frame.ts";
import type { SyncReport } from "./sync-times.ts";
import type { CampaignResult, EntriesResult, GroupStatus, ProposeOptions, QueryResult } from "./gateway.ts";

type Answered<T> = Exclude<T, { readonly kind: "lost" }>;

// ── client to agent ──

const onlyAsLeaderFlag = 1;
const trackedFlag = 2;

/** The first byte of a `propose`. */
export function proposeFlags(options: ProposeOptions | undefined): number {
  return (
    (options?.onlyAsLeader === true ? onlyAsLeaderFlag : 0) | (options?.tracked === true ? trackedFlag : 0)
  );
}

export function readProposeFlags(flags: number): Required<ProposeOptions> {
  if (flags > (onlyAsLeaderFlag | trackedFlag)) throw new MalformedError("commands with unknown flags");
  return { onlyAsLeader: (flags & onlyAsLeaderFlag) !== 0, tracked: (flags & trackedFlag) !== 0 };
}

export interface QueryRequest {
  readonly request: number;
  readonly at: "linearizable" | "local";
  readonly question: Uint8Array;
}

export function decodeQuery(head: Uint8Array): QueryRequest {
  const reader = new ByteReader(head);
  const request = requestNumber(reader);
  const at = reader.uint8();
  if (at > 1) throw new MalformedError("a query of an unknown kind");
  return { request, at: at === 0 ? "linearizable" : "local", question: reader.rest() };
}

export interface ChangesRequest {
  readonly request: number;
  readonly from: number;
  readonly filter: Uint8Array;
}

export function decodeChanges(head: Uint8Array): ChangesRequest {
  const reader = new ByteReader(head);
  return { request: requestNumber(reader), from: reader.uint53(), filter: reader.rest() };
}

export function decodeEntries(head: Uint8Array): { request: number; from: number } {
  const reader = new ByteReader(head);
  const request = requestNumber(reader);
  const from = reader.uint53();
  reader.end();
  return { request, from };
}

/** `campaign` and `cancel`. */
export function decodeRequest(head: Uint8Array): number {
  const reader = new ByteReader(head);
  const request = requestNumber(reader);
  reader.end();
  return request;
}

export function decodeStatusRequest(head: Uint8Array): { request: number; subscribe: boolean } {
  const reader = new ByteReader(head);
  const request = requestNumber(reader);
  const subscribe = flag(reader);
  reader.end();
  return { request, subscribe };
}

function requestNumber(reader: ByteReader): number {
  const request = reader.uint32();
  if (request === 0) throw new MalformedError("a request has a number from 1");
  return request;
}

function flag(reader: ByteReader): boolean {
  const value = reader.uint8();
  if (value > 1) throw new MalformedError("a flag is 0 or 1");
  return value === 1;
}

// ── agent to client ──

/** The form that Raft's own messages have: one form of a refusal on the whole wire. */
export function writeRefusal(writer: FrameWriter, refusal: Refusal, version: WireVersion): void {
  const bytes = new ByteWriter(32);
  encodeRefusal(bytes, refusal, version);
  writer.raw(bytes.finish());
}

/** Calls `each` for every (session, sequence, answer envelope) of an `answers` frame. */
export function readAnswers(
  head: Uint8Array,
  each: (session: number, sequence: number, answer: Uint8Array) => void,
): void {
  const reader = new ByteReader(head);
  while (reader.remaining > 0) each(reader.uint53(), reader.uint53(), reader.bytes());
}

export function readRefusals(
  head: Uint8Array,
  version: WireVersion,
  each: (session: number, sequence: number, refusal: Refusal) => void,
): void {
  const reader = new ByteReader(head);
  const refusal = readRefusal(reader, version);
  while (reader.remaining > 0) each(reader.uint53(), reader.uint53(), refusal);
}

/** One command's part of a `progress` frame. */
export function writeProgress(
  writer: FrameWriter,
  session: number,
  sequence: number,
  state: ProgressState,
): void {
  writer.uint53(session).uint53(sequence).uint8(progressStates.indexOf(state));
}

export function readProgress(
  head: Uint8Array,
  each: (session: number, sequence: number, state: ProgressState) => void,
): void {
  const reader = new ByteReader(head);
  while (reader.remaining > 0) {
    const session = reader.uint53();
    const sequence = reader.uint53();
    const state = progressStates[reader.uint8()];
    if (state === undefined) throw new MalformedError("progress to an unknown state");
    each(session, sequence, state);
  }
}

export function writeQueryAnswer(
  writer: FrameWriter,
  answer: Answered<QueryResult>,
  version: WireVersion,
): void {
  if (answer.kind === "reply") writer.uint8(0).raw(answer.bytes);
  else writeRefusal(writer.uint8(1), answer.refusal, version);
}

export function readQueryAnswer(reader: ByteReader, version: WireVersion): Answered<QueryResult> {
  return flag(reader)
    ? { kind: "refused", refusal: readRefusal(reader, version) }
    : { kind: "reply", bytes: reader.rest() };
}

/** What does not fit is cut between two indices, and the client asks on from there. */
export function writeChangesAnswer(writer: FrameWriter, answer: Changes): void {
  if (answer.kind === "compacted") {
    writer.uint8(1).uint53(answer.earliest);
    return;
  }
  const { changes, through } = cutChanges(answer.changes, answer.through);
  writer.uint8(0).uint53(through).uint32(changes.length);
  for (const { index, bytes } of changes) writer.uint53(index).sized(bytes);
}

function cutChanges(
  changes: readonly MachineChange[],
  through: number,
): { changes: readonly MachineChange[]; through: number } {
  let total = 0;
  let whole = 0;
  for (const [position, { index, bytes }] of changes.entries()) {
    if (position > 0 && changes[position - 1]?.index !== index) whole = position;
    total += bytes.length;
    if (total > limits.watchAnswerBytesMax && whole > 0) {
      return { changes: changes.slice(0, whole), through: changes[whole - 1]?.index ?? through };
    }
  }
  return { changes, through };
}

export function readChangesAnswer(reader: ByteReader): Changes {
  if (flag(reader)) return { kind: "compacted", earliest: reader.uint53() };
  const through = reader.uint53();
  const changes: MachineChange[] = [];
  for (let left = reader.uint32(); left > 0; left--) {
    changes.push({ index: reader.uint53(), bytes: reader.bytes() });
  }
  reader.end();
  return { kind: "changes", changes, through };
}

/** The run itself is the frame's tail. */
export function writeEntriesAnswer(writer: FrameWriter, answer: Answered<EntriesResult>): void {
  if (answer.kind === "compacted") {
    writer.uint8(1).uint53(answer.earliest);
    return;
  }
  writer.uint8(0).uint32(answer.withoutEffect.length);
  for (const index of answer.withoutEffect) writer.uint53(index);
  writer.tail().raw(answer.bytes);
}

export function readEntriesAnswer(reader: ByteReader, tail: Uint8Array): Answered<EntriesResult> {
  if (flag(reader)) {
    const earliest = reader.uint53();
    reader.end();
    if (tail.length > 0) throw new MalformedError("entries that are gone, and entries all the same");
    return { kind: "compacted", earliest };
  }
  const run = decodeRun(tail);
  const withoutEffect = readWithoutEffect(reader, run);
  reader.end();
  return { kind: "entries", bytes: run.bytes, withoutEffect };
}

function readWithoutEffect(reader: ByteReader, run: Run): number[] {
  const indices: number[] = [];
  let next: number = run.first;
  for (let left = reader.uint32(); left > 0; left--) {
    const index = reader.uint53();
    if (index < next || index > run.last) {
      throw new MalformedError("the indices without effect are not within their run, or not rising");
    }
    indices.push(index);
    next = index + 1;
  }
  return indices;
}

export function writeCampaignAnswer(
  writer: FrameWriter,
  answer: Answered<CampaignResult>,
  version: WireVersion,
): void {
  if (answer.kind === "over") writer.uint8(0).uint8(answer.leading ? 1 : 0);
  else writeRefusal(writer.uint8(1), answer.refusal, version);
}

export function readCampaignAnswer(reader: ByteReader, version: WireVersion): Answered<CampaignResult> {
  return flag(reader)
    ? { kind: "refused", refusal: readRefusal(reader, version) }
    : { kind: "over", leading: flag(reader) };
}

// ── orders ──

const orderKinds = { members: 1, transfer: 2 } as const satisfies Record<Order["kind"], number>;
/** Their places are on the wire. */
const stepKinds: readonly MemberStep["kind"][] = ["voter", "learner", "removed"];

export function writeOrder(writer: FrameWriter, order: Order): void {
  const bytes = new ByteWriter(64).uint8(orderKinds[order.kind]);
  switch (order.kind) {
    case "members":
      writeChange(bytes, order.change);
      break;
    case "transfer":
      bytes.text(order.to ?? "");
      break;
    default:
      unreachable(order);
  }
  writer.raw(bytes.finish());
}

export function decodeOrder(head: Uint8Array): { request: number; order: Order } {
  const reader = new ByteReader(head);
  const request = requestNumber(reader);
  const order = readOrder(reader);
  reader.end();
  return { request, order };
}

function readOrder(reader: ByteReader): Order {
  const kind = reader.uint8();
  switch (kind) {
    case orderKinds.members:
      return { kind: "members", change: readChange(reader) };
    case orderKinds.transfer: {
      const to = reader.text();
      return { kind: "transfer", to: to === "" ? undefined : idFrom(to) };
    }
    default:
      throw new MalformedError("an order of an unknown kind");
  }
}

function writeChange(writer: ByteWriter, { steps, addresses = new Map() }: MemberChange): void {
  writer.uint8(steps.length);
  for (const { kind, id } of steps) writer.uint8(stepKinds.indexOf(kind)).text(id);
  writer.uint8(addresses.size);
  for (const [id, address] of addresses) writer.text(id).text(address);
}

function readChange(reader: ByteReader): MemberChange {
  const steps: MemberStep[] = [];
  for (let left = reader.uint8(); left > 0; left--) {
    const kind = stepKinds[reader.uint8()];
    if (kind === undefined) throw new MalformedError("a member becomes something unknown");
    steps.push({ kind, id: idFrom(reader.text()) });
  }
  const addresses = new Map<AgentId, Address>();
  for (let left = reader.uint8(); left > 0; left--) {
    const id = idFrom(reader.text());
    const address = reader.text();
    if (!isDialAddress(address)) throw new MalformedError("an address that nobody can be reached at");
    addresses.set(id, address as Address);
  }
  return { steps, addresses };
}

function idFrom(text: string): AgentId {
  try {
    return agentId(text);
  } catch (cause) {
    throw new MalformedError("not the name of an agent", { cause });
  }
}

export function writeOrderAnswer(writer: FrameWriter, result: OrderResult, version: WireVersion): void {
  if (result.kind === "accepted") writer.uint8(0);
  else writeRefusal(writer.uint8(1), result, version);
}

export function readOrderAnswer(reader: ByteReader, version: WireVersion): OrderResult {
  const result: OrderResult = flag(reader) ? readRefusal(reader, version) : { kind: "accepted" };
  reader.end();
  return result;
}

// ── status ──

/** What an agent says of a group and of the agents that it knows; as JSON, since it is rare and read by people too. */
export interface StatusReport {
  readonly agent: string;
  /** Absent where the frame names no group. */
  readonly status?: GroupStatus;
  /** The groups hosted there. */
  readonly groups: readonly string[];
  readonly agents: readonly AgentAddress[];
  /** The highest version of the wire that it speaks; absent: the first, whose program says nothing of what follows here. */
  readonly wireVersionMax?: number;
  readonly links?: readonly LinkReport[];
  /** In hexadecimal digits. */
  readonly cluster?: string;
  /** Of this package, and of the Node that runs it. */
  readonly version?: string;
  readonly node?: string;
  /** The agent's wall clock as it says this, in milliseconds since 1970. */
  readonly wallMs?: number;
  /** Of its journal; absent before the first. */
  readonly syncs?: SyncReport;
  /** A sync of its journal has been under way for so long; absent up to `limits.syncMsMax`. */
  readonly diskHangsMs?: number;
}

/** How an agent stands with one of its peers. */
export interface LinkReport {
  readonly id: string;
  readonly up: boolean;
  /** Of the wire; absent while nothing can be said to that peer. */
  readonly version?: number;
}

export function writeStatusReport(writer: FrameWriter, report: StatusReport): void {
  writer.raw(encodeText(JSON.stringify(report)));
}

export function readStatusReport(reader: ByteReader): StatusReport {
  let value: unknown;
  try {
    value = JSON.parse(decodeText(reader.rest()));
  } catch (cause) {
    throw new MalformedError("a status is not JSON", { cause });
  }
  if (typeof value !== "object" || value === null || !("agents" in value) || !Array.isArray(value.agents)) {
    throw new MalformedError("a status has no list of agents");
  }
  if (!value.agents.every(isAgent))
    throw new MalformedError("a status names an agent without an id or an address");
  return value as StatusReport;
}

function isAgent(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !("id" in value) || !("address" in value)) return false;
  return typeof value.id === "string" && typeof value.address === "string";
}

/** Why a request (0: commands) has no answer of its own kind. */
export const failures = ["unknownGroup", "overloaded", "closed"] as const;
export type Failure = (typeof failures)[number];

export function writeFailure(writer: FrameWriter, request: number, failure: Failure): void {
  writer.uint32(request).uint8(failures.indexOf(failure));
}

export function readFailure(reader: ByteReader): Failure {
  const failure = failures[reader.uint8()];
  if (failure === undefined) throw new MalformedError("a failure of an unknown kind");
  reader.end();
  return failure;
}
