/** Pure decisions of a data plane: where a connection goes. */
export { planOutbound, type OutboundPlan } from './outbound.ts';
export { planInboundConnect, planInboundPlaintext } from './inbound.ts';
