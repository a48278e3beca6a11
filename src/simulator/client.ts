/**
 * A simulated participant. It does what the real client does: one session, several commands in flight, each sent again
 * under its session and sequence until it is answered, through whichever agent it happens to reach.
 */
import { present, unreachable } from "../core/assert.ts";
import { encodeCommand } from "../core/entry.ts";
import { encodeText } from "../core/text.ts";
import type { AgentId } from "../core/ids.ts";
import type { Prng } from "../core/prng.ts";
import type { QueryAnswer } from "../driver/hosted.ts";
import { decodeAnswer } from "../state/answers.ts";
import { encodeCommandEnvelope, encodeQuestion } from "../state/envelope.ts";
import { mapAnswerCodec, mapCommands, mapQuestions, mapReplyCodec } from "../state/map-codec.ts";
import { encodeProposal } from "../state/proposals.ts";
import type { ClientLink, SimulatedAgent } from "./agent.ts";
import type { Stage } from "./stage.ts";

/** A refused call is sent again after so long. */
const backOffMicros = 50_000;

interface Command {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  readonly key: string | undefined;
}

interface Read {
  readonly key: string;
  readonly floor: number;
}

export class SimulatedClient implements ClientLink {
  readonly index: number;
  settled = 0;
  readsAnswered = 0;
  sessionsLost = 0;
  readonly #stage: Stage;
  readonly #prng: Prng;
  readonly #agents: readonly SimulatedAgent[];
  /** Version of each key as this client last heard it: what its next compare-and-set expects. */
  readonly #versions = new Map<string, number>();
  readonly #unsettled = new Map<number, Command>();
  #session: number | undefined;
  #nonce = 0;
  #sequence = 0;
  #read: Read | undefined;
  #agent = 0;
  #values = 0;
  #asking = true;
  /** One more command is to come. */
  #owesLast = false;
  #resendDue = false;

  constructor(stage: Stage, index: number, agents: readonly SimulatedAgent[]) {
    this.#stage = stage;
    this.index = index;
    this.#agents = agents;
    this.#prng = stage.prng.fork();
  }

