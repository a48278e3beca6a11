/**
 * Recovery's decisions, as a table: what the place where a block is due holds × what follows it. The type makes the
 * table total; `decision.test.ts` goes through all combinations.
 */

/** What the place where the next block is due holds. */
export const places = [
  /** A valid block with the number that is due. */
  "next",
  /** A valid block with a higher number: blocks before it are missing. */
  "ahead",
  /** The first block of a segment, with a number that has been seen: a recovery went on from before it. */
  "restart",
  /** A valid block of this segment at the wrong place: its number is not above the one before it. */
  "misplaced",
  /** Written as a block of this segment, yet its length or checksum is wrong. */
  "broken",
  /** Zeros, bytes of the file's earlier life, anything else. */
  "blank",
] as const;

/** The next valid block behind that place, wherever it lies. */
export const followers = [
  /** There is none. */
  "nothing",
  /** It has the number that is due, or a lower one: no block is missing. */
  "next",
  /** Block numbers are missing; it lies in the same segment. */
  "gapHere",
  /** Block numbers are missing; it lies in a later segment, and all segments up to there exist. */
  "gapLater",
  /** Block numbers are missing, and so are segments: they may have been recycled together. */
  "gapRecycled",
] as const;

export const decisions = [
  /** The block counts. */
  "accept",
  /** The block counts, and groups that it proves nothing about may have lost records before it. */
  "acceptBehindGap",
  /** The block counts; what earlier segments hold under its number and above was cut by the recovery that wrote it. */
  "acceptAndCut",
  /** Nothing was ever acknowledged here: go on. */
  "pass",
  /** A write that was never synced, so never reported durable: cut. */
  "torn",
  /** A block that was synced, since a later one exists, has gone. */
  "corrupt",
] as const;

export type Place = (typeof places)[number];
export type Follower = (typeof followers)[number];
export type Decision = (typeof decisions)[number];

function whatever(decision: Decision): Record<Follower, Decision> {
  return {
    nothing: decision,
    next: decision,
    gapHere: decision,
    gapLater: decision,
    gapRecycled: decision,
  };
}

/**
 * Since a block is written only after the one before it is synced, a block is unsynced only if no later one exists.
 * So an invalid place is *torn* where no number is missing behind it, and *corrupt* where one is.
 */
const invalid: Record<Follower, Decision> = {
  nothing: "torn",
  next: "torn",
  gapHere: "corrupt",
  gapLater: "corrupt",
  gapRecycled: "corrupt",
};

export const decisionTable: Record<Place, Record<Follower, Decision>> = {
  next: whatever("accept"),
  ahead: whatever("acceptBehindGap"),
  restart: whatever("acceptAndCut"),
  misplaced: invalid,
  broken: invalid,
  blank: {
    nothing: "pass",
    next: "pass",
    gapHere: "corrupt",
    gapLater: "corrupt",
    // The usual end of a segment whose successors have been recycled before it.
    gapRecycled: "pass",
  },
};
