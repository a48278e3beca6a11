import type { Scheduler } from "../driver/world.ts";
import type { ClientConnection } from "./client-connection.ts";

/** The clients that have answers waiting: all leave when the turn ends, or soon after where none is under way. */
export class Outgoing {
  readonly #scheduler: Scheduler;
  #waiting: ClientConnection[] = [];
  readonly #flushNow = (): void => {
    this.#scheduled = false;
    this.flush();
  };
  #scheduled = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  add(client: ClientConnection): void {
    if (client.isOutgoing) return;
    client.isOutgoing = true;
    this.#waiting.push(client);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#scheduler.soon(this.#flushNow);
  }

  flush(): void {
    if (this.#waiting.length === 0) return;
    const clients = this.#waiting;
    this.#waiting = [];
    for (const client of clients) {
      client.isOutgoing = false;
      client.flush();
    }
  }
}
