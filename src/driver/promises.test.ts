/** What binds the agent leaves only once the disk has it; the rest leaves at once. */
import { describe, expect, it } from "vitest";
import { recordNumber } from "../core/ids.ts";
import { hello, main, promise, World } from "./test-world.ts";

describe("promises", () => {
  it("D3: leave only once every record pushed before them is durable, in order; messages leave at once", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => {
      out.records.push({ text });
      out.sendsOnceDurable.push(promise(`promise ${text}`));
      out.sends.push(hello(`message ${text}`));
    };
    world.say("1");
    world.say("2");
    world.turn();
    expect(world.sent).toEqual(["b: message 1", "b: message 2"]);
    world.journal.callbacks.onDurable(main, recordNumber(1));
    world.turn();
    expect(world.sent.slice(2)).toEqual(["b: promise 1"]);
    world.journal.callbacks.onDurable(main, recordNumber(2));
    world.turn();
    expect(world.sent.slice(3)).toEqual(["b: promise 2"]);
  });

  it("D3: a promise without a record of its own still waits for those in flight", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => {
      if (text === "record") out.records.push({ text });
      out.sendsOnceDurable.push(promise(text));
    };
    world.say("record");
    world.say("repeated");
    world.turn();
    expect(world.sent).toEqual([]);
    world.journal.callbacks.onDurable(main, recordNumber(1));
    world.turn();
    expect(world.sent).toEqual(["b: record", "b: repeated"]);
  });

  it("D3: a promise leaves at once where nothing is outstanding", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => out.sendsOnceDurable.push(promise(text));
    world.say("no");
    world.turn();
    expect(world.sent).toEqual(["b: no"]);
  });

  it("D4: promises leave before the core learns what is durable, and it learns it once", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => {
      out.records.push({ text });
      out.sendsOnceDurable.push(promise(text));
    };
    world.say("1");
    world.turn();
    const { callbacks } = world.journal;
    callbacks.onDurable(main, recordNumber(1));
    expect(world.core.heard).toEqual(["receive 1"]);
    world.turn();
    world.turn();
    expect(world.core.heard).toEqual(["receive 1", "durable 1"]);
  });

  it("D3: what was recovered is durable, so a promise about it waits for nothing", () => {
    const world = new World({
      prepare: (journal) => {
        journal.records.push(new TextEncoder().encode("old"));
      },
    }).host();
    expect(world.core.recovered).toEqual(["old"]);
    world.settle();
    world.core.onReceive = (text, out) => out.sendsOnceDurable.push(promise(text));
    world.say("kept");
    world.turn();
    expect(world.sent).toEqual(["b: kept"]);
  });
});
