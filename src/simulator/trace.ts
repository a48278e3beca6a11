/**
 * A run as lines of JSON, one per transition of an agent and per message, in the order in which they happened: enough for
 * a reader to follow it, and for a model checker to compare it with a specification of Raft. docs/trace.md has the schema.
 */
import type { EventQueue } from "./event-queue.ts";
import { messageFacts, type SimulatedMessage } from "./message-facts.ts";
import type { SimulatedCore } from "./parts.ts";

export const traceVersion = 1;

/** Takes one line at a time, without its line end. */
export type TraceSink = (line: string) => void;

/** An agent's state as the trace last had it. */
interface Shown {
  role: string;
  term: number;
  vote: string | undefined;
  commit: number;
  last: number;
}

export class Trace {
  readonly #events: EventQueue;
  readonly #sink: TraceSink;
  readonly #founders: readonly string[];
  readonly #shown = new Map<string, Shown>();

  constructor(events: EventQueue, sink: TraceSink, founders: readonly string[]) {
    this.#events = events;
    this.#sink = sink;
    this.#founders = founders;
  }

  /** The first line: what the run is. */
  begin(seed: number, scenario: string | undefined): void {
    this.#write("begin", undefined, {
      version: traceVersion,
      mechanism: "raft",
      seed,
      ...(scenario !== undefined && { scenario }),
      members: this.#founders,
    });
  }

  /** A fault, or its end. */
  fault(name: string, agent: string | undefined, facts: Readonly<Record<string, unknown>> = {}): void {
    this.#write(name, agent, facts);
  }

  /** A core has been made from what the journal holds. */
  started(agent: string, core: SimulatedCore): void {
    this.#shown.set(agent, shownOf(core));
    this.#write("start", agent, this.#state(core));
  }

  sent(from: string, to: string, message: SimulatedMessage, core: SimulatedCore): void {
    this.#write("send", from, { ...this.#state(core), message: { from, to, ...messageFacts(message) } });
  }

  /** A core is about to take the message; its state is still the one before. */
  received(from: string, to: string, message: SimulatedMessage, core: SimulatedCore): void {
    this.#write("receive", to, { ...this.#state(core), message: { from, to, ...messageFacts(message) } });
  }

  /** After each input of a core: one line per thing that changed. */
  stepped(agent: string, core: SimulatedCore): void {
    const shown = this.#shown.get(agent);
    if (shown === undefined) return;
    const now = shownOf(core);
    if (now.role !== shown.role || now.term !== shown.term)
      this.#write(nameOf(now.role), agent, this.#state(core));
    else if (now.vote !== shown.vote) this.#write("vote", agent, this.#state(core));
    if (now.last > shown.last)
      this.#write(now.role === "leader" ? "replicate" : "append", agent, this.#state(core));
    if (now.last < shown.last) this.#write("truncate", agent, this.#state(core));
    if (now.commit !== shown.commit) this.#write("commit", agent, this.#state(core));
    this.#shown.set(agent, now);
  }

  applied(agent: string, index: number, term: number, session: number, sequence: number): void {
    this.#write("apply", agent, { index, term, session, sequence });
  }

  /** Its state is a snapshot's now: at a start, or because one has come from a peer. */
  restored(agent: string, index: number): void {
    this.#write("restore", agent, { index });
  }

  end(facts: Readonly<Record<string, unknown>>): void {
    this.#write("end", undefined, facts);
  }

  #state(core: SimulatedCore): Readonly<Record<string, unknown>> {
    return {
      role: core.role,
      term: core.term,
      vote: core.votedFor ?? null,
      commit: core.commitIndex,
      last: core.lastIndex,
      lastTerm: core.termAt(core.lastIndex) ?? 0,
      members: core.status().members.voters,
    };
  }

  #write(name: string, agent: string | undefined, facts: Readonly<Record<string, unknown>>): void {
    this.#sink(
      JSON.stringify({ time: this.#events.now, name, ...(agent !== undefined && { agent }), ...facts }),
    );
  }
}

function shownOf(core: SimulatedCore): Shown {
  return {
    role: core.role,
    term: core.term,
    vote: core.votedFor,
    commit: core.commitIndex,
    last: core.lastIndex,
  };
}

function nameOf(role: string): string {
  return `become${role.charAt(0).toUpperCase()}${role.slice(1)}`;
}
