/** Why a request gets where it gets: the decisions of ztunnels and waypoints, run offline on the objects of the API. */
import type { Pod } from '../api/core.ts';
import { serviceKey, spiffeId, type SpiffeId } from '../api/names.ts';
import type { MeshService, MeshWorkload } from '../api/workload.ts';
import { planOutbound, type OutboundPlan } from '../decision/index.ts';
import { formatHostPort } from '../lib/ip.ts';
import { AmbitError } from '../lib/errors.ts';
import { decideAuthorization } from '../policy/index.ts';
import { explainGateway } from './gateway.ts';
import { Steps, type Explanation } from './steps.ts';
import { explainWaypoint, type L7Request } from './waypoint.ts';
import type { World } from './world.ts';

export interface Question {
  readonly from: { readonly namespace: string; readonly pod: string };
  /** Host name, short name of a Service, or IP. */
  readonly to: string;
  readonly port: number | undefined;
  readonly request: L7Request;
}

const hbonePort = 15008;
const ownPorts: ReadonlySet<number> = new Set([15001, 15006, 15008]);

/** @throws AmbitError `explain.unknown`, naming what there is not. */
export function explain(world: World, question: Question): Explanation {
  const steps = new Steps();
  const source = findPod(world, question.from);
  const own = world.mesh.workloadOfPod({
    namespace: question.from.namespace,
    name: question.from.pod,
    serviceAccount: source.spec.serviceAccountName || 'default',
  });
  const service = findService(world, question.to, question.from.namespace);
  const target = addressOf(world, question, service);
  if (!own || own.tunnelProtocol !== 'hbone') {
    explainOutsider(steps, world, { source, service, target });
    return steps.end();
  }
  const identity = identityOf(own);
  steps.pass(
    'capture',
    `pod ${own.namespace}/${own.name} is in the mesh: its connections go to the ztunnel of ${own.node}`,
    [`identity ${identity}`],
  );
  const plan = planOutbound({
    mesh: world.mesh,
    own,
    sourceIp: own.addresses[0] ?? '',
    destinationIp: target.ip,
    destinationPort: target.port,
    random: () => 0,
    hbonePort,
    ownPorts,
  });
  explainPlan(steps, plan, target);
  if (steps.stopped) return steps.end();
  if (plan.kind === 'hbone' && plan.via === 'waypoint') {
    explainWaypoint(steps, world, {
      waypoint: plan.workload,
      client: { identity, address: own.addresses[0] ?? '', workload: own },
      service,
      name: question.to,
      target,
      request: question.request,
      arrive: (workload, port, by) => explainArrival(steps, world, { workload, port, by, from: plan.workload }),
    });
  } else if (plan.kind === 'hbone' || plan.kind === 'tcp') {
    explainArrival(steps, world, {
      workload: plan.workload,
      port: portAtPod(plan, target.port),
      by: plan.kind === 'hbone' ? identity : undefined,
      from: own,
    });
  }
  return steps.end();
}

interface Target {
  readonly ip: string;
  readonly port: number;
}

function findPod({ pods }: World, { namespace, pod: name }: Question['from']): Pod {
  const found = pods.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  if (found) return found;
  throw unknown(`there is no pod "${name}" in namespace "${namespace}"`);
}

function findService({ mesh }: World, name: string, namespace: string): MeshService | undefined {
  const candidates = name.includes('.') ? [name] : [];
  const [first = '', second] = name.split('.');
  for (const service of mesh.services()) {
    if (candidates.includes(service.hostname)) return service;
    if (service.name === first && service.namespace === (second ?? namespace)) return service;
  }
  return mesh.serviceByHostname(name, namespace) ?? serviceByPattern(mesh, name, namespace);
}

/** The one whose wildcard covers the name, the longest first. */
function serviceByPattern(mesh: World['mesh'], name: string, namespace: string): MeshService | undefined {
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const service = mesh.serviceByHostname(`*${name.slice(dot)}`, namespace);
    if (service) return service;
  }
  return undefined;
}

function addressOf({ mesh }: World, { to, port, from }: Question, service: MeshService | undefined): Target {
  if (service) {
    const ports = service.ports.map(({ servicePort }) => servicePort);
    const wanted = port ?? (ports.includes(80) ? 80 : ports[0]);
    if (wanted === undefined) throw unknown(`Service ${service.hostname} has no ports`);
    const ip = service.addresses[0]?.ip ?? firstEndpoint(mesh, service)?.addresses[0];
    if (ip === undefined) throw unknown(`${service.hostname} has neither an address nor endpoints`);
    return { ip, port: wanted };
  }
  for (const workload of mesh.workloads()) {
    const isNamed = workload.name === to && workload.namespace === from.namespace;
    const ip = isNamed ? workload.addresses[0] : workload.addresses.find((address) => address === to);
    if (ip !== undefined) {
      if (port === undefined) throw unknown(`a port is needed for ${to}: write ${to}:PORT`);
      return { ip, port };
    }
  }
  throw unknown(`the mesh knows no Service, workload or address "${to}" that ${from.namespace}/${from.pod} could mean`);
}

