/**
 * The first frames of every connection: whoever dialled says `hello`, the other answers `welcome`, or `refuse` and
 * closes. `docs/wire.md` has the layout.
 */
import { ByteReader, ByteWriter, equalBytes } from "../core/bytes.ts";
import { errorCodes, MalformedError, type Code } from "../core/errors.ts";
import { agentId } from "../core/ids.ts";
import { encodeText } from "../core/text.ts";
import { wireVersionMin, type WireVersion } from "../core/wire-version.ts";

const wireMagic = encodeText("QUORATE\n");
export const clusterIdBytes = 16;
/** Ed25519. */
const publicKeyBytes = 32;
/** "Whichever cluster it is": for clients only. */
export const anyCluster: Uint8Array = new Uint8Array(clusterIdBytes);

/** What a connection is for: `control` carries urgent messages and the log, `bulk` what may take long. */
export type ConnectionRole = "control" | "bulk" | "client";

const roles: readonly (ConnectionRole | undefined)[] = [undefined, "control", "bulk", "client"];

export interface Hello {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly role: ConnectionRole;
  readonly cluster: Uint8Array;
  /** An agent's id; a client may leave it empty or give a name for the log. */
  readonly from: string;
  /** The agent that is meant to be there; empty: whichever. */
  readonly to: string;
  /** An agent's public key, which tells whether it is the one that it was. Absent: a client, or a program of the first version. */
  readonly key?: Uint8Array;
}

export interface Welcome {
  readonly version: number;
  readonly cluster: Uint8Array;
  readonly agent: string;
  /** As in a hello. */
  readonly key?: Uint8Array;
}

export interface Refuse {
  readonly code: Code;
  readonly message: string;
}

export function encodeHello(hello: Hello): Uint8Array {
  const writer = new ByteWriter()
    .raw(wireMagic)
    .uint16(hello.versionMin)
    .uint16(hello.versionMax)
    .uint8(roles.indexOf(hello.role))
    .raw(hello.cluster)
    .text(hello.from)
    .text(hello.to);
  return withKey(writer, hello.key);
}

function withKey(writer: ByteWriter, key: Uint8Array | undefined): Uint8Array {
  return (key === undefined ? writer : writer.bytes(key)).finish();
}

/** The key, if one is there. */
function keyIn(reader: ByteReader): { readonly key?: Uint8Array } {
  if (reader.remaining < 4 + publicKeyBytes) return {};
  const key = reader.bytes().slice();
  if (key.length !== publicKeyBytes) throw new MalformedError("a public key has 32 bytes");
  return { key };
}

/** Throws {@link MalformedError}. Fields behind the known ones are ignored: a later version may add some. */
export function decodeHello(head: Uint8Array): Hello {
  const reader = new ByteReader(head);
  if (!equalBytes(reader.raw(wireMagic.length), wireMagic)) {
    throw new MalformedError("the magic bytes are wrong");
  }
  const versionMin = reader.uint16();
  const versionMax = reader.uint16();
  const role = roles[reader.uint8()];
  if (role === undefined) throw new MalformedError("a connection for an unknown purpose");
  const cluster = reader.raw(clusterIdBytes).slice();
  const from = reader.text();
  const to = reader.text();
  if (from.length > 64 || to.length > 64) throw new MalformedError("a name is longer than 64 characters");
  if (role !== "client") agentId(from);
  return { versionMin, versionMax, role, cluster, from, to, ...keyIn(reader) };
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  const writer = new ByteWriter().uint16(welcome.version).raw(welcome.cluster).text(welcome.agent);
  return withKey(writer, welcome.key);
}

export function decodeWelcome(head: Uint8Array): Welcome {
  const reader = new ByteReader(head);
  const version = reader.uint16();
  const cluster = reader.raw(clusterIdBytes).slice();
  return { version, cluster, agent: agentId(reader.text()), ...keyIn(reader) };
}

export function encodeRefuse(refuse: Refuse): Uint8Array {
  return new ByteWriter().text(refuse.code).text(refuse.message).finish();
}

export function decodeRefuse(head: Uint8Array): Refuse {
  const reader = new ByteReader(head);
  const code = reader.text();
  const message = reader.text();
  return { code: Object.hasOwn(errorCodes, code) ? (code as Code) : "PROTOCOL", message };
}

/** The highest version that both speak, where this side speaks none above `versionMax`; undefined where there is none. */
export function commonVersion(hello: Hello, versionMax: WireVersion): WireVersion | undefined {
  const version = Math.min(hello.versionMax, versionMax);
  return version >= Math.max(hello.versionMin, wireVersionMin) ? (version as WireVersion) : undefined;
}

/** The version that was welcomed. Throws {@link MalformedError} where it was not offered. */
export function welcomedVersion(welcome: Welcome, versionMax: WireVersion): WireVersion {
  const { version } = welcome;
  if (version < wireVersionMin || version > versionMax) {
    throw new MalformedError(`it answers in version ${version} of the wire protocol, which was not offered`);
  }
  return version as WireVersion;
}

export function clusterIdText(cluster: Uint8Array): string {
  return Buffer.from(cluster).toString("hex");
}

/** Throws {@link MalformedError}. */
export function clusterIdFrom(text: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(text)) throw new MalformedError("a cluster id is 32 hexadecimal digits");
  return new Uint8Array(Buffer.from(text, "hex"));
}
