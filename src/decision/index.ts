/** Pure decisions of a data plane: where a connection goes. */
export { familiesOf, familyOfAddress, type IpFamilies } from './addresses.ts';
export { isWaypointOf } from './gateways.ts';
export { planGateway, planOutbound, violatedByChange, vouchedBy } from './outbound.ts';
export type { HbonePlan, OutboundPlan } from './outbound-plan.ts';
export type { EndpointAvoidance } from './draw.ts';
export { planInboundConnect, planInboundPlaintext, tryParseAuthority } from './inbound.ts';
export { planName, type NamePlan, type SearchRules } from './names.ts';