function firstEndpoint(mesh: World['mesh'], service: MeshService): MeshWorkload | undefined {
  for (const [, { workload }] of mesh.endpoints(serviceKey(service.namespace, service.hostname))) return workload;
  return undefined;
}

function explainOutsider(
  steps: Steps,
  world: World,
  {
    source,
    service,
    target,
  }: { readonly source: Pod; readonly service: MeshService | undefined; readonly target: Target },
): void {
  const name = `${source.metadata.namespace}/${source.metadata.name}`;
  steps.note('capture', `pod ${name} is not in the mesh: its connections go plain, without identity`, [
    'its namespace or the pod needs the label istio.io/dataplane-mode=ambient',
  ]);
  if (service?.waypoint) {
    steps.note('waypoint', 'the waypoint of the Service is passed by: only ztunnels and gateways send to waypoints');
  }
  const workload = service ? firstEndpoint(world.mesh, service) : world.mesh.workloadByIp('' as never, target.ip);
  if (!workload) return;
  explainArrival(steps, world, {
    workload,
    port: target.port,
    by: undefined,
    from: undefined,
    sourceIp: source.status?.podIP ?? '',
  });
}

function explainPlan(steps: Steps, plan: OutboundPlan, target: Target): void {
  const stage = 'ztunnel (source)';
  switch (plan.kind) {
    case 'hbone': {
      const what = `${plan.workload.namespace}/${plan.workload.name} at ${formatHostPort(plan.ip, plan.port)}`;
      const role = { direct: 'the endpoint', waypoint: 'the waypoint', gateway: 'the gateway of its network' }[
        plan.via
      ];
      steps.pass(stage, `sends by HBONE to ${role} ${what}`, [
        `asks for ${plan.authority}`,
        `the peer must prove to be ${plan.expected.join(' or ')}`,
      ]);
      return;
    }
    case 'tcp':
      steps.note(
        stage,
        `${plan.workload.namespace}/${plan.workload.name} is not in the mesh: the connection goes plain, without identity`,
      );
      return;
    case 'passthrough':
      steps.note(
        stage,
        `${formatHostPort(target.ip, target.port)} is not of the mesh: the connection goes there untouched`,
      );
      return;
    case 'resolve':
      steps.pass(stage, `resolves ${plan.hostname} and connects to what comes back`);
      return;
    case 'refuse':
      steps.stop(stage, plan.message, 'the connection is closed', [`reason ${plan.reason}`]);
  }
}

function portAtPod(plan: Extract<OutboundPlan, { kind: 'hbone' | 'tcp' }>, asked: number): number {
  if (plan.kind === 'tcp') return plan.port;
  const colon = plan.authority.lastIndexOf(':');
  return Number(plan.authority.slice(colon + 1)) || asked;
}

interface Arrival {
  readonly workload: MeshWorkload;
  readonly port: number;
  /** Identity of who connects; absent: plain. */
  readonly by: SpiffeId | undefined;
  readonly from: MeshWorkload | undefined;
  readonly sourceIp?: string;
}

/** What the destination's ztunnel makes of the connection, and the Gateway whose proxy it is, if it is one. */
function explainArrival(steps: Steps, world: World, arrival: Arrival): void {
  explainTunnelEnd(steps, world, arrival);
  if (!steps.stopped) explainGateway(steps, world, arrival.workload, arrival.port);
}

function explainTunnelEnd(steps: Steps, { mesh }: World, { workload, port, by, from, sourceIp }: Arrival): void {
  const stage = 'ztunnel (destination)';
  const name = `${workload.namespace}/${workload.name}`;
  if (workload.tunnelProtocol !== 'hbone') {
    steps.note(stage, `${name} is not in the mesh: nobody checks the connection there`);
    return;
  }
  const decision = decideAuthorization(mesh.policiesFor(workload), {
    sourceIp: sourceIp ?? from?.addresses[0] ?? '',
    source:
      by === undefined || !from
        ? undefined
        : { id: by, namespace: from.namespace, serviceAccount: from.serviceAccount },
    destinationIp: workload.addresses[0] ?? '',
    destinationPort: port,
  });
  const findings = decision.findings.map((finding) =>
    finding.kind === 'audit'
      ? `AUDIT policy ${finding.policy} matches`
      : `dry run: policy ${finding.policy} would ${finding.wouldDeny ? 'deny' : 'allow'} it`,
  );
  if (decision.kind !== 'allow') {
    steps.stop(stage, `${name} port ${port}: ${decision.reason}`, 'the connection is closed', findings);
    return;
  }
  const why = decision.policy === undefined ? 'no policy forbids it' : `policy ${decision.policy} allows it`;
  steps.pass(stage, `${name} port ${port}: ${why}${by === undefined ? ' (the caller has no identity)' : ''}`, findings);
}

function identityOf({ trustDomain, namespace, serviceAccount }: MeshWorkload): SpiffeId {
  return spiffeId(trustDomain, namespace, serviceAccount);
}

function unknown(problem: string): AmbitError {
  return new AmbitError(`Cannot explain: ${problem}`, { code: 'explain.unknown', blame: 'downstream' });
}
