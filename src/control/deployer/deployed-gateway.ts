/** What the status of a Gateway says of its proxies: whether they serve, and where. Pure. */
import type { Gateway } from '../../api/gateway.ts';
import type { GatewayObjects, GatewayReach } from '../../discovery/index.ts';
import type { DeployedGateway } from '../gateway-api-status.ts';
import type { Verdict } from '../conditions.ts';
import type { Refusal } from '../replica-report.ts';
import type { DeployProblem } from './deployer.ts';

type Addresses = NonNullable<DeployedGateway['addresses']>;

export interface DeployedFacts {
  readonly objects: GatewayObjects;
  readonly reach: GatewayReach | undefined;
  readonly problem: DeployProblem | undefined;
  readonly refusal: Refusal | undefined;
}

/** Told only where a proxy goes on with what it accepted before. */
const reconciledType = 'ambit.io/Reconciled';

/**
 * Addresses are told once a proxy is ready, and never taken back: whoever goes by them waits for the next proxy rather than go
 * without one. Undefined for Gateways that are deployed by somebody else.
 */
export function deployedGateway(gateway: Gateway, facts: DeployedFacts): DeployedGateway | undefined {
  const { refusal } = facts;
  const judged = judge(gateway, facts);
  if (!judged || !refusal) return judged;
  const who = refusal.clients === 1 ? '1 proxy refuses' : `${refusal.clients} proxies refuse`;
  const message = `${who} what discovery tells, and serves what it had before: ${refusal.reason}`;
  return { ...judged, conditions: { ...judged.conditions, [reconciledType]: no('Refused', message) } };
}

function judge(gateway: Gateway, facts: DeployedFacts): DeployedGateway | undefined {
  const { objects, reach, problem } = facts;
  const { role, isDeployed } = objects;
  if (!isDeployed) return role === 'remote' ? { conditions: { Programmed: remote } } : userDeployed(gateway, role);
  const accepted: Record<string, Verdict> =
    problem?.reason === 'InvalidParameters' ? { Accepted: no('InvalidParameters', problem.message) } : {};
  const told = gateway.status?.addresses ?? [];
  const reached = reach?.hasReadyProxy && reach.addresses.length > 0 ? reach.addresses : undefined;
  const addresses = (reached ?? told) as Addresses;
  const shared = addresses.length > 0 ? { addresses: [...addresses] } : {};
  if (problem) {
    const now = reached ? 'what was deployed before serves on' : unreached(objects, reach);
    return { ...shared, conditions: { ...accepted, Programmed: no(problem.reason, `${problem.message}; ${now}`) } };
  }
  if (!reach || !reached) {
    const yet = reach?.hasReadyProxy || told.length > 0 ? '' : ' yet';
    return { ...shared, conditions: { Programmed: no('Pending', `${unreached(objects, reach)}${yet}`) } };
  }
  const message = `proxies are ready at ${reach.ports.join(', ')}`;
  return { ...shared, conditions: { Programmed: { status: 'True', reason: 'Programmed', message } } };
}

/** Why nobody can reach a proxy now. */
function unreached({ name }: GatewayObjects, reach: GatewayReach | undefined): string {
  return reach?.hasReadyProxy ? `Service ${name} has no address yet` : `no proxy of Deployment ${name} is ready`;
}

/** Who names a host has the proxies already: we tell them what to do, and take the host's word. */
function userDeployed({ spec }: Gateway, role: GatewayObjects['role']): DeployedGateway | undefined {
  if (role !== 'waypoint' && role !== 'ingress' && role !== 'east-west') return undefined;
  const addresses = (spec.addresses ?? []).filter(({ value }) => value !== undefined) as Addresses;
  const message = `proxies are deployed by their owner at ${addresses.map(({ value }) => value).join(', ')}`;
  return { addresses, conditions: { Programmed: { status: 'True', reason: 'Programmed', message } } };
}

const remote: Verdict = { status: 'True', reason: 'Programmed', message: 'it is deployed somewhere else' };

function no(reason: string, message: string): Verdict {
  return { status: 'False', reason, message };
}
