/** What a script is told by the exit code. Listed in `docs/cli.md` and in `quorate --help`. */
export const exitCodes = {
  /** Done. */
  ok: 0,
  /** Certainly not done, or the answer is no (no such key, a conflict, a damaged journal). */
  failed: 1,
  /** The command line is wrong; nothing was tried. */
  usage: 2,
  /** Perhaps done, perhaps not: the answer did not come in time. */
  unknown: 3,
  /** Ended by Ctrl-C before it was through. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
