/** Commands on their way into the log: the leader stamps and appends them, a follower sends them on. */
import {
  assert,
  encodeCommand,
  entryLength,
  entrySequence,
  entrySession,
  isProposable,
  limits as houseLimits,
  stampEntry,
  type AgentId,
  type LogIndex,
  type Now,
  type Outbox,
  type Refusal,
} from "../core/index.ts";
import type { Forward, RaftProtocol } from "./messages.ts";
import { notLeader } from "./reads.ts";
import { persist } from "./records.ts";
import { replicate } from "./replication.ts";
import { isMember, type Leading, type RaftState } from "./state.ts";

export type ProposeResult = { kind: "accepted"; count: number; first?: LogIndex } | Refusal;

/** All of them or none. */
export function propose(
  state: RaftState,
  commands: readonly Uint8Array[],
  now: Now,
  out: Outbox<RaftProtocol>,
): ProposeResult {
  const { role } = state;
  if (role.kind === "leading") return append(state, role, commands, now, out);
  if (role.kind !== "following" || role.leader === undefined) return notLeader(state);
  // A leader takes commands of members only.
  if (!isMember(state, state.self)) return notLeader(state);
  checkBatch(commands);
  if (commands.length > 0) {
    const message: Forward = { kind: "forward", term: state.term, commands };
    out.sends.push({ to: role.leader, channel: "stream", message });
  }
  return { kind: "accepted", count: commands.length };
}

/** Commands that a member sent on. They are of no term: sessions see to it that none takes effect twice. */
export function receiveForward(
  state: RaftState,
  from: AgentId,
  message: Forward,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const { commands } = message;
  const { role } = state;
  const isTaken = role.kind === "leading" && isMember(state, from);
  const result = isTaken ? append(state, role, commands, now, out) : notLeader(state);
  if (result.kind === "accepted") {
    const peer = role.kind === "leading" ? role.peers.get(from) : undefined;
    if (peer !== undefined) peer.forwardedThrough = state.log.last;
    return;
  }
  out.sends.push({
    to: from,
    channel: "stream",
    message: {
      kind: "forwardRefused",
      commands: commands.map((command) => ({
        session: entrySession(command, 0),
        sequence: entrySequence(command, 0),
      })),
      refusal: result,
    },
  });
}

/** An entry of the leader's own: the first of its term, or other members. It is sent by whoever asks for it. */
export function appendOwn(
  state: RaftState,
  leading: Leading,
  kind: "noop" | "members",
  payload: Uint8Array,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (now.wall > leading.lastTime) leading.lastTime = now.wall;
  const bytes = encodeCommand({ kind, session: 0, sequence: 0, unsettled: 0 }, payload);
  const index = (state.log.last + 1) as LogIndex;
  stampEntry(bytes, 0, index, state.term, leading.lastTime);
  persist(state, { kind: "entries", run: { first: index, last: index, bytes } }, now, out);
}

function append(
  state: RaftState,
  leading: Leading,
  commands: readonly Uint8Array[],
  now: Now,
  out: Outbox<RaftProtocol>,
): ProposeResult {
  if (leading.transfer !== undefined) return { kind: "busy", because: "transfer" };
  const byteLength = checkBatch(commands);
  const inFlight = state.log.bytesAppended - leading.committedBytes;
  const inFlightMax = state.limits.uncommittedBytesMax;
  if (inFlight > 0 && inFlight + byteLength > inFlightMax)
    return { kind: "overloaded", inFlight, inFlightMax };
  const first = (state.log.last + 1) as LogIndex;
  if (now.wall > leading.lastTime) leading.lastTime = now.wall;
  for (let from = 0; from < commands.length;) from = appendRun(state, leading, commands, from, now, out);
  replicate(state, leading, out);
  return { kind: "accepted", count: commands.length, first };
}

/** Gives the bytes of a batch that is within the limits. */
function checkBatch(commands: readonly Uint8Array[]): number {
  let byteLength = 0;
  for (const command of commands) {
    assert(entryLength(command, 0) === command.length, "a command is one whole entry");
    assert(isProposable(command, 0), "only commands and sessions are proposed");
    byteLength += command.length;
  }
  assert(commands.length <= houseLimits.batchEntriesMax, "a batch is within the limit on its entries");
  assert(byteLength <= houseLimits.batchBytesMax, "a batch is within the limit on its bytes");
  return byteLength;
}

/** One run, one record: as many commands from position `from` on as fit into one message to a follower. Gives the next position. */
function appendRun(
  state: RaftState,
  leading: Leading,
  commands: readonly Uint8Array[],
  from: number,
  now: Now,
  out: Outbox<RaftProtocol>,
): number {
  let byteLength = 0;
  let to = from;
  while (to < commands.length) {
    const after = byteLength + commands[to]!.length;
    if (to > from && after > state.limits.appendBytesMax) break;
    byteLength = after;
    to += 1;
  }
  const bytes = state.slab.take(byteLength);
  const first = (state.log.last + 1) as LogIndex;
  let offset = 0;
  for (let position = from; position < to; position++) {
    const command = commands[position]!;
    bytes.set(command, offset);
    stampEntry(bytes, offset, (first + position - from) as LogIndex, state.term, leading.lastTime);
    offset += command.length;
  }
  const last = (first + to - from - 1) as LogIndex;
  persist(state, { kind: "entries", run: { first, last, bytes } }, now, out);
  return to;
}
