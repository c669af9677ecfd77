/** What the statuses of VirtualServices and DestinationRules say: the condition `WaypointAccepted`. */
import { viewOf } from '../../api/field-view.ts';
import type { DestinationRule, VirtualService } from '../../api/istio.ts';
import { kinds } from '../../api/kinds.ts';
import type { KindRef, KubeObject } from '../../api/meta.ts';
import { validateIstio } from '../../api/validation/istio/index.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { clusterOfKey } from '../object-key.ts';
import type { ObjectVerdict } from '../waypoint-binding.ts';
import type { JudgedVirtualService } from './derive-virtual-services.ts';
import { judgeDestinationRule } from './destination-rule.ts';
import type { DestinationRules } from './destination-rules.ts';
import { coversHost, fullHost } from './host-names.ts';
import type { L7Service, L7Services } from './l7-services.ts';
import type { ProxyGateway } from './proxy-gateways.ts';
import type { RuleCredentials } from './rule-credentials.ts';
import { RuleProblems, type RuleProblem } from './rule-problems.ts';
import { delegatesOf } from './virtual-service-delegates.ts';
import { credentialUses } from './upstream-tls.ts';

export interface RuleVerdict {
  readonly generation: number | undefined;
  readonly accepted: ObjectVerdict;
}

export interface RuleVerdicts {
  /** By the key of the object. */
  readonly virtualServices: Collection<RuleVerdict>;
  readonly destinationRules: Collection<RuleVerdict>;
}

export interface RuleVerdictInputs {
  readonly virtualServices: Collection<VirtualService>;
  readonly judged: Collection<JudgedVirtualService>;
  readonly destinationRules: Collection<DestinationRule>;
  readonly rules: DestinationRules;
  readonly credentials: RuleCredentials;
  readonly services: L7Services;
  readonly gateways: Collection<ProxyGateway>;
  readonly clusterDomain: string;
}

export function deriveRuleVerdicts(graph: Graph, inputs: RuleVerdictInputs): RuleVerdicts {
  const roots = graph.index('virtual services by delegate', inputs.virtualServices, (vs, key) =>
    delegatesOf(vs).map((delegate) => `${clusterOfKey(key)}/${delegate}`),
  );
  return {
    virtualServices: graph.map('verdicts on virtual services', inputs.virtualServices, (vs, key, read) => {
      const judged = read.get(inputs.judged, key);
      const accepted = judged
        ? verdictOnVirtualService(vs, judged, inputs, read)
        : verdictOnDelegate(vs, [...read.lookup(roots, key).values()]);
      return { generation: vs.metadata.generation, accepted };
    }),
    destinationRules: graph.map('verdicts on destination rules', inputs.destinationRules, (rule, key, read) => ({
      generation: rule.metadata.generation,
      accepted: verdictOnDestinationRule(rule, clusterOfKey(key), inputs, read),
    })),
  };
}

/** What admission would say, had it been asked. */
function wrongMeaning(kind: KindRef, object: KubeObject): RuleProblem[] {
  return validateIstio(kind, viewOf(object)).errors.map(({ path, message }) => ({
    severity: 'fault',
    path,
    message,
    reason: 'Invalid',
  }));
}

function verdictOnVirtualService(
  vs: VirtualService,
  judged: JudgedVirtualService,
  { rules, services, gateways }: RuleVerdictInputs,
  read: Reader,
): ObjectVerdict {
  const { problems, otherGateways, namespace } = judged;
  const heard = judged.services.map((service) => ({
    ...service,
    waypoints: service.waypoints.filter((waypoint) => [service.namespace, waypoint.split('/')[0]].includes(namespace)),
  }));
  const waypoints = [...new Set(heard.flatMap((service) => service.waypoints))].toSorted();
  const found = new RuleProblems([...wrongMeaning(kinds.VirtualService, vs), ...problems]);
  for (const { need, path } of judged.subsets) {
    const service = read.get(services.all, need.service);
    for (const waypoint of waypoints) {
      const gateway = read.get(gateways, waypoint);
      if (!service || !gateway || rules.of(service, gateway, read)?.subsets.has(need.subset ?? '')) continue;
      found.fault(
        path,
        'SubsetNotFound',
        `no DestinationRule that waypoint ${waypoint} hears has subset ${need.subset} of host ${need.hostname}: it is answered with 503`,
      );
    }
  }
  if (otherGateways.length > 0) {
    const message = `Gateways of networking.istio.io are not served (${otherGateways.join(', ')}): use Gateway and HTTPRoute`;
    found.fault('spec.gateways', 'UnsupportedValue', message);
  }
  const unbound = heard.filter((service) => service.waypoints.length === 0).map(({ hostname }) => hostname);
  if (waypoints.length === 0 && found.all.every(({ severity }) => severity === 'note') && unbound.length > 0) {
    const strangers = judged.services.some((service) => service.waypoints.length > 0);
    const why = strangers
      ? 'waypoints hear VirtualServices of the namespace of the Service, and of their own'
      : `no waypoint stands for ${unbound.join(', ')}: without one there is nobody to do it`;
    return { status: 'False', reason: 'AncestorNotBound', message: why };
  }
  if (unbound.length > 0) found.note('spec.hosts', `no waypoint stands for ${unbound.join(', ')}`);
  return verdictOf(found.all, waypoints.length > 0 ? `bound to ${waypoints.join(', ')}` : 'bound to no waypoint');
}