  /** Everything that it asked for has been answered. */
  get content(): boolean {
    if (this.#session === undefined || this.#owesLast) return false;
    return this.#unsettled.size === 0 && this.#read === undefined;
  }

  get waitsFor(): number {
    return this.#unsettled.size + (this.#read === undefined ? 0 : 1);
  }

  start(): void {
    this.#openSession();
    this.#askLater();
    this.#patience();
  }

  /** Asks for one more thing, so that a cluster that only looks well is found out, and then for nothing new. */
  askLast(): void {
    this.#asking = false;
    this.#owesLast = true;
    this.#askIfOwed();
  }

  // ── asking ──

  #askLater(): void {
    const { intervalMillis } = this.#stage.options.clients;
    this.#stage.events.after(this.#prng.exponential(intervalMillis * 1000), () => {
      if (!this.#asking) return;
      this.#ask();
      this.#askLater();
    });
  }

  #ask(): void {
    const { inFlightMax, readShare } = this.#stage.options.clients;
    if (this.#session === undefined || this.#stage.idleTimes.isIdle) return;
    if (this.#prng.chance(readShare)) {
      if (this.#read === undefined) this.#startRead();
      return;
    }
    if (this.#unsettled.size < inFlightMax) this.#askCommand(this.#session);
  }

  #askCommand(session: number): void {
    const command = this.#nextCommand(session);
    this.#unsettled.set(command.sequence, command);
    this.#send([command.bytes]);
  }

  #askIfOwed(): void {
    if (!this.#owesLast || this.#session === undefined) return;
    this.#owesLast = false;
    this.#askCommand(this.#session);
  }

  #nextCommand(session: number): Command {
    this.#sequence += 1;
    const sequence = this.#sequence;
    const oldest = this.#unsettled.keys().next().value ?? sequence;
    const key = this.#pickKey();
    const choice = this.#prng.unit();
    const plain = choice < 0.15;
    const envelope = encodeCommandEnvelope({
      proposer: `client-${this.index + 1}`,
      machine: plain ? "" : "map",
      requestId: "",
      command: plain ? encodeProposal([{ client: this.index, sequence }]) : this.#mapCommand(choice, key),
    });
    const header = { kind: "command", session, sequence, unsettled: sequence - oldest + 1 } as const;
    return { sequence, bytes: encodeCommand(header, envelope), key: plain ? undefined : key };
  }

  #mapCommand(choice: number, key: string): Uint8Array {
    this.#values += 1;
    const value = encodeText(`"${this.index + 1}.${this.#values}"`);
    if (choice < 0.25) return mapCommands.delete(key);
    if (choice < 0.5) return mapCommands.cas(key, this.#versions.get(key) ?? 0, value);
    return mapCommands.put(key, value);
  }

  #pickKey(): string {
    return `k${this.#prng.between(1, this.#stage.options.clients.keys)}`;
  }

  #startRead(): void {
    const read = { key: this.#pickKey(), floor: this.#stage.history.acknowledged };
    this.#read = read;
    this.#sendRead(read);
  }

  #sendRead(read: Read): void {
    const agent = this.#reached();
    const question = encodeQuestion("map", mapQuestions.get(read.key));
    this.#travel(() =>
      agent.query(question, (answer) => this.#travel(() => this.#readAnswered(read, answer))),
    );
  }

  // ── the session ──

  #openSession(): void {
    this.#session = undefined;
    this.#sequence = 0;
    this.#unsettled.clear();
    if (!this.#asking) this.#owesLast = true;
    this.#nonce = this.#prng.between(1, Number.MAX_SAFE_INTEGER);
    this.#sendOpen();
  }

  #sendOpen(): void {
    const header = { kind: "openSession", session: this.#nonce, sequence: 0, unsettled: 0 } as const;
    this.#send([encodeCommand(header, new Uint8Array(0))]);
  }

  // ── sending, and sending again ──

  #reached(): SimulatedAgent {
    return present(this.#agents[this.#agent], "a client knows the agents");
  }

  #send(commands: readonly Uint8Array[]): void {
    const agent = this.#reached();
    const onlyAsLeader = this.#prng.chance(0.2);
    this.#travel(() => agent.propose(this, commands, onlyAsLeader));
  }

  /** Over the connection between client and agent; it may break, and then whatever was on it is lost. */
  #travel(arrive: () => void): void {
    const { delayMinMicros, delayMeanMicros, lossRate } = this.#stage.options.network;
    if (this.#asking && this.#prng.chance(lossRate)) return;
    this.#stage.events.after(delayMinMicros + this.#prng.exponential(delayMeanMicros), arrive);
  }

  /** A slow timer: what is not answered by then is sent again, in order, now and then through another agent. */
  #patience(): void {
    const micros = this.#stage.options.clients.patienceMillis * 1000;
    this.#stage.events.after(micros / 2 + this.#prng.exponential(micros / 2), () => {
      if (this.#prng.chance(0.5)) this.#agent = this.#prng.between(0, this.#agents.length - 1);
      this.#sendAgain();
      this.#patience();
    });
  }

  #sendAgain(): void {
    if (this.#session === undefined) this.#sendOpen();
    else if (this.#unsettled.size > 0)
      this.#send(Array.from(this.#unsettled.values(), (command) => command.bytes));
    if (this.#read !== undefined) this.#sendRead(this.#read);
  }

  #sendAgainSoon(): void {
    if (this.#resendDue) return;
    this.#resendDue = true;
    this.#stage.events.after(this.#prng.exponential(backOffMicros), () => {
      this.#resendDue = false;
      this.#sendAgain();
    });
  }

  // ── answers ──

  answered(_agent: number, session: number, sequence: number, answer: Uint8Array): void {
    const bytes = answer.slice();
    this.#travel(() => this.#heard(session, sequence, bytes));
  }

  refused(_agent: number, session: number, _sequence: number, leader: AgentId | undefined): void {
    this.#travel(() => {
      if (session !== this.#session && session !== this.#nonce) return;
      this.#turnTo(leader);
      this.#sendAgainSoon();
    });
  }

  /** To the leader that was named; where none is known, once, to somebody else: whoever is no member never knows one. */
  #turnTo(leader: AgentId | undefined): void {
    if (leader !== undefined) this.#agent = this.#stage.names.indexOf(leader);
    else if (!this.#resendDue) this.#agent = (this.#agent + 1) % this.#agents.length;
  }

  #heard(session: number, sequence: number, bytes: Uint8Array): void {
    if (sequence === 0) {
      this.#opened(session, bytes);
      return;
    }
    const answer = this.#stage.history.answered(session, sequence, bytes);
    if (session !== this.#session) return;
    switch (answer.kind) {
      case "answered":
      case "rejected":
      case "forgotten":
      case "unknownMachine":
        this.#settle(sequence, answer.kind === "answered" ? answer.bytes : undefined);
        return;
      case "outOfOrder":
        this.#sendAgainSoon();
        return;
      case "sessionExpired":
        this.sessionsLost += 1;
        this.#openSession();
        return;
      default:
        unreachable(answer);
    }
  }

  #opened(nonce: number, bytes: Uint8Array): void {
    const answer = this.#stage.history.answered(nonce, 0, bytes);
    if (nonce !== this.#nonce || this.#session !== undefined || answer.kind !== "answered") return;
    this.#session = answer.index;
    this.#askIfOwed();
  }

  #settle(sequence: number, answer: Uint8Array | undefined): void {
    const command = this.#unsettled.get(sequence);
    if (command === undefined) return;
    this.#unsettled.delete(sequence);
    this.settled += 1;
    if (command.key === undefined || answer === undefined) return;
    const outcome = mapAnswerCodec.decode(answer);
    this.#versions.set(command.key, "version" in outcome ? outcome.version : 0);
  }

  #readAnswered(read: Read, answer: QueryAnswer): void {
    if (this.#read !== read) return;
    if (answer.kind === "refused") {
      if (answer.refusal.kind === "notLeader") this.#turnTo(answer.refusal.leader);
      this.#sendAgainSoon();
      return;
    }
    const envelope = decodeAnswer(answer.bytes);
    if (envelope.kind !== "answered") throw new Error(`a read was answered with ${envelope.kind}`);
    const reply = mapReplyCodec.decode(envelope.bytes);
    const found = reply.kind === "found" ? reply : undefined;
    this.#read = undefined;
    this.readsAnswered += 1;
    this.#stage.history.read(read.key, found?.version ?? 0, found?.value, read.floor);
  }
}
