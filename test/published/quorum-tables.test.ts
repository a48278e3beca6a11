/**
 * Tables that others published, read where they are and never copied into the project. They are looked for in
 * QUORATE_VECTORS, else beside the repository; without them, these tests are skipped.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type AgentId, committedIndex, everyIndex, type LogIndex, voteResult } from "../../src/core/index.ts";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const vectors = process.env["QUORATE_VECTORS"] ?? `${repository}../shared/vectors`;

interface Case {
  readonly line: string;
  readonly voters: AgentId[];
  /** Per voter; undefined where the table has `_`. */
  readonly values: (string | undefined)[];
  readonly answer: string;
}

/** `command`, `----`, output up to the next blank line; the output's last line is the answer. */
function readTable(file: string): Case[] {
  const lines = readFileSync(file, "utf8").split("\n");
  const cases: Case[] = [];
  for (let at = 1; at < lines.length; at++) {
    if (lines[at] !== "----") continue;
    const line = lines[at - 1]!;
    let end = at + 1;
    while (end < lines.length && lines[end]!.trim() !== "") end += 1;
    const voters = listOf(line, "cfg").filter((id) => id !== undefined) as AgentId[];
    const values = listOf(line, "idx|votes");
    cases.push({ line, voters, values, answer: lines[end - 1]! });
  }
  return cases;
}

function listOf(line: string, name: string): (string | undefined)[] {
  const found = new RegExp(`(?:${name})=\\(([^)]*)\\)`).exec(line)?.[1] ?? "";
  return found
    .split(",")
    .map((item) => (item.trim() === "_" || item.trim() === "" ? undefined : item.trim()));
}

function mapOf<T>(
  voters: readonly AgentId[],
  values: readonly (string | undefined)[],
  read: (value: string) => T,
): Map<AgentId, T> {
  const map = new Map<AgentId, T>();
  voters.forEach((id, at) => {
    const value = values[at];
    if (value !== undefined) map.set(id, read(value));
  });
  return map;
}

describe.skipIf(!existsSync(`${vectors}/quorum`))("published tables", () => {
  it("agree about every committed index", () => {
    const cases = readTable(`${vectors}/quorum/majority_commit.txt`);
    expect(cases.length).toBeGreaterThan(10);
    for (const { line, voters, values, answer } of cases) {
      const map = mapOf(voters, values, (value) => Number(value) as LogIndex);
      const expected = answer.includes("∞") ? everyIndex : Number(answer);
      expect({ line, index: committedIndex(voters, (id) => map.get(id)) }).toEqual({ line, index: expected });
    }
  });

  it("agree about every vote", () => {
    const cases = readTable(`${vectors}/quorum/majority_vote.txt`);
    expect(cases.length).toBeGreaterThan(10);
    const words = { won: "VoteWon", lost: "VoteLost", pending: "VotePending" } as const;
    for (const { line, voters, values, answer } of cases) {
      const map = mapOf(voters, values, (value) => value === "y");
      expect({ line, result: words[voteResult(voters, (id) => map.get(id))] }).toEqual({
        line,
        result: answer,
      });
    }
  });
});
