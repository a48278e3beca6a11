/** `████████░░░░░░░░  500/1000`: how far something has come. */
import { paddedLeft } from "./width.ts";

const cells = 16;

/** `done` of `total`; a total of 0 is a full bar. */
export function progressBar(done: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  // Never full before the end.
  const full = share === 1 ? cells : Math.min(cells - 1, Math.floor(share * cells));
  const digits = total.toString().length;
  return `${"█".repeat(full)}${"░".repeat(cells - full)} ${paddedLeft(done.toString(), digits)}/${total}`;
}
