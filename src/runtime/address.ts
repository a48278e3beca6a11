/** Where an agent listens: `host:port`, an IPv6 host in brackets. */
import { isIP } from "node:net";
import { QuorateError } from "../core/errors.ts";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Throws `BAD_OPTION`. Port 0 stands for "any free one", for listening only. */
export function parseAddress(address: string, what = "address"): HostPort {
  const bracketed = /^\[([^\]]+)\]:(\d{1,5})$/.exec(address);
  const plain = /^([^:[\]/\s]+):(\d{1,5})$/.exec(address);
  const match = bracketed ?? plain;
  const host = match?.[1];
  const port = Number(match?.[2]);
  if (host === undefined || port > 65_535 || (bracketed !== null && isIP(host) !== 6)) {
    throw new QuorateError("BAD_OPTION", `The ${what} ${JSON.stringify(address)} is not host:port.`, {
      outcome: "notDone",
      hint: "Write it like 127.0.0.1:7400 or [::1]:7400.",
    });
  }
  return { host, port };
}

export function formatAddress({ host, port }: HostPort): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Whether {@link dialAddress} takes it. */
export function isDialAddress(address: string): boolean {
  try {
    dialAddress(address, "address");
    return true;
  } catch {
    return false;
  }
}

/** Parses an address and refuses what leaves this machine: nothing on the wire is encrypted or proven yet. Throws `DENIED`. */
export function loopbackAddress(address: string, what = "address"): HostPort {
  const parsed = parseAddress(address, what);
  if (isLoopback(parsed.host)) return parsed;
  throw new QuorateError("DENIED", `The ${what} ${address} is not on this machine's loopback interface.`, {
    outcome: "notDone",
    hint: "Agents on several machines need TLS, which this version does not have yet. Use 127.0.0.1 or localhost for now.",
  });
}

/** The same for whom to connect to: not "any free port". Throws `BAD_OPTION` and `DENIED`. */
export function dialAddress(address: string, what: string): HostPort {
  const parsed = loopbackAddress(address, what);
  if (parsed.port > 0) return parsed;
  throw new QuorateError("BAD_OPTION", `The ${what} ${address} has port 0, where nobody can be reached.`, {
    outcome: "notDone",
    hint: "Port 0 stands for any free one where an agent listens: give the one that it got.",
  });
}
