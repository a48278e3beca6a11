import type { GroupStatus } from "../gateway.ts";
import type { GroupClient } from "./group-client.ts";
import type { Pull } from "./stream.ts";
import type { Mechanism, Status } from "./types.ts";

/** A handle's view of its group's status: the newest that is known, for as long as there is any. */
export class StatusBoard {
  readonly #client: GroupClient;
  readonly #mechanism: Mechanism;
  #last: GroupStatus;

  constructor(client: GroupClient, name: string, mechanism: Mechanism) {
    this.#client = client;
    this.#mechanism = mechanism;
    // Before the first word from an agent: nobody is known, and nothing has happened.
    this.#last = {
      mechanism,
      group: name,
      self: "",
      role: "follower",
      term: 0,
      members: [],
      learners: [],
      last: 0,
      committed: 0,
      applied: 0,
      lagMs: 0,
      digest: "",
      peers: [],
    };
  }

  status(): Status {
    this.#last = this.#client.gateway.status() ?? this.#last;
    return { ...this.#last, mechanism: this.#mechanism };
  }

  /** The status now, then the newest one after each change. */
  changes(): Pull<Status> {
    let told = "";
    return (done) => {
      const tell = (): boolean => {
        const status = this.status();
        if (identity(status) === told) return false;
        told = identity(status);
        done({ kind: "items", items: [status] });
        return true;
      };
      if (tell()) return () => {};
      const stop = this.#client.listen({
        changed: () => {
          if (tell()) stop();
        },
        ended: () => {},
      });
      return stop;
    };
  }
}

function identity(status: Status): string {
  const { self, role, term, leader, members, outgoing, learners, next } = status;
  return JSON.stringify([self, role, term, leader, members, outgoing, learners, next]);
}
