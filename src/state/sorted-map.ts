/**
 * Items in the order of their keys, in leaves of a few hundred: a tree of two levels. It can be frozen at once: whoever
 * holds a frozen view shares the leaves, and a later change copies the one leaf that it touches. A frozen view that
 * nobody reads to its end costs nothing more than the leaves it shares.
 */
import { assert } from "../core/index.ts";

/** Items must not change once they are in the map. */
export interface Keyed {
  readonly key: string;
}

interface Leaf<V> {
  readonly items: V[];
  /** The age of the map in which this leaf was made: one of an earlier age is shared with a frozen view. */
  readonly age: number;
}

const leafItemsMax = 256;
const leafItemsMin = 64;

export class SortedMap<V extends Keyed> {
  /** Invariant: no leaf is empty, and the keys rise within and across leaves. */
  #leaves: Leaf<V>[] = [];
  #size = 0;
  #age = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    const leaf = this.#leaves[this.#leafOf(key)];
    if (leaf === undefined) return undefined;
    const item = leaf.items[placeOf(leaf.items, key)];
    return item?.key === key ? item : undefined;
  }

  /** Puts the item in; gives the one that had its key before. */
  set(item: V): V | undefined {
    if (this.#leaves.length === 0) {
      this.#leaves.push({ items: [item], age: this.#age });
      this.#size = 1;
      return undefined;
    }
    const at = this.#leafOf(item.key);
    const { items } = this.#ownLeaf(at);
    const place = placeOf(items, item.key);
    const before = items[place];
    if (before?.key === item.key) {
      items[place] = item;
      return before;
    }
    items.splice(place, 0, item);
    this.#size += 1;
    if (items.length > leafItemsMax) this.#split(at);
    return undefined;
  }

  /** Takes the item out; gives it. */
  delete(key: string): V | undefined {
    if (this.get(key) === undefined) return undefined;
    const at = this.#leafOf(key);
    const { items } = this.#ownLeaf(at);
    const [taken] = items.splice(placeOf(items, key), 1);
    this.#size -= 1;
    if (items.length < leafItemsMin) this.#join(at);
    return taken;
  }

  /** Items from `from` on, in order. The map must not change meanwhile. */
  *itemsFrom(from: string): Generator<V, void, undefined> {
    let at = this.#leafOf(from);
    if (at < 0) return;
    let place = placeOf(this.#leaves[at]!.items, from);
    for (; at < this.#leaves.length; at++, place = 0) {
      const { items } = this.#leaves[at]!;
      for (; place < items.length; place++) yield items[place]!;
    }
  }

  /** Everything as it is now, in order, whatever becomes of the map. In time proportional to the leaves. */
  freeze(): Iterable<V> {
    const leaves = [...this.#leaves];
    this.#age += 1;
    return {
      *[Symbol.iterator](): Generator<V, void, undefined> {
        for (const leaf of leaves) yield* leaf.items;
      },
    };
  }

  /** Throws an `AssertionError` where the order is broken. In time proportional to the items. */
  checkInvariants(): void {
    let before: string | undefined;
    let count = 0;
    for (const leaf of this.#leaves) {
      assert(leaf.items.length > 0, "no leaf is empty");
      assert(leaf.items.length <= leafItemsMax, "no leaf is too long");
      for (const item of leaf.items) {
        assert(before === undefined || before < item.key, "keys rise");
        before = item.key;
        count += 1;
      }
    }
    assert(count === this.#size, "items are counted");
  }

  /** The last leaf that begins at or before the key; else the first. -1 where there is none. */
  #leafOf(key: string): number {
    const leaves = this.#leaves;
    let low = 0;
    let high = leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (leaves[middle]!.items[0]!.key <= key) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? Math.min(0, leaves.length - 1) : low - 1;
  }

  /** The leaf there, copied first where a frozen view shares it. */
  #ownLeaf(at: number): Leaf<V> {
    const leaf = this.#leaves[at]!;
    if (leaf.age === this.#age) return leaf;
    const own = { items: leaf.items.slice(), age: this.#age };
    this.#leaves[at] = own;
    return own;
  }

  #split(at: number): void {
    const { items } = this.#ownLeaf(at);
    // Keys that only ever rise (a log, a counter) leave full leaves behind them.
    const isLast = at === this.#leaves.length - 1;
    const kept = isLast ? leafItemsMax : leafItemsMax / 2;
    this.#leaves.splice(at + 1, 0, { items: items.splice(kept), age: this.#age });
  }

  /** Joins a leaf that has become short with a neighbour, where both fit into one with room to grow. */
  #join(at: number): void {
    const { items } = this.#leaves[at]!;
    if (items.length === 0) {
      this.#leaves.splice(at, 1);
      return;
    }
    const left = at > 0 ? at - 1 : at;
    const right = left + 1;
    if (right >= this.#leaves.length) return;
    const both = [...this.#leaves[left]!.items, ...this.#leaves[right]!.items];
    if (both.length > leafItemsMax - leafItemsMin) return;
    this.#leaves.splice(left, 2, { items: both, age: this.#age });
  }
}

/** Where the key is among the items, or would be. */
function placeOf(items: readonly Keyed[], key: string): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (items[middle]!.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
