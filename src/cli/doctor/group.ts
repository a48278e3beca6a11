/** What the members of one group say of it, compared: whether it decides, how many it can lose, and whether all agree. */
import { majority } from "../../core/quorum.ts";
import type { GroupStatus } from "../../runtime/gateway.ts";
import { count, counted, duration } from "../terminal/numbers.ts";
import type { AgentView } from "./ask.ts";
import { fine, problem, warning, type Finding } from "./finding.ts";
import { grouped } from "./grouped.ts";

/** Entries that a member may be behind at a moment of load. */
const lagEntriesMax = 1000;
/** So long without a word from a leader is many time-outs. */
const silenceMsMax = 2000;

interface Said {
  readonly id: string;
  readonly status: GroupStatus;
}

/** `views`: all agents of the cluster, also those that do not answer. */
export function groupFindings(group: string, views: readonly AgentView[]): Finding[] {
  const of = `group ${group}`;
  const said = views.flatMap(({ id, groups }): Said[] => {
    const status = groups.get(group);
    return status === undefined ? [] : [{ id, status }];
  });
  const newest = said.toSorted((a, b) => b.status.committed - a.status.committed)[0];
  if (newest === undefined) return [];
  return [
    ...leaders(of, said),
    ...quorum(of, said, newest.status),
    ...strays(of, group, newest.status, views),
    ...lostLearners(of, said, newest.status),
    ...membership(of, said),
    ...lag(of, said, newest.status.committed),
    ...disks(of, said),
    ...digests(of, said),
  ];
}

function leaders(of: string, said: readonly Said[]): Finding[] {
  const term = Math.max(...said.map(({ status }) => status.term));
  const findings: Finding[] = [];
  for (const [theirs, those] of grouped(
    said.filter(({ status }) => status.role === "leader"),
    ({ status }) => status.term,
  )) {
    if (those.length < 2) continue;
    findings.push(
      problem(
        of,
        `${names(those)} all lead in term ${theirs}`,
        "This must never happen. Stop the agents, keep their folders and logs as they are, and report it.",
      ),
    );
  }
  const leader = said.find(({ status }) => status.role === "leader" && status.term === term);
  if (leader === undefined) {
    const toDo =
      "An election takes less than a second: look again. If it stays so, too few voters reach each other.";
    findings.push(problem(of, `nobody leads in term ${term}`, toDo));
  } else if (findings.length === 0) findings.push(fine(of, `${leader.id} leads in term ${term}`));
  const behind = said.filter(({ status }) => status.term < term);
  if (behind.length > 0) {
    const terms = behind.map(({ id, status }) => `${id} in ${status.term}`).join(", ");
    const toDo =
      "Look again: in an election that is so for a moment. If it stays, they don't hear the leader.";
    findings.push(warning(of, `not in term ${term}: ${terms}`, toDo));
  }
  return findings;
}

/** How many more voters may fail: while they change, the old ones and the new must both agree. */
function quorum(of: string, said: readonly Said[], status: GroupStatus): Finding[] {
  const { members, outgoing = [], next = [], learners } = status;
  const here = new Set(said.map(({ id }) => id));
  const findings = [votersFinding(of, "voter", members, here)];
  if (outgoing.length > 0) findings.push(votersFinding(of, "outgoing voter", outgoing, here));
  if (next.length > 0) findings.push(fine(of, `a change is under way: ${next.join(", ")} will vote`));
  if (learners.length > 0) findings.push(fine(of, `learners: ${learners.join(", ")}`));
  return findings;
}

/** Members whose agents run and host other groups, or none. */
function strays(of: string, group: string, status: GroupStatus, views: readonly AgentView[]): Finding[] {
  const { members, outgoing = [], learners } = status;
  const isStray = (id: string): boolean =>
    views.some((view) => view.id === id && view.report !== undefined && !view.report.groups.includes(group));
  const found = [...new Set([...members, ...outgoing, ...learners])].filter(isStray);
  if (found.length === 0) return [];
  const toDo = "Have the program that runs them host it (agent.group): it was not asked to.";
  return [problem(of, `members that run without this group: ${found.join(", ")}`, toDo)];
}

