/**
 * Items by number (from 1), for those that come and go all the time: questions under way, say.
 *
 * A `Map` would do, were it not for what V8 makes of one with many deletions: each table that is replaced refers to the
 * one that follows it. Once a full collection has moved one table to the old generation, all that follow it, and what was
 * in them, survive every collection of the young one until the next full one. A client that asks 40,000 questions a second
 * spent half of its time on copying questions that were answered long ago.
 *
 * Open addressing, probed in line. What follows a deleted item moves up, so nothing is left of it (Knuth, "The Art of
 * Computer Programming", volume 3, section 6.4, algorithm R).
 */
import { assert } from "./assert.ts";

const placesAtFirst = 16;
/** 2^32 divided by the golden ratio: numbers that follow one another are spread evenly (Knuth, the same section). */
const spread = 0x9e37_79b1;

export class NumberTable<T> {
  /** A power of two of places, at most half of them taken; 0: a free one. */
  #numbers: number[] = emptyPlaces(placesAtFirst, 0);
  #items: (T | undefined)[] = emptyPlaces(placesAtFirst, undefined);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  has(number: number): boolean {
    return this.#numbers[this.#placeOf(number)] === number;
  }

  get(number: number): T | undefined {
    return this.#items[this.#placeOf(number)];
  }

  add(number: number, item: T): void {
    assert(number >= 1, "items are numbered from 1");
    if ((this.#count + 1) * 2 > this.#numbers.length) this.#grow();
    const place = this.#placeOf(number);
    assert(this.#numbers[place] === 0, "a number stands for one item at a time");
    this.#numbers[place] = number;
    this.#items[place] = item;
    this.#count += 1;
  }

  /** Gives what it was; undefined where there is none. */
  delete(number: number): T | undefined {
    let free = this.#placeOf(number);
    const item = this.#items[free];
    if (this.#numbers[free] === 0) return undefined;
    const last = this.#numbers.length - 1;
    for (let place = (free + 1) & last; this.#numbers[place] !== 0; place = (place + 1) & last) {
      // It may move up as far as where its search begins.
      const home = this.#homeOf(this.#numbers[place]!);
      if (((place - home) & last) < ((place - free) & last)) continue;
      this.#numbers[free] = this.#numbers[place]!;
      this.#items[free] = this.#items[place];
      free = place;
    }
    this.#numbers[free] = 0;
    this.#items[free] = undefined;
    this.#count -= 1;
    return item;
  }

  clear(): void {
    this.#numbers.fill(0);
    this.#items.fill(undefined);
    this.#count = 0;
  }

  /** A copy, in order of the numbers. */
  toArray(): T[] {
    const taken = this.#numbers.flatMap((number, place) => (number === 0 ? [] : [{ number, place }]));
    taken.sort((a, b) => a.number - b.number);
    return taken.map(({ place }) => this.#items[place] as T);
  }

  /** Where the item is, or the free place where it would be. */
  #placeOf(number: number): number {
    const numbers = this.#numbers;
    let place = this.#homeOf(number);
    while (numbers[place] !== 0 && numbers[place] !== number) place = (place + 1) & (numbers.length - 1);
    return place;
  }

  #homeOf(number: number): number {
    const mixed = Math.imul(number, spread);
    return (mixed ^ (mixed >>> 15)) & (this.#numbers.length - 1);
  }

  #grow(): void {
    const numbers = this.#numbers;
    const items = this.#items;
    this.#numbers = emptyPlaces(numbers.length * 2, 0);
    this.#items = emptyPlaces(numbers.length * 2, undefined);
    for (let place = 0; place < numbers.length; place++) {
      if (numbers[place] === 0) continue;
      const moved = this.#placeOf(numbers[place]!);
      this.#numbers[moved] = numbers[place]!;
      this.#items[moved] = items[place];
    }
  }
}

function emptyPlaces<V>(count: number, empty: V): V[] {
  const places: V[] = [];
  while (places.length < count) places.push(empty);
  return places;
}
