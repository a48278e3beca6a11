/** The only folder that knows Node: files, sockets, keys, agents, clients. */
export { formatAddress, isLoopback, loopbackAddress, parseAddress, type HostPort } from "./address.ts";
export { agentSocketName, AgentRuntime, defaultListen, type AgentOptions } from "./agent.ts";
export { checksum } from "./checksum.ts";
export { ClientPool, type ClientOptions } from "./client-pool.ts";
export type { StatusReport } from "./client-wire.ts";
export { systemClock } from "./clock.ts";
export {
  newClusterId,
  readClusterFile,
  writeClusterFile,
  type AgentAddress,
  type ClusterFile,
} from "./cluster-file.ts";
export {
  createDataFolder,
  DataFolder,
  readIdentity,
  type DataFolderExpectation,
  type Identity,
} from "./data-folder.ts";
export { dataFolderName, findAgentSockets, findDataFolder } from "./find-socket.ts";
export { FolderLock, lockHolder } from "./folder-lock.ts";
export type {
  CampaignResult,
  Cancel,
  ChangesResult,
  EntriesResult,
  Gateway,
  GatewayListener,
  GroupStatus,
  QueryResult,
  StatusResult,
} from "./gateway.ts";
export { GroupHub, type Subscriber } from "./group-hub.ts";
export {
  hostedMechanisms,
  type GroupOptions,
  type GroupTimings,
  type GroupTuning,
  type HostedMechanism,
} from "./group-options.ts";
export { clusterIdFrom, clusterIdText } from "./handshake.ts";
export { Hosting, type HostingNetwork, type HostingOptions } from "./hosting.ts";
export { LocalGateway } from "./local-gateway.ts";
export { describeError, silentLogger, type Logger } from "./logger.ts";
export { MemoryNetwork, type MemoryPort } from "./memory-network.ts";
export { NodeDisk } from "./node-disk.ts";
export type { RemoteGateway } from "./remote-gateway.ts";
export { LoopScheduler } from "./scheduler.ts";
export type { NetworkEvents } from "./tcp-network.ts";
