/**
 * The way out where too few voters are left for ever: a person names new ones, past all agreement. What this agent's log has
 * is kept, decided or not; what only the lost voters had is gone. It is for an agent that is stopped, and whose journal is
 * whole; whoever does it sees to it that no old voter is ever heard again (another cluster's id).
 */
import {
  encodeCommand,
  isSound,
  assert,
  stampEntry,
  type AgentId,
  type LogIndex,
  type Members,
  type Recovered,
  type Term,
} from "../core/index.ts";
import { encodeMembers } from "./fields.ts";
import type { RaftProtocol, RaftRecord } from "./messages.ts";
import type { RaftOptions } from "./options.ts";
import { recover } from "./records.ts";
import { RaftState } from "./state.ts";

/** What the agent's disk has of the group. Of several survivors, the one with the higher term of the last entry, then index, has more. */
export interface Survivor {
  readonly term: Term;
  readonly lastTerm: Term;
  readonly last: LogIndex;
  readonly members: Members;
}

export interface Forced {
  readonly before: Survivor;
  /** To be appended to the journal, in this order. */
  readonly records: readonly RaftRecord[];
}

/** `wall`: now, in microseconds; the logged time does not fall behind it. */
export function forceMembers(
  options: RaftOptions,
  recovered: Recovered<RaftProtocol>,
  members: Members,
  wall: number,
): Forced {
  assert(isSound(members) && members.voters.includes(options.self), "R60: whoever is left votes");
  const state = new RaftState(options);
  recover(state, recovered);
  const { log } = state;
  // A term of its own: nobody else can have an entry of it.
  const term = (state.term + 1) as Term;
  const index = (log.last + 1) as LogIndex;
  const bytes = encodeCommand(
    { kind: "forcedMembers", session: 0, sequence: 0, unsettled: 0 },
    encodeMembers(members),
  );
  stampEntry(bytes, 0, index, term, Math.max(log.lastTime(), wall));
  return {
    before: { term: state.term, lastTerm: log.lastTerm, last: log.last, members: state.members },
    records: [
      { kind: "hardState", term, votedFor: options.self satisfies AgentId },
      { kind: "entries", run: { first: index, last: index, bytes } },
    ],
  };
}
