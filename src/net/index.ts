/** Byte channels, sockets and network namespaces. */
export { writeResult, type ByteChannel, type ChannelReader } from './channel.ts';
export { type Endpoint } from './address.ts';
export { checkPrivileges, startWorkerThread } from './privileges.ts';
export { closeNetns, namespacesOfThreads, netnsIdentity, openNetns, warmThreadPool, withNetns } from './netns.ts';
export {
  isListenedOn,
  isListening,
  listen,
  openListenSocket,
  serve as adoptListenSocket,
  type AcceptedSocket,
  type Listener,
} from './listen.ts';
export { HandshakeSlots } from './handshake-slots.ts';
export { dial } from './dial.ts';
export { originalDestination } from './original-destination.ts';
export { tcpChannel } from './tcp-channel.ts';
export { tlsChannel } from './tls-channel.ts';
export { channelDuplex } from './channel-duplex.ts';
export { descriptorLimit, openDescriptors } from './descriptor-limit.ts';
export { releaseMemory } from './release-memory.ts';
export { listeningAddresses } from './listening-sockets.ts';
export { encodeProxyHeader, encodeProxyHeaderV1, proxyTlv } from './proxy-protocol.ts';
export { memoryChannelPair } from './memory-channel.ts';
export { pump, type PumpResult } from './pump.ts';
export {
  close as closeDescriptor,
  duplicate as duplicateDescriptor,
  openPipe,
  openPtyPeer,
  parentNamespace,
  setWindowSize,
} from './sys.ts';
export {
  adoptDatagramSocket,
  connectDatagramSocket,
  deafen,
  hasDatagrams,
  openDatagramSocket,
  type DatagramSocket,
} from './datagram.ts';
export {
  answersQuery,
  cutAnswer,
  dnsCode,
  dnsId,
  dnsType,
  dnsTypeName,
  isTruncatedAnswer,
  maxUdpAnswerBytes,
  parseDnsMessage,
  plainDnsBytes,
  withDnsId,
  writeAddressAnswer,
  writeErrorAnswer,
  type DnsQuery,
} from './dns-message.ts';
export { DnsStreamReader, frameDnsMessage } from './dns-stream.ts';
export {
  connectSeqpacket,
  listenSeqpacket,
  removeSocket,
  socketAt,
  type SeqpacketConnection,
  type SeqpacketListener,
} from './seqpacket.ts';
export { deleteUdpFlows } from './conntrack.ts';
export { applyNft, listNftTable } from './nft.ts';
export { nftGeneration } from './nft-generation.ts';
export { applyIptables, listIptables, runIptables } from './iptables.ts';
export { NameResolver, systemNameQuery, type FoundAddress, type NameQuery } from './name-resolver.ts';
export { runNamespaceTool } from './namespace-tool.ts';
export { addPolicyRouting, removePolicyRouting } from './policy-routing.ts';
