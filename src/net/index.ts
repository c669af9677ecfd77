/** Byte channels, sockets and network namespaces. */
export { writeResult, type ByteChannel, type ChannelReader, type WriteResult } from './channel.ts';
export { type Endpoint } from './address.ts';
export { checkPrivileges, type Capabilities } from './privileges.ts';
export { closeNetns, namespacesOfThreads, netnsIdentity, openNetns, warmThreadPool, withNetns } from './netns.ts';
export {
  listen,
  openListenSocket,
  serve,
  type AcceptedSocket,
  type Listener,
  type ListenSocketOptions,
  type ServeOptions,
} from './listen.ts';
export { dial, type DialOptions } from './dial.ts';
export { originalDestination } from './original-destination.ts';
export { tcpChannel } from './tcp-channel.ts';
export { tlsChannel } from './tls-channel.ts';
export { memoryChannelPair, type MemoryChannelOptions } from './memory-channel.ts';
export { pump, type Pump, type PumpOptions, type PumpResult } from './pump.ts';
export { SystemCallError, duplicate as duplicateDescriptor, close as closeDescriptor } from './sys.ts';
export {
  connectSeqpacket,
  listenSeqpacket,
  type SeqpacketConnection,
  type SeqpacketConnectOptions,
  type SeqpacketHandlers,
  type SeqpacketListener,
  type SeqpacketListenOptions,
} from './seqpacket.ts';
export { applyNft, listNftTable, type NftApplyOptions, type NftOptions } from './nft.ts';
export {
  addPolicyRouting,
  defaultPolicyRouting,
  removePolicyRouting,
  type PolicyRoutingOptions,
} from './policy-routing.ts';
