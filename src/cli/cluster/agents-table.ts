/** The table of agents that `up` keeps on the screen and `status` prints: role, term, log and lag of each. */
import { takesPart, type GroupStatus } from "../../runtime/gateway.ts";
import type { Paint, Style } from "../terminal/colours.ts";
import { byteSize, count, counted, duration } from "../terminal/numbers.ts";
import { type Column, tableLines } from "../terminal/table.ts";

export interface AgentRow {
  readonly id: string;
  readonly address: string;
  readonly pid: number | undefined;
  /** What it sees of its group; undefined where it does not say. */
  readonly status: GroupStatus | undefined;
  /** Shown in place of a role where there is no status: `down`, `starting`, `paused`. */
  readonly state: string;
  /** Why it is down. */
  readonly note: string;
}

const columns: readonly Column[] = [
  { title: "agent" },
  { title: "role" },
  { title: "term", align: "right" },
  { title: "log", align: "right" },
  { title: "decided", align: "right" },
  { title: "lag", align: "right" },
  { title: "priority", align: "right" },
  { title: "address" },
  { title: "pid", align: "right" },
];

/** The table, and below it why those that are down are; beside it there would be no room on 80 columns. */
export function agentsTable(rows: readonly AgentRow[], paint: Paint): string[] {
  const committed = Math.max(0, ...rows.map((row) => row.status?.committed ?? 0));
  const isWanted = ({ title }: Column): boolean => {
    // A process number is known only to whoever started the agents.
    if (title === "pid") return rows.some((row) => row.pid !== undefined);
    return title !== "priority" || haveDifferentPriorities(rows);
  };
  const [titles = "", ...lines] = tableLines(
    columns.filter((column) => isWanted(column)),
    rows.map((row) => cellsOf(row, committed, paint).filter((_, at) => isWanted(columns[at]!))),
  );
  const notes = rows.filter((row) => row.note !== "").map(({ id, note }) => `${id}: ${note}`);
  return [paint("dim", titles), ...lines, ...notes.map((note) => paint("dim", note))];
}

/** The snapshots from which the agents would begin, and behind which their logs are cut off: no room in the table. */
export function snapshotLines(rows: readonly AgentRow[], paint: Paint): string[] {
  return rows.flatMap(({ id, status }) => {
    const base = status?.base;
    if (base === undefined) return [];
    return [paint("dim", `${id}: a snapshot of ${byteSize(base.bytes)} up to entry ${count(base.index)}`)];
  });
}

/** Where all are alike, a priority tells nothing. */
function haveDifferentPriorities(rows: readonly AgentRow[]): boolean {
  return new Set(rows.flatMap(({ status }) => status?.electionPriority ?? [])).size > 1;
}

function cellsOf(row: AgentRow, committed: number, paint: Paint): string[] {
  const { status } = row;
  const pid = row.pid?.toString() ?? "";
  if (status === undefined) {
    const state = paint(row.state === "down" ? "red" : "yellow", row.state);
    return [row.id, state, "", "", "", "", "", row.address, pid];
  }
  return [
    row.id,
    takesPart(status) ? paint(styleOf(status), roleOf(status)) : paint("yellow", "no member"),
    status.term.toString(),
    status.last.toString(),
    status.applied.toString(),
    lagOf(status, committed),
    status.electionPriority?.toString() ?? "",
    row.address,
    pid,
  ];
}

function roleOf({ role, hibernating }: GroupStatus): string {
  return hibernating === true ? `${role}, asleep` : role;
}

function styleOf(status: GroupStatus): Style {
  if (status.role === "leader") return "green";
  return status.leader === undefined ? "yellow" : "dim";
}

/** How much it has not applied yet, and how long ago it last heard from whoever leads. */
function lagOf(status: GroupStatus, committed: number): string {
  const entries = counted(Math.max(0, committed - status.applied), "entry", "entries");
  return status.role === "leader"
    ? entries
    : `${entries}, ${duration(Math.max(0, Math.round(status.lagMs)))}`;
}
