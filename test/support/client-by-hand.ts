/** A client that speaks the wire by hand, so that it may also break the rules, or read nothing. */
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { concatBytes } from "../../src/core/bytes.ts";
import { encodeCommand } from "../../src/core/entry.ts";
import { readAnswers } from "../../src/runtime/client-wire.ts";
import { encodeFrame, FrameWriter, type Frame, type FrameKind } from "../../src/runtime/frame.ts";
import { FrameReader } from "../../src/runtime/frame-reader.ts";
import { anyCluster, encodeHello } from "../../src/runtime/handshake.ts";
import type { FakeAgent } from "./fake-agent.ts";
import { until } from "./runtime.ts";

/** A command without meaning. */
export function command(session: number, sequence: number, payloadBytes = 2): Uint8Array {
  return encodeCommand(
    { kind: sequence === 0 ? "openSession" : "command", session, sequence, unsettled: 1 },
    new Uint8Array(payloadBytes),
  );
}

export interface ClientByHand {
  readonly frames: Frame[];
  readonly socket: Socket;
  /** To the group `main`, or another one. */
  readonly send: (kind: FrameKind, write: (writer: FrameWriter) => void, group?: string) => void;
  readonly isClosed: () => boolean;
}

export async function byHand(agent: FakeAgent): Promise<ClientByHand> {
  const socket = connect(agent.port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const frames: Frame[] = [];
  const reader = new FrameReader(4_500_000);
  let closed = false;
  socket.on("close", () => (closed = true));
  socket.on("error", () => {});
  socket.on("data", (bytes) => reader.push(new Uint8Array(bytes), (frame) => frames.push(frame) > 0));
  const hello = {
    versionMin: 1,
    versionMax: 1,
    role: "client",
    cluster: anyCluster,
    from: "",
    to: "",
  } as const;
  socket.write(concatBytes(encodeFrame("hello", "", encodeHello(hello)).parts));
  await until(() => frames.length === 1, "welcome");
  frames.splice(0);
  return {
    frames,
    socket,
    isClosed: () => closed,
    send: (kind, write, group = "main") => {
      const writer = new FrameWriter();
      write(writer.begin(kind, group));
      writer.end();
      socket.write(writer.take() as Uint8Array);
    },
  };
}

/** Sequence and bytes of all answers that came, in order. */
export function answersOf({ frames }: ClientByHand): { sequence: number; bytes: Uint8Array }[] {
  const answers: { sequence: number; bytes: Uint8Array }[] = [];
  for (const { kind, head } of frames) {
    if (kind !== "answers") continue;
    readAnswers(head, (_session, sequence, bytes) => answers.push({ sequence, bytes }));
  }
  return answers;
}