/** Its routes are judged where they are used. */
function verdictOnDelegate(vs: VirtualService, roots: readonly VirtualService[]): ObjectVerdict {
  const problems = wrongMeaning(kinds.VirtualService, vs);
  if (problems.length === 0 && roots.length === 0) {
    const message = 'it has no hosts, and no VirtualService delegates to it: nobody does what it says';
    return { status: 'False', reason: 'AncestorNotBound', message };
  }
  const names = roots.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).toSorted();
  return verdictOf(problems, `a delegate of ${names.join(', ')}`);
}

function verdictOnDestinationRule(
  rule: DestinationRule,
  cluster: string,
  { rules, credentials, services, gateways, clusterDomain }: RuleVerdictInputs,
  read: Reader,
): ObjectVerdict {
  const { namespace = '', name } = rule.metadata;
  const problems = new RuleProblems(wrongMeaning(kinds.DestinationRule, rule));
  judgeDestinationRule(rule, problems);
  const host = fullHost(rule.spec?.host ?? '', namespace, clusterDomain);
  const meant: L7Service[] = host.startsWith('*')
    ? [...read.all(services.all)].map(([, service]) => service).filter(({ hostname }) => coversHost(host, hostname))
    : [...read.lookup(services.byHostname, host).values()];
  if (meant.length === 0) problems.fault('spec.host', 'HostNotFound', `host ${host} is not known`);
  const older = rules.sameHost(rule, read).find((one) => one.spec?.trafficPolicy);
  if (rule.spec?.trafficPolicy && older && older.metadata.name !== name) {
    const message = `DestinationRule ${namespace}/${older.metadata.name} is older and has the say for ${host}`;
    problems.fault('spec.trafficPolicy', 'Conflicted', message);
  }
  const waypoints = [...new Set(meant.flatMap((service) => service.waypoints))].toSorted();
  for (const { path, secret, part } of credentialUses(rule)) {
    for (const waypoint of waypoints) {
      const gateway = read.get(gateways, waypoint);
      if (!gateway) continue;
      const { certificate, ca, problem } = credentials.of(cluster, `${gateway.namespace}/${secret}`, read);
      if (part === 'ca' && problem !== undefined) {
        const meanwhile = ca === undefined ? `connections of ${waypoint} fail` : 'the last good lists stay in force';
        problems.fault(path, 'Invalid', `${problem}: ${meanwhile}`);
        continue;
      }
      if (part === 'ca' ? ca !== undefined : certificate !== undefined) continue;
      const what = part === 'ca' ? 'CA certificates' : 'a certificate with its key';
      const message = `Secret ${gateway.namespace}/${secret} with ${what} is not there: connections of ${waypoint} fail`;
      problems.fault(path, 'SecretNotFound', message);
    }
  }
  return verdictOf(
    problems.all,
    waypoints.length > 0 ? `in force at ${waypoints.join(', ')}` : 'in force at gateways that route to the host',
  );
}

/** A status is no place for thousands. */
const shown = 5;

function verdictOf(problems: readonly RuleProblem[], bound: string): ObjectVerdict {
  const faults = problems.filter(({ severity }) => severity === 'fault');
  const notes = problems.filter(({ severity }) => severity === 'note');
  const [first] = faults;
  const found = first ? listOf(faults) : bound;
  const message = notes.length > 0 ? `${found}; without effect: ${listOf(notes)}` : found;
  return first ? { status: 'False', reason: first.reason, message } : { status: 'True', reason: 'Accepted', message };
}

function listOf(problems: readonly RuleProblem[]): string {
  const texts = problems.slice(0, shown).map(({ path, message }) => `${path}: ${message}`);
  return problems.length > shown ? `${texts.join('; ')}; and ${problems.length - shown} more` : texts.join('; ');
}
