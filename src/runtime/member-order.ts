/**
 * A change of members, followed to its end: ordered, looked at until nothing of it is under way any more, and ordered once
 * more. The leader accepts what is so already without writing anything, and only once its configuration is decided.
 */
import type { Refusal } from "../core/boundary.ts";
import type { MemberChange } from "../core/members.ts";
import type { Cancel, Gateway, GroupStatus } from "./gateway.ts";

/** `again`: not yet; try again a little later. */
export type MemberOrderStep =
  | { readonly kind: "decided" }
  | { readonly kind: "again"; readonly refusal: Refusal | undefined }
  | { readonly kind: "tooOld" };

export class MemberOrder {
  /** It may have begun. */
  begun = false;
  readonly #gateway: Gateway;
  readonly #change: MemberChange;
  #seenAtRest = false;
  #cancel: Cancel | undefined;

  constructor(gateway: Gateway, change: MemberChange) {
    this.#gateway = gateway;
    this.#change = change;
  }

  /** One attempt; `done` is called once, unless it is taken back. */
  attempt(done: (step: MemberOrderStep) => void): Cancel {
    this.#order(done);
    return () => this.#cancel?.();
  }

  #order(done: (step: MemberOrderStep) => void): void {
    this.#cancel = this.#gateway.order({ kind: "members", change: this.#change }, (result) => {
      if (result.kind === "accepted") {
        this.begun = true;
        if (this.#seenAtRest) done({ kind: "decided" });
        else this.#look(done);
        return;
      }
      this.#seenAtRest = false;
      if (result.kind === "lost") this.begun = true;
      if (result.kind === "tooOld") done(result);
      else done({ kind: "again", refusal: result.kind === "lost" ? undefined : result });
    });
  }

  #look(done: (step: MemberOrderStep) => void): void {
    this.#cancel = this.#gateway.refreshStatus((result) => {
      this.#seenAtRest = result.kind === "status" && isDone(result.status, this.#change);
      if (this.#seenAtRest) this.#order(done);
      else done({ kind: "again", refusal: undefined });
    });
  }
}

/** Nothing is under way, and everybody is what the change says; the last word about somebody counts. */
function isDone(status: GroupStatus, { steps }: MemberChange): boolean {
  if (status.outgoing !== undefined || status.next !== undefined) return false;
  const wanted = new Map(steps.map(({ id, kind }) => [id, kind]));
  return [...wanted].every(([id, kind]) => {
    const isVoter = status.members.includes(id);
    const isLearner = status.learners.includes(id);
    if (kind === "voter") return isVoter;
    return kind === "learner" ? isLearner && !isVoter : !isVoter && !isLearner;
  });
}
