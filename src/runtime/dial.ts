/** Opens a connection and says hello, for whoever dials: an agent its peers, a client an agent. */
import { connect } from "node:net";
import { equalBytes } from "../core/bytes.ts";
import { MalformedError, QuorateError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { wireVersionMax, wireVersionMin, type WireVersion } from "../core/wire-version.ts";
import type { HostPort } from "./address.ts";
import { Connection, type ConnectionHandler, type FrameSource } from "./connection.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import {
  anyCluster,
  decodeRefuse,
  decodeWelcome,
  encodeHello,
  welcomedVersion,
  type Hello,
  type Welcome,
} from "./handshake.ts";

export interface DialOptions {
  /** A Unix socket's path, or where an agent listens. */
  readonly to: string | HostPort;
  readonly hello: Omit<Hello, "versionMin" | "versionMax">;
  /** Speak no version above this one. Default: the newest. */
  readonly versionMax?: WireVersion;
  readonly source: FrameSource;
  readonly frameBytesMax: number;
  /** Called at most once, when the other side said welcome; gives the handler for what follows. */
  readonly welcomed: (welcome: Welcome, connection: Connection, version: WireVersion) => ConnectionHandler;
  /** Called at most once, instead: nobody answers, or refuses. */
  readonly failed: (error: QuorateError) => void;
}

/** Returns the connection, so that the attempt can be given up; neither callback comes from inside this call. */
export function dial(options: DialOptions): Connection {
  const { to, hello, versionMax = wireVersionMax } = options;
  const withVersions = { ...hello, versionMin: wireVersionMin, versionMax };
  const socket = typeof to === "string" ? connect(to) : connect({ host: to.host, port: to.port });
  let failure: QuorateError | undefined;
  const fail = (error: QuorateError): void => {
    failure ??= error;
    connection.close(error.message);
  };
  const connection = new Connection(
    socket,
    {
      frame: (frame) => {
        clearTimeout(timer);
        try {
          greeted(frame, options, connection);
        } catch (error) {
          fail(error instanceof QuorateError ? error : brokenGreeting(to, error));
        }
      },
      closed: (reason, malformed) => {
        clearTimeout(timer);
        options.failed(
          failure ??
            (malformed ? brokenGreeting(to, new MalformedError(reason)) : unreachableAgent(to, reason)),
        );
      },
    },
    limits.handshakeBytesMax,
  );
  const timer = setTimeout(() => {
    fail(unreachableAgent(to, `nothing came back within ${limits.handshakeMsMax} ms`));
  }, limits.handshakeMsMax);
  timer.unref();
  connection.sendAtOnce(encodeFrame("hello", "", encodeHello(withVersions)).parts);
  return connection;
}

/** The first frame back. Throws where it is not a welcome from the agent that is meant. */
function greeted(frame: Frame, options: DialOptions, connection: Connection): void {
  const { to, hello, versionMax = wireVersionMax } = options;
  if (frame.kind === "refuse") {
    const { code, message } = decodeRefuse(frame.head);
    throw new QuorateError(code, `The agent at ${target(to)} refuses: ${message}`, {
      outcome: "notDone",
      hint: "Check that both sides belong to the same cluster and run versions that know each other.",
    });
  }
  if (frame.kind !== "welcome") throw new MalformedError("the first frame is not a welcome");
  const welcome = decodeWelcome(frame.head);
  if (hello.to !== "" && welcome.agent !== hello.to) {
    throw foreign(to, `it is agent ${welcome.agent}, not ${hello.to}`);
  }
  if (!equalBytes(hello.cluster, anyCluster) && !equalBytes(hello.cluster, welcome.cluster)) {
    throw foreign(to, "it belongs to another cluster");
  }
  const version = welcomedVersion(welcome, versionMax);
  connection.use(options.welcomed(welcome, connection, version), options.frameBytesMax, options.source);
}

function target(to: string | HostPort): string {
  return typeof to === "string" ? to : `${to.host}:${to.port}`;
}

export function unreachableAgent(to: string | HostPort, reason: string): QuorateError {
  return new QuorateError("CANNOT_CONNECT", `No agent answers at ${target(to)}: ${reason}.`, {
    outcome: "notDone",
    hint: "Start it, for example with `quorate up`, or check the address.",
  });
}

function brokenGreeting(to: string | HostPort, cause: unknown): QuorateError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new QuorateError("PROTOCOL", `What answers at ${target(to)} is not a Quorate agent: ${why}.`, {
    outcome: "notDone",
    hint: "Check the address; another program may listen there.",
    cause,
  });
}

function foreign(to: string | HostPort, why: string): QuorateError {
  return new QuorateError("DENIED", `The agent at ${target(to)} is not the one that is meant: ${why}.`, {
    outcome: "notDone",
    hint: "Check the addresses in the cluster file.",
  });
}
