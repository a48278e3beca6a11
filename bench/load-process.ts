/** Starts `load.ts` as a process of its own, and asks it to run loads one after another. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { LoadResult } from "./closed-loop.ts";
import type { LoadRequest } from "./load.ts";

const script = fileURLToPath(new URL("load.ts", import.meta.url));

export interface LoadProcess {
  run(request: LoadRequest): Promise<LoadResult>;
  stop(): void;
}

export function startLoad(): LoadProcess {
  const child = fork(script, { execArgv: ["--import", "tsx"] });
  return {
    run: (request) =>
      new Promise((resolve, reject) => {
        const exited = (code: number | null): void =>
          reject(new Error(`the load process ended with code ${String(code)}`));
        child.once("exit", exited);
        child.once("message", (answer: { result?: LoadResult; error?: string }) => {
          child.off("exit", exited);
          if (answer.result === undefined)
            reject(new Error(answer.error ?? "the load process gave no result"));
          else resolve(answer.result);
        });
        child.send(request);
      }),
    stop: () => void child.kill("SIGKILL"),
  };
}
