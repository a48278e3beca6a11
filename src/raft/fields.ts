/** Parts that several messages and records share, as bytes. Reading refuses whatever writing does not produce. */
import {
  agentId,
  ByteReader,
  ByteWriter,
  isSound,
  limits,
  MalformedError,
  membersOf,
  QuorateError,
  unreachable,
  type Address,
  type AgentId,
  type LogIndex,
  type MemberFault,
  type Members,
  type Refusal,
  type Term,
  type Ticket,
  type WireVersion,
} from "../core/index.ts";
import { has } from "./additions.ts";

const refusalKinds = {
  notLeader: 0,
  notLeaderButOther: 1,
  overloaded: 2,
  busy: 3,
  diskFull: 4,
  closed: 5,
  badChange: 6,
  notReady: 7,
} as const;
/** Their places are on wires: new ones come behind. */
const busyReasons = ["memberChange", "transfer", "election"] as const;
const memberFaults: readonly MemberFault[] = ["joint", "noVoters", "tooManyVoters", "tooManyLearners"];

export function readIndex(reader: ByteReader): LogIndex {
  return reader.uint53() as LogIndex;
}

export function readTerm(reader: ByteReader): Term {
  return reader.uint53() as Term;
}

export function readTicket(reader: ByteReader): Ticket {
  return reader.uint53() as Ticket;
}

export function writeBoolean(writer: ByteWriter, value: boolean): void {
  writer.uint8(value ? 1 : 0);
}

export function readBoolean(reader: ByteReader): boolean {
  const value = reader.uint8();
  if (value > 1) throw new MalformedError("a yes or no is 0 or 1");
  return value === 1;
}

export function readAgentId(reader: ByteReader): AgentId {
  try {
    return agentId(reader.text());
  } catch (cause) {
    if (cause instanceof QuorateError) throw new MalformedError("not the name of an agent", { cause });
    throw cause;
  }
}

export function writeMembers(writer: ByteWriter, members: Members): void {
  for (const ids of [members.voters, members.outgoing, members.learners, members.next]) {
    writer.uint8(ids.length);
    for (const id of ids) writer.text(id);
  }
  writer.uint8(members.addresses.size);
  for (const [id, address] of members.addresses) writer.text(id).text(address);
}

export function readMembers(reader: ByteReader): Members {
  const { voters, outgoing, learners } = readFoundingMembers(reader);
  const next = readIds(reader, limits.votersMax);
  const addresses = new Map<AgentId, Address>();
  const count = reader.uint8();
  while (addresses.size < count) {
    const id = readAgentId(reader);
    if (addresses.has(id)) throw new MalformedError("a member has two addresses");
    addresses.set(id, reader.text() as Address);
  }
  const members = { voters, outgoing, learners, next, addresses };
  if (!isSound(members)) throw new MalformedError("members that contradict themselves");
  return members;
}

/** The payload of an entry of kind `members`. */
export function encodeMembers(members: Members): Uint8Array {
  const writer = new ByteWriter();
  writeMembers(writer, members);
  return writer.finish();
}

export function decodeMembers(payload: Uint8Array): Members {
  const reader = new ByteReader(payload);
  const members = readMembers(reader);
  reader.end();
  if (members.voters.length === 0) throw new MalformedError("an entry leaves nobody in the group");
  return members;
}

/** What is known of a snapshot's last entry without the log. */
export interface Anchor {
  readonly term: Term;
  /** No entry up to it has a later logged time, in microseconds. */
  readonly time: number;
  /** Who takes part as of it. */
  readonly members: Members;
}

export function encodeAnchor({ term, time, members }: Anchor): Uint8Array {
  const writer = new ByteWriter().uint53(term).uint53(time);
  writeMembers(writer, members);
  return writer.finish();
}

