/**
 * A way into a group that is still being opened (its journal's folder has to be locked first). Questions wait until it
 * is open; commands are dropped, since sessions hand them in again when they hear that they were interrupted.
 */
import { QuorateError } from "../../core/errors.ts";
import type { GroupName } from "../../core/ids.ts";
import type { Order } from "../../driver/orders.ts";
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
} from "../gateway.ts";

interface Waiting {
  start(gateway: Gateway): Cancel;
  lose(): void;
  cancel: Cancel | undefined;
}

export class DeferredGateway implements Gateway {
  readonly group: GroupName;
  readonly #listeners = new Set<GatewayListener>();
  readonly #stops = new Map<GatewayListener, Cancel>();
  readonly #waiting = new Set<Waiting>();
  #gateway: Gateway | undefined;
  #closed = false;

  constructor(group: GroupName, opening: Promise<Gateway>) {
    this.group = group;
    opening.then(
      (gateway) => this.#opened(gateway),
      (error: unknown) => this.#failed(error),
    );
  }

  propose(commands: readonly Uint8Array[], options?: ProposeOptions): void {
    this.#gateway?.propose(commands, options);
  }

  query(question: Uint8Array, at: "linearizable" | "local", done: (result: QueryResult) => void): Cancel {
    return this.#whenOpen(
      (gateway) => gateway.query(question, at, done),
      () => done({ kind: "lost" }),
    );
  }

  changes(filter: Uint8Array, from: number, done: (result: ChangesResult) => void): Cancel {
    return this.#whenOpen(
      (gateway) => gateway.changes(filter, from, done),
      () => done({ kind: "lost" }),
    );
  }

  entries(from: number, done: (result: EntriesResult) => void): Cancel {
    return this.#whenOpen(
      (gateway) => gateway.entries(from, done),
      () => done({ kind: "lost" }),
    );
  }

  campaign(done: (result: CampaignResult) => void): Cancel {
    return this.#whenOpen(
      (gateway) => gateway.campaign(done),
      () => done({ kind: "lost" }),
    );
  }

  order(order: Order, done: (result: OrderOutcome) => void): Cancel {
    return this.#whenOpen(
      (gateway) => gateway.order(order, done),
      () => done({ kind: "lost" }),
    );
  }

  status(): GroupStatus | undefined {
    return this.#gateway?.status();
  }

  refreshStatus(done: (result: StatusResult) => void): Cancel {
    return this.#whenOpen(
      (gateway) => gateway.refreshStatus(done),
      () => done({ kind: "lost" }),
    );
  }

  appliedNow(): number | undefined {
    return this.#gateway?.appliedNow();
  }

  problem(): QuorateError | undefined {
    return this.#gateway?.problem();
  }

  listen(listener: GatewayListener): Cancel {
    this.#listeners.add(listener);
    if (this.#gateway !== undefined) this.#stops.set(listener, this.#gateway.listen(listener));
    return () => {
      this.#listeners.delete(listener);
      this.#stops.get(listener)?.();
      this.#stops.delete(listener);
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#gateway === undefined) this.#end(undefined);
    else this.#gateway.close();
  }

  #whenOpen(start: (gateway: Gateway) => Cancel, lose: () => void): Cancel {
    if (this.#gateway !== undefined) return start(this.#gateway);
    const waiting: Waiting = { start, lose, cancel: undefined };
    this.#waiting.add(waiting);
    if (this.#closed) setImmediate(() => this.#lose(waiting));
    return () => {
      this.#waiting.delete(waiting);
      waiting.cancel?.();
    };
  }

  #lose(waiting: Waiting): void {
    if (this.#waiting.delete(waiting)) waiting.lose();
  }

  #opened(gateway: Gateway): void {
    if (this.#closed) {
      gateway.close();
      return;
    }
    this.#gateway = gateway;
    for (const listener of this.#listeners) this.#stops.set(listener, gateway.listen(listener));
    for (const waiting of this.#waiting) waiting.cancel = waiting.start(gateway);
    this.#waiting.clear();
    const status = gateway.status();
    for (const listener of this.#listeners) {
      if (status !== undefined) listener.statusChanged(status);
      listener.interrupted();
    }
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#end(
      error instanceof QuorateError
        ? error
        : new QuorateError("CLOSED", "The group could not be opened.", {
            outcome: "notDone",
            hint: "Look at the error's cause.",
            cause: error,
          }),
    );
  }

  #end(error: QuorateError | undefined): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener.closed(error);
    for (const waiting of this.#waiting) this.#lose(waiting);
  }
}
