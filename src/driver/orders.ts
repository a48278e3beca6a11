/** What people ask of a group's leader, beside its proposals. Rare, so one at a time and in order. */
import { unreachable } from "../core/assert.ts";
import type { LogCore, Now, Outbox, Protocol, Refusal } from "../core/boundary.ts";
import type { AgentId } from "../core/ids.ts";
import type { MemberChange } from "../core/members.ts";

export type Order =
  | { readonly kind: "members"; readonly change: MemberChange }
  /** To that voter, or to the best one. */
  | { readonly kind: "transfer"; readonly to: AgentId | undefined };

/** Accepted: it has begun, and goes on under whoever leads. How it ends is seen from the status. */
export type OrderResult = { readonly kind: "accepted" } | Refusal;

interface Waiting {
  readonly order: Order;
  readonly done: (result: OrderResult) => void;
}

export class Orders {
  #waiting: Waiting[] = [];

  get wait(): boolean {
    return this.#waiting.length > 0;
  }

  add(order: Order, done: (result: OrderResult) => void): void {
    this.#waiting.push({ order, done });
  }

  /** Gives all of them to the core. `drain` follows each, as every input of a core. */
  give<P extends Protocol>(core: LogCore<P>, now: Now, out: Outbox<P>, drain: () => void): void {
    const given = this.#waiting;
    this.#waiting = [];
    for (const { order, done } of given) {
      const result = giveOne(core, order, now, out);
      drain();
      done(result);
    }
  }

  refuseAll(refusal: Refusal): void {
    const refused = this.#waiting;
    this.#waiting = [];
    for (const { done } of refused) done(refusal);
  }
}

function giveOne<P extends Protocol>(core: LogCore<P>, order: Order, now: Now, out: Outbox<P>): OrderResult {
  switch (order.kind) {
    case "members":
      return core.changeMembers(order.change, now, out);
    case "transfer":
      return core.transferLeadership(order.to, now, out);
    default:
      return unreachable(order);
  }
}