function lostLearners(of: string, said: readonly Said[], { learners }: GroupStatus): Finding[] {
  const lost = learners.filter((id) => !said.some((view) => view.id === id));
  if (lost.length === 0) return [];
  const toDo = "Start them, or remove them: quorate members remove.";
  return [warning(of, `learners that do not answer: ${lost.join(", ")}`, toDo)];
}

function votersFinding(
  of: string,
  noun: string,
  voters: readonly string[],
  here: ReadonlySet<string>,
): Finding {
  const away = voters.filter((id) => !here.has(id));
  const needed = majority(voters.length);
  const spare = voters.length - away.length - needed;
  const have = `${voters.length - away.length} of ${counted(voters.length, noun)} here, ${needed} needed`;
  if (away.length === 0) return fine(of, `${have}: ${spare === 0 ? "none" : count(spare)} may fail`);
  const what = `${have}; missing: ${away.join(", ")}`;
  if (spare < 0) {
    const toDo = "Nothing is decided until more of them run: start them. Lost for ever? quorate recover.";
    return problem(of, what, toDo);
  }
  const toDo = spare === 0 ? "Start them: with one less, nothing is decided any more." : "Start them.";
  return warning(of, what, toDo);
}

function membership(of: string, said: readonly Said[]): Finding[] {
  const byMembers = grouped(said, ({ status }) =>
    [...status.members, ...status.learners.map((id) => `${id} (learner)`)].toSorted().join(", "),
  );
  if (byMembers.size < 2) return [];
  const parts = [...byMembers].map(([members, those]) => `${names(those)}: ${members}`);
  const toDo =
    "While a change of members is under way that is so for a moment: look again. If it stays, the one that is behind does not hear the leader.";
  return [warning(of, `they do not agree on the members: ${parts.join("; ")}`, toDo)];
}

function lag(of: string, said: readonly Said[], committed: number): Finding[] {
  const findings: Finding[] = [];
  for (const { id, status } of said) {
    const entries = committed - status.applied;
    if (entries > lagEntriesMax) {
      const toDo =
        "Wait, if it has just started. If it does not catch up, look at its disk and its processor.";
      findings.push(warning(of, `${id} is ${counted(entries, "entry", "entries")} behind`, toDo));
    }
    if (status.role !== "leader" && status.lagMs > silenceMsMax) {
      const toDo = "It does not hear the leader, or there is none: see which links are down.";
      findings.push(warning(of, `${id} has heard nothing from a leader for ${duration(status.lagMs)}`, toDo));
    }
  }
  return findings.length > 0
    ? findings
    : [fine(of, `all have applied what is decided, up to ${count(committed)}, or nearly`)];
}

function disks(of: string, said: readonly Said[]): Finding[] {
  const full = said.filter(({ status }) => status.diskFull === true);
  if (full.length === 0) return [];
  return [problem(of, `the disk of ${names(full)} is full`, "Free some space there; it goes on by itself.")];
}

/** After the same entries all have the same state; at different ones nothing can be said. */
function digests(of: string, said: readonly Said[]): Finding[] {
  const findings: Finding[] = [];
  let compared = 0;
  for (const [applied, those] of grouped(said, ({ status }) => status.applied)) {
    const byDigest = grouped(those, ({ status }) => status.digest);
    compared = Math.max(compared, those.length);
    if (byDigest.size < 2) continue;
    const parts = [...byDigest].map(([digest, same]) => `${names(same)}: ${digest.slice(0, 12)}`);
    const toDo =
      "A state machine is not deterministic, differs between programs, or memory is damaged. Stop the one that is alone with its state, keep its folder, and report it.";
    findings.push(
      problem(of, `after entry ${count(applied)} their states differ: ${parts.join("; ")}`, toDo),
    );
  }
  if (findings.length > 0 || compared < 2) return findings;
  return [fine(of, `${compared} of them are at the same entry, with the same state`)];
}

function names(said: readonly Said[]): string {
  return said.map(({ id }) => id).join(", ");
}
