/** Requests of a client that reads slowly: each is answered once, none is forgotten, and few are asked again at a time. */
import { describe, expect, test } from "vitest";
import { ClientRequests, type Begin } from "./client-requests.ts";

/** A client's side of the requests: it is behind while more than so many answers wait. */
class Client {
  readonly answered: number[] = [];
  readonly requests = new ClientRequests(() => this.unread > 3);
  unread = 0;
  /** Begun and not answered. */
  readonly open = new Map<number, () => void>();
  #most = 0;

  /** `atOnce`: the group answers from inside the call. */
  ask(number: number, how: "atOnce" | "later" | "canBeTakenBack"): void {
    const begin: Begin = (answer) => {
      const send = (): void => {
        this.open.delete(number);
        answer(() => {
          this.unread += 1;
          this.answered.push(number);
        });
      };
      if (how === "atOnce") {
        send();
        return undefined;
      }
      this.open.set(number, send);
      this.#most = Math.max(this.#most, this.open.size);
      return how === "later" ? undefined : () => void this.open.delete(number);
    };
    this.requests.ask(number, true, begin);
  }

  /** The most that were open at a time since the last look. */
  get most(): number {
    const most = this.#most;
    this.#most = this.open.size;
    return most;
  }

  answerAll(): void {
    const open = [...this.open.values()];
    for (const send of open) send();
  }

  /** It reads all that waits; what was held back goes on. */
  read(): void {
    this.unread = 0;
    this.requests.resume();
  }
}

const numbers = Array.from({ length: 100 }, (_, at) => at + 1);

describe("a client that reads slowly", () => {
  test.each(["atOnce", "later", "canBeTakenBack"] as const)(
    "is answered everything once, in the end: %s",
    (how) => {
      const client = new Client();
      for (const number of numbers) client.ask(number, how);
      for (let reads = 0; reads < 200 && client.answered.length < numbers.length; reads++) {
        client.answerAll();
        client.read();
      }
      expect(client.answered.toSorted((a, b) => a - b)).toEqual(numbers);
      expect(numbers.some((number) => client.requests.has(number))).toBe(false);
    },
  );

  test("has few of the questions asked again at a time, that can't be taken back", () => {
    const client = new Client();
    client.unread = 10;
    for (const number of numbers) client.ask(number, "later");
    expect(client.most).toBe(0);
    client.read();
    expect(client.most).toBe(16);
  });

  test("is not asked for what it has taken back", () => {
    const client = new Client();
    client.unread = 10;
    for (const number of numbers) client.ask(number, "later");
    for (const number of numbers) if (number % 2 === 0) client.requests.cancel(number);
    for (let reads = 0; reads < 200; reads++) {
      client.read();
      client.answerAll();
    }
    expect(client.answered).toEqual(numbers.filter((number) => number % 2 === 1));
  });
});
