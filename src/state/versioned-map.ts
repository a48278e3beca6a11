/**
 * Items by key, for a state that is mostly overwritten: finding and replacing an item costs one look-up in a `Map` and
 * compares no strings; only a new or deleted key touches the sorted order. Freezing shares everything, and a later change
 * copies the one page that it touches.
 */
import { assert, present } from "../core/index.ts";
import { type Keyed, SortedMap } from "./sorted-map.ts";

/** Where the item of a key is: in `pages[slot >> pageBits][slot & pageMask]`. */
interface Place extends Keyed {
  readonly slot: number;
}

interface Page<V> {
  readonly items: (V | undefined)[];
  /** The age of the map in which this page was made: one of an earlier age is shared with a frozen view. */
  readonly age: number;
}

const pageBits = 7;
const pageItems = 1 << pageBits;
const pageMask = pageItems - 1;

export class VersionedMap<V extends Keyed> {
  readonly #places = new Map<string, Place>();
  readonly #sorted = new SortedMap<Place>();
  readonly #pages: Page<V>[] = [];
  /** Slots of deleted keys, to be used again. */
  readonly #free: number[] = [];
  #slots = 0;
  #age = 0;

  get size(): number {
    return this.#places.size;
  }

  get(key: string): V | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#at(place.slot);
  }

  /** Puts the item in; gives the one that had its key before. */
  set(item: V): V | undefined {
    const place = this.#places.get(item.key);
    if (place !== undefined) return this.#write(place.slot, item);
    const slot = this.#free.pop() ?? this.#slots++;
    const added = { key: item.key, slot };
    this.#places.set(item.key, added);
    this.#sorted.set(added);
    this.#write(slot, item);
    return undefined;
  }

  /** Takes the item out; gives it. */
  delete(key: string): V | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    this.#places.delete(key);
    this.#sorted.delete(key);
    this.#free.push(place.slot);
    return this.#write(place.slot, undefined);
  }

  /** Items from `from` on, in the order of their keys. The map must not change meanwhile. */
  *itemsFrom(from: string): Generator<V, void, undefined> {
    for (const { slot } of this.#sorted.itemsFrom(from)) yield this.#at(slot);
  }

  /** Everything as it is now, in the order of the keys, whatever becomes of the map. In time proportional to the pages. */
  freeze(): Iterable<V> {
    const pages = [...this.#pages];
    const sorted = this.#sorted.freeze();
    this.#age += 1;
    return {
      *[Symbol.iterator](): Generator<V, void, undefined> {
        for (const { slot } of sorted) yield itemAt(pages, slot);
      },
    };
  }

  /** Throws an `AssertionError` where the parts do not fit together. In time proportional to the items. */
  checkInvariants(): void {
    this.#sorted.checkInvariants();
    assert(this.#sorted.size === this.#places.size, "every key is in the order");
    assert(this.#places.size + this.#free.length === this.#slots, "a slot is used or free");
    for (const [key, place] of this.#places)
      assert(this.#at(place.slot).key === key, "an item lies in its slot");
  }

  #at(slot: number): V {
    return itemAt(this.#pages, slot);
  }

  #write(slot: number, item: V | undefined): V | undefined {
    const number = slot >> pageBits;
    let page = this.#pages[number];
    if (page === undefined) {
      assert(number === this.#pages.length, "pages are added one by one");
      page = { items: [], age: this.#age };
      this.#pages.push(page);
    } else if (page.age !== this.#age) {
      page = { items: page.items.slice(), age: this.#age };
      this.#pages[number] = page;
    }
    const before = page.items[slot & pageMask];
    page.items[slot & pageMask] = item;
    return before;
  }
}

function itemAt<V>(pages: readonly Page<V>[], slot: number): V {
  return present(pages[slot >> pageBits]?.items[slot & pageMask], "a key's slot holds its item");
}
