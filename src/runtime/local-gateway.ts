/** The way into a group that this very process hosts. */
import type { Refusal } from "../core/boundary.ts";
import type { ProgressState } from "../core/decision.ts";
import type { QuorateError } from "../core/errors.ts";
import type { GroupName } from "../core/ids.ts";
import { NumberTable } from "../core/number-table.ts";
import type { Order } from "../driver/orders.ts";
import type { Scheduler } from "../driver/world.ts";
import type {
  CampaignResult,
  Cancel,
  ChangesResult,
  EntriesResult,
  Gateway,
  GatewayListener,
  GroupStatus,
  OrderOutcome,
  ProposeOptions,
  QueryResult,
  StatusResult,
} from "./gateway.ts";
import type { GroupHub, Subscriber } from "./group-hub.ts";

export class LocalGateway implements Gateway, Subscriber {
  readonly group: GroupName;
  readonly #hub: GroupHub;
  readonly #scheduler: Scheduler;
  readonly #listeners = new Set<GatewayListener>();
  readonly #leave: Cancel;
  /** What is under way, each with what to call where it ends as lost. */
  readonly #calls = new NumberTable<() => void>();
  #lastCall = 0;
  #closed = false;

  constructor(hub: GroupHub, scheduler: Scheduler) {
    this.group = hub.name;
    this.#hub = hub;
    this.#scheduler = scheduler;
    this.#leave = hub.subscribe(this);
  }

  propose(commands: readonly Uint8Array[], options?: ProposeOptions): void {
    if (!this.#closed) this.#hub.propose(this, commands, options);
  }

  query(question: Uint8Array, at: "linearizable" | "local", done: (result: QueryResult) => void): Cancel {
    return this.#call(done, (settle) => {
      this.#hub.query(question, at, settle);
      return undefined;
    });
  }

  changes(filter: Uint8Array, from: number, done: (result: ChangesResult) => void): Cancel {
    return this.#call(done, (settle) => this.#hub.changes(filter, from, settle));
  }

  entries(from: number, done: (result: EntriesResult) => void): Cancel {
    return this.#call(done, (settle) => this.#hub.entries(from, settle));
  }

  campaign(done: (result: CampaignResult) => void): Cancel {
    return this.#call(done, (settle) => this.#hub.campaign(settle));
  }

  order(order: Order, done: (result: OrderOutcome) => void): Cancel {
    return this.#call(done, (settle) => {
      this.#hub.orderAnywhere(order, settle);
      return undefined;
    });
  }

  status(): GroupStatus | undefined {
    return this.#hub.status();
  }

  refreshStatus(done: (result: StatusResult) => void): Cancel {
    return this.#call(done, (settle) => {
      this.#scheduler.soon(() => {
        const status = this.status();
        settle(status === undefined ? { kind: "lost" } : { kind: "status", status });
      });
      return undefined;
    });
  }

  appliedNow(): number | undefined {
    return this.#hub.status()?.applied;
  }

  /** Nothing is between this gateway and its group. */
  problem(): QuorateError | undefined {
    return undefined;
  }

  listen(listener: GatewayListener): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.closed();
  }

  // ── what the hub tells ──

  answered(session: number, sequence: number, answer: Uint8Array): void {
    for (const listener of this.#listeners) listener.answered(session, sequence, answer);
  }

  refused(session: number, sequence: number, refusal: Refusal): void {
    for (const listener of this.#listeners) listener.refused(session, sequence, refusal);
  }

  progressed(session: number, sequence: number, state: ProgressState): void {
    for (const listener of this.#listeners) listener.progressed(session, sequence, state);
  }

  interrupted(): void {
    for (const listener of this.#listeners) listener.interrupted();
  }

  statusChanged(): void {
    const status = this.status();
    if (status !== undefined) for (const listener of this.#listeners) listener.statusChanged(status);
  }

  closed(error?: QuorateError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leave();
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    this.#scheduler.soon(() => {
      // Not before: until now they may be taken back.
      const calls = this.#calls.toArray();
      this.#calls.clear();
      for (const lose of calls) lose();
      for (const listener of listeners) listener.closed(error);
    });
  }

  // ── inside ──

  /** `begin` gives what takes the question back, if there is such a thing. `done` is called at most once. */
  #call<R>(
    done: (result: R | { readonly kind: "lost" }) => void,
    begin: (settle: (result: R | { readonly kind: "lost" }) => void) => Cancel | undefined,
  ): Cancel {
    if (this.#closed) {
      let wanted = true;
      this.#scheduler.soon(() => {
        if (wanted) done({ kind: "lost" });
      });
      return () => {
        wanted = false;
      };
    }
    this.#lastCall += 1;
    const number = this.#lastCall;
    this.#calls.add(number, () => {
      takeBack?.();
      done({ kind: "lost" });
    });
    const takeBack = begin((result) => {
      if (this.#calls.delete(number) !== undefined) done(result);
    });
    return () => {
      if (this.#calls.delete(number) !== undefined) takeBack?.();
    };
  }
}
