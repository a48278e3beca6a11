/** How this folder's tests plant bugs in a simulated cluster: in its cores, journals, disks and states. */
import type { LogCore, Now, Outbox, Send } from "../core/boundary.ts";
import type { Ticket } from "../core/ids.ts";
import type { AppliedState } from "../driver/hosted.ts";
import type { DriverJournal } from "../driver/world.ts";
import type { Disk } from "../journal/disk.ts";
import type { JournalOptions } from "../journal/journal.ts";
import type { RaftMessage, RaftPromise, RaftProtocol } from "../raft/messages.ts";
import { productionParts, type Parts, type SimulatedCore } from "./parts.ts";

export interface Hooks {
  /** A message before the core gets it; undefined: it never does. */
  readonly receive?: (
    message: RaftMessage | RaftPromise,
    core: SimulatedCore,
  ) => RaftMessage | RaftPromise | undefined;
  /** The outbox after any input. */
  readonly after?: (out: Outbox<RaftProtocol>, core: SimulatedCore) => void;
  readonly read?: (
    out: Outbox<RaftProtocol>,
    core: SimulatedCore,
  ) => { kind: "ticket"; ticket: Ticket } | undefined;
  readonly anchor?: (bytes: Uint8Array, core: SimulatedCore) => Uint8Array;
  /** What the core takes the clocks to show at an input. */
  readonly clock?: (now: Now, input: string) => Now;
  /** The core never hears that a link broke. */
  readonly ignoresLinks?: boolean;
}

/** A core that behaves but for the hooks. Everything else goes to the true one. */
function hooked(core: SimulatedCore, hooks: Hooks): SimulatedCore {
  return new Proxy(core, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...given: unknown[]): unknown => {
        const args = [...given];
        const out = args.at(-1) as Outbox<RaftProtocol>;
        if (name === "receive" && hooks.receive !== undefined) {
          const message = hooks.receive(args[1] as RaftMessage | RaftPromise, target);
          if (message === undefined) return undefined;
          args[1] = message;
        }
        if (hooks.clock !== undefined && inputs.has(name)) {
          args[args.length - 2] = hooks.clock(args.at(-2) as Now, String(name));
        }
        if (name === "linkChanged" && hooks.ignoresLinks === true) return undefined;
        const instead = name === "read" ? hooks.read?.(out, target) : undefined;
        if (instead !== undefined) return instead;
        const result: unknown = Reflect.apply(value, target, args);
        if (inputs.has(name)) hooks.after?.(out, target);
        if (name === "anchor" && hooks.anchor !== undefined)
          return hooks.anchor(result as Uint8Array, target);
        return result;
      };
    },
  });
}

/** A method as one of the true object, which alone may touch its private fields. */
function bound(target: object, value: unknown): unknown {
  if (typeof value !== "function") return value;
  return (...args: unknown[]): unknown => Reflect.apply(value, target, args);
}

const inputs: ReadonlySet<string | symbol> = new Set<keyof LogCore<RaftProtocol>>([
  "wake",
  "receive",
  "durable",
  "linkChanged",
  "propose",
  "campaign",
  "read",
  "applied",
  "loaded",
]);

export function withCore(hooks: () => Hooks): Partial<Parts> {
  return {
    createCore: (options, recovered) => hooked(productionParts.createCore(options, recovered), hooks()),
  };
}

/** Replaces promises on their way out. */
export function withPromises(
  change: (send: Send<RaftPromise>, core: SimulatedCore) => RaftPromise,
): Partial<Parts> {
  return withCore(() => ({
    after: (out, core) => {
      const promises = out.sendsOnceDurable.toArray();
      out.sendsOnceDurable.clear();
      for (const send of promises) out.sendsOnceDurable.push({ ...send, message: change(send, core) });
    },
  }));
}

export function withJournal(change: (journal: DriverJournal) => Partial<DriverJournal>): Partial<Parts> {
  return {
    openJournal: (options) => {
      const journal = productionParts.openJournal(options);
      const changed = change(journal);
      return new Proxy(journal, {
        get(target, name) {
          return bound(target, Reflect.get(changed, name) ?? Reflect.get(target, name, target));
        },
      });
    },
  };
}

export function withState(change: (state: AppliedState) => Partial<AppliedState>): Partial<Parts> {
  return {
    createState: (machines) => {
      const state = productionParts.createState(machines);
      return {
        apply: (bytes, offset) => state.apply(bytes, offset),
        query: (question) => state.query(question),
        tookEffect: (index) => state.tookEffect(index),
        changes: (filter, from, changesMax) => state.changes(filter, from, changesMax),
        digest: () => state.digest(),
        snapshot: () => state.snapshot(),
        restoring: (pieces, expected) => state.restoring(pieces, expected),
        ...change(state),
      };
    },
  };
}

/** A disk whose asynchronous sync answers soon and does nothing. */
export function lying<T extends Pick<JournalOptions, "disk" | "schedule">>(options: T): T {
  const { disk } = options;
  const lyingDisk: Disk = {
    list: () => disk.list(),
    remove: (name) => disk.remove(name),
    rename: (from, to) => disk.rename(from, to),
    syncDirectory: (done) => disk.syncDirectory(done),
    syncDirectoryNow: () => disk.syncDirectoryNow(),
    open: (name, mode) => {
      const file = disk.open(name, mode);
      return new Proxy(file, {
        get(target, property) {
          if (property === "sync") return (done: () => void) => options.schedule(() => done());
          return bound(target, Reflect.get(target, property, target));
        },
      });
    },
  };
  return { ...options, disk: lyingDisk };
}
