/** What people ask of a group's leader, beside its proposals. Rare, so one at a time and in order. */
import { unreachable } from "../core/assert.ts";
import type { LogCore, Now, Outbox, Protocol, Refusal } from "../core/boundary.ts";
import type { AgentId } from "../core/ids.ts";
import { everybody, type MemberChange } from "../core/members.ts";
import type { WireVersion } from "../core/wire-version.ts";
import type { Network } from "./world.ts";

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
  give<P extends Protocol>(
    core: LogCore<P>,
    network: Pick<Network, "versionOf">,
    now: Now,
    out: Outbox<P>,
    drain: () => void,
  ): void {
    const given = this.#waiting;
    this.#waiting = [];
    for (const { order, done } of given) {
      const ready = understood(order, core, network);
      const isOrder = ready.kind === "members" || ready.kind === "transfer";
      const result = isOrder ? giveOne(core, ready, now, out) : ready;
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

/** The version of the wire that knows members that change, and a leader that hands over. */
const versionNeeded: WireVersion = 2;

/**
 * The order, if those whom it concerns understand what comes of it: whoever speaks an earlier version of the wire would not
 * follow the log any further, or not hear that it is to lead. Whoever is not heard from counts as able to.
 */
function understood<P extends Protocol>(
  order: Order,
  core: LogCore<P>,
  { versionOf }: Pick<Network, "versionOf">,
): Order | Refusal {
  const { role, members, peers } = core.status();
  if (role !== "leader") return order;
  const isTooOld = (id: AgentId): boolean => (versionOf(id) ?? versionNeeded) < versionNeeded;
  switch (order.kind) {
    case "members": {
      const concerned = new Set([...everybody(members), ...order.change.steps.map(({ id }) => id)]);
      const tooOld = [...concerned].filter(isTooOld);
      return tooOld.length === 0 ? order : { kind: "notReady", agents: tooOld };
    }
    case "transfer": {
      const tooOld = members.voters.filter(isTooOld);
      if (tooOld.length === 0) return order;
      if (order.to !== undefined)
        return tooOld.includes(order.to) ? { kind: "notReady", agents: [order.to] } : order;
      // The core would choose among all of them.
      const [best] = peers
        .filter(({ id }) => members.voters.includes(id) && !tooOld.includes(id))
        .toSorted((a, b) => b.matched - a.matched);
      return best === undefined ? { kind: "notReady", agents: tooOld } : { kind: "transfer", to: best.id };
    }
    default:
      return unreachable(order);
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