/** It comes with a file from elsewhere; undefined: it can't be of a snapshot. */
export function decodeAnchor(bytes: Uint8Array): Anchor | undefined {
  try {
    const reader = new ByteReader(bytes);
    const anchor = { term: readTerm(reader), time: reader.uint53(), members: readMembers(reader) };
    reader.end();
    return anchor.term > 0 ? anchor : undefined;
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** As the first version wrote them, when members did not change. */
export function readFoundingMembers(reader: ByteReader): Members {
  const voters = readIds(reader, limits.votersMax);
  const outgoing = readIds(reader, limits.votersMax);
  const learners = readIds(reader, limits.learnersMax);
  return { ...membersOf(voters, learners), outgoing };
}

function readIds(reader: ByteReader, countMax: number): AgentId[] {
  const count = reader.uint8();
  if (count > countMax) throw new MalformedError("more members than the limit");
  const ids: AgentId[] = [];
  while (ids.length < count) ids.push(readAgentId(reader));
  if (new Set(ids).size !== count) throw new MalformedError("a member is named twice");
  return ids;
}

/** To those whose version does not have a refusal it is one that leads to the same: nothing was done, ask again later. */
function sayable(refusal: Refusal, version: WireVersion): Refusal {
  const { kind } = refusal;
  const isKnown =
    (kind !== "badChange" || has(version, "refusal.badChange")) &&
    (kind !== "notReady" || has(version, "refusal.notReady")) &&
    (kind !== "busy" || refusal.because !== "election" || has(version, "refusal.busy.election"));
  return isKnown ? refusal : { kind: "notLeader" };
}

export function writeRefusal(writer: ByteWriter, given: Refusal, version: WireVersion): void {
  const refusal = sayable(given, version);
  switch (refusal.kind) {
    case "notLeader":
      if (refusal.leader === undefined) writer.uint8(refusalKinds.notLeader);
      else writer.uint8(refusalKinds.notLeaderButOther).text(refusal.leader);
      return;
    case "overloaded":
      writer.uint8(refusalKinds.overloaded).uint53(refusal.inFlight).uint53(refusal.inFlightMax);
      return;
    case "busy":
      writer.uint8(refusalKinds.busy).uint8(busyReasons.indexOf(refusal.because));
      return;
    case "diskFull":
      writer.uint8(refusalKinds.diskFull);
      return;
    case "closed":
      writer.uint8(refusalKinds.closed);
      return;
    case "badChange":
      writer.uint8(refusalKinds.badChange).uint8(memberFaults.indexOf(refusal.fault));
      return;
    case "notReady":
      writer.uint8(refusalKinds.notReady).uint8(refusal.agents.length);
      for (const id of refusal.agents) writer.text(id);
      return;
    default:
      unreachable(refusal);
  }
}

export function readRefusal(reader: ByteReader, version: WireVersion): Refusal {
  const refusal = readAnyRefusal(reader);
  if (sayable(refusal, version) !== refusal)
    throw new MalformedError("a refusal that its version does not have");
  return refusal;
}

function readAnyRefusal(reader: ByteReader): Refusal {
  const kind = reader.uint8();
  switch (kind) {
    case refusalKinds.notLeader:
      return { kind: "notLeader" };
    case refusalKinds.notLeaderButOther:
      return { kind: "notLeader", leader: readAgentId(reader) };
    case refusalKinds.overloaded:
      return { kind: "overloaded", inFlight: reader.uint53(), inFlightMax: reader.uint53() };
    case refusalKinds.busy: {
      const because = busyReasons[reader.uint8()];
      if (because === undefined) throw new MalformedError("busy for an unknown reason");
      return { kind: "busy", because };
    }
    case refusalKinds.diskFull:
      return { kind: "diskFull" };
    case refusalKinds.closed:
      return { kind: "closed" };
    case refusalKinds.badChange: {
      const fault = memberFaults[reader.uint8()];
      if (fault === undefined) throw new MalformedError("a change of members with an unknown fault");
      return { kind: "badChange", fault };
    }
    case refusalKinds.notReady:
      return { kind: "notReady", agents: readIds(reader, limits.votersMax) };
    default:
      throw new MalformedError("a refusal of an unknown kind");
  }
}
