/** Pure decisions of a data plane: where a connection goes. */
export { planOutbound, expectedIdentities } from './outbound.ts';
export type { OutboundPlan, OutboundRefusal, OutboundRequest } from './outbound.ts';
export { planInboundConnect, planInboundPlaintext, tryParseAuthority } from './inbound.ts';
export type { Authority, ConnectRequestFacts, InboundPlan, InboundRefusal } from './inbound.ts';
