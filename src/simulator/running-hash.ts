/**
 * A running hash of everything that goes into and comes out of a cluster: the same seed twice must give the same one.
 * Two lanes of 32 bits, each mixed as in MurmurHash3 (Appleby, 2011). It tells runs apart; it resists nobody.
 */
export class RunningHash {
  #a = 0x9368_e53c | 0;
  #b = 0x586d_cd20 | 0;

  /** Any number; what is beyond 32 bits counts too. */
  add(value: number): void {
    const low = value | 0;
    const high = Math.floor(value / 0x1_0000_0000) | 0;
    this.#a = mix(this.#a, low);
    this.#b = mix(this.#b, (low ^ Math.imul(high, 0x27d4_eb2f)) | 0);
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    return hex(finish(this.#a)) + hex(finish(this.#b ^ this.#a));
  }
}

function mix(state: number, value: number): number {
  let mixed = Math.imul(value, 0xcc9e_2d51 | 0);
  mixed = (mixed << 15) | (mixed >>> 17);
  let next = state ^ Math.imul(mixed, 0x1b87_3593);
  next = (next << 13) | (next >>> 19);
  return (Math.imul(next, 5) + (0xe654_6b64 | 0)) | 0;
}

function finish(state: number): number {
  let mixed = state ^ (state >>> 16);
  mixed = Math.imul(mixed, 0x85eb_ca6b | 0);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2_ae35 | 0);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
