/** Parts that several messages and records share, as bytes. Reading refuses whatever writing does not produce. */
import {
  agentId,
  limits,
  MalformedError,
  QuorateError,
  unreachable,
  type AgentId,
  type ByteReader,
  type ByteWriter,
  type LogIndex,
  type Members,
  type Refusal,
  type Term,
  type Ticket,
} from "../core/index.ts";

const refusalKinds = {
  notLeader: 0,
  notLeaderButOther: 1,
  overloaded: 2,
  busy: 3,
  diskFull: 4,
  closed: 5,
} as const;
const busyReasons = ["memberChange", "transfer"] as const;

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
  for (const ids of [members.voters, members.outgoing, members.learners]) {
    writer.uint8(ids.length);
    for (const id of ids) writer.text(id);
  }
}

export function readMembers(reader: ByteReader): Members {
  const voters = readIds(reader, limits.votersMax);
  const outgoing = readIds(reader, limits.votersMax);
  const learners = readIds(reader, limits.learnersMax);
  return { voters, outgoing, learners };
}

function readIds(reader: ByteReader, countMax: number): AgentId[] {
  const count = reader.uint8();
  if (count > countMax) throw new MalformedError("more members than the limit");
  const ids: AgentId[] = [];
  while (ids.length < count) ids.push(readAgentId(reader));
  if (new Set(ids).size !== count) throw new MalformedError("a member is named twice");
  return ids;
}

export function writeRefusal(writer: ByteWriter, refusal: Refusal): void {
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
    default:
      unreachable(refusal);
  }
}

export function readRefusal(reader: ByteReader): Refusal {
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
    default:
      throw new MalformedError("a refusal of an unknown kind");
  }
}
