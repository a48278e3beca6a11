/**
 * What an agent's process and the process that started it tell each other, over the channel that Node opens between them.
 * Its end is a message too: when the parent is gone, however it went, the agent ends by itself.
 */
import type { GroupStatus } from "../../runtime/gateway.ts";
import type { Failure } from "../failure.ts";

/** From an agent to its parent. */
export type AgentReport =
  | {
      /** It runs and listens. */ readonly kind: "listening";
      readonly id: string;
      readonly address: string;
    }
  | {
      /** What it sees of its group; whenever that changes. */ readonly kind: "status";
      readonly status: GroupStatus;
    }
  | {
      /** It can't start, or can't go on. */ readonly kind: "failed";
      readonly failure: Failure;
    };

/** From the parent: end in good order. */
export interface StopRequest {
  readonly kind: "stop";
}

const kinds: ReadonlySet<unknown> = new Set<AgentReport["kind"]>(["listening", "status", "failed"]);

export function isAgentReport(message: unknown): message is AgentReport {
  return typeof message === "object" && message !== null && "kind" in message && kinds.has(message.kind);
}

export function isStopRequest(message: unknown): message is StopRequest {
  return typeof message === "object" && message !== null && "kind" in message && message.kind === "stop";
}
