/**
 * A member whose journal or snapshot is damaged has forgotten some of what it promised: it must neither vote nor acknowledge.
 * The others take it out of the group; once that is decided, nothing that it ever promised counts any more, so it begins
 * anew with an empty memory, is taken in as a learner, and votes again when it has caught up.
 */
import type { Address, AgentId, GroupName } from "../core/ids.ts";
import type { MemberChange, MemberStep } from "../core/members.ts";
import { BackOff } from "./back-off.ts";
import { ClientPool } from "./client-pool.ts";
import type { Cancel, Gateway } from "./gateway.ts";
import type { Logger } from "./logger.ts";
import { MemberOrder, type MemberOrderStep } from "./member-order.ts";

export interface RepairOptions {
  readonly self: AgentId;
  /** Where it listens itself. */
  readonly address: string;
  readonly cluster: Uint8Array;
  readonly group: GroupName;
  /** Where the others listen. At least one. */
  readonly peers: readonly string[];
  readonly logger: Logger;
  /** It takes no part any more, and that is decided: it may begin anew. Absent where it has. */
  readonly out?: () => void;
  /** It votes again. */
  readonly done: () => void;
}

export class Repair {
  readonly #options: RepairOptions;
  readonly #pool: ClientPool;
  readonly #gateway: Gateway;
  readonly #backOff = new BackOff();
  #cancel: Cancel | undefined;
  #retry: NodeJS.Timeout | undefined;
  #complaint = "";
  #closed = false;

  constructor(options: RepairOptions) {
    this.#options = options;
    const { peers, cluster, self, group } = options;
    this.#pool = new ClientPool({ agents: peers, cluster, name: self });
    this.#gateway = this.#pool.gateway(group);
  }

  start(): void {
    const { out } = this.#options;
    if (out === undefined) this.#comeBack();
    else
      this.#become("removed", () => {
        out();
        this.#comeBack();
      });
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#cancel?.();
    this.#pool.close();
  }

  #comeBack(): void {
    this.#become("voter", () => {
      this.#options.logger.info(`${this.#options.group}: repaired; this agent votes again`);
      this.close();
      this.#options.done();
    });
  }

  /** Again and again, for as long as it takes the others to decide it. */
  #become(kind: MemberStep["kind"], then: () => void): void {
    const { self, address } = this.#options;
    const change: MemberChange = {
      steps: [{ kind, id: self }],
      ...(kind === "removed" ? {} : { addresses: new Map([[self, address as Address]]) }),
    };
    const order = new MemberOrder(this.#gateway, change);
    const attempt = (): void => {
      this.#cancel = order.attempt((step) => {
        if (this.#closed) return;
        if (step.kind === "decided") {
          this.#backOff.reset();
          then();
          return;
        }
        this.#complain(step);
        this.#retry = setTimeout(attempt, this.#backOff.next());
      });
    };
    attempt();
  }

  /** The same reason is one line in the log, however often it is met. */
  #complain(step: Exclude<MemberOrderStep, { readonly kind: "decided" }>): void {
    const why = step.kind === "tooOld" ? "their program is too old" : (step.refusal?.kind ?? "");
    if (why === "" || why === "busy" || why === this.#complaint) return;
    this.#complaint = why;
    this.#options.logger.warn(`${this.#options.group}: the others can't repair this agent yet (${why})`);
  }
}
