import type { Scheduler } from "../driver/world.ts";
import type { ClientConnection } from "./client-connection.ts";

/** The clients that have answers waiting: all leave when the turn ends, or soon after where none is under way. */
export class Outgoing {
  readonly #scheduler: Scheduler;
  readonly #waiting = new Set<ClientConnection>();
  readonly #flushNow = (): void => {
    this.#scheduled = false;
    this.flush();
  };
  #scheduled = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  add(client: ClientConnection): void {
    this.#waiting.add(client);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#scheduler.soon(this.#flushNow);
  }

  flush(): void {
    if (this.#waiting.size === 0) return;
    const clients = [...this.#waiting];
    this.#waiting.clear();
    for (const client of clients) client.flush();
  }
}
