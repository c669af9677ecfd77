/** What is known of a Gateway at whose proxy a connection arrives: whether it takes the port at all, by what its status says. */
import type { Gateway } from '../api/gateway.ts';
import type { MeshWorkload } from '../api/workload.ts';
import type { Steps } from './steps.ts';
import type { World } from './world.ts';

const gatewayLabel = 'gateway.networking.k8s.io/gateway-name';
const stage = 'gateway';

/** Nothing is said of workloads that are none of a Gateway's, nor of ports without listeners. */
export function explainGateway(steps: Steps, world: World, workload: MeshWorkload, port: number): void {
  const gateway = gatewayOf(world, workload);
  const listeners = (gateway?.spec.listeners ?? []).filter((listener) => listener.port === port);
  const faults = listeners.flatMap(({ name }) => {
    const conditions = gateway?.status?.listeners?.find((listener) => listener.name === name)?.conditions ?? [];
    const wrong = conditions.filter(({ type, status }) => types.has(type) && status === 'False');
    const details = wrong.map(
      ({ type, reason, message }) => `listener ${name}: ${type} is False, ${reason}: ${message}`,
    );
    return wrong.length > 0 ? [{ isServed: wrong.every(({ type }) => type !== 'Programmed'), details }] : [];
  });
  if (faults.length === 0) return;
  const what = `Gateway ${workload.namespace}/${gateway?.metadata.name} port ${port}`;
  const details = faults.flatMap((fault) => fault.details);
  if (faults.length === listeners.length && faults.every(({ isServed }) => !isServed)) {
    steps.stop(stage, `${what}: no listener is served`, 'the connection is refused', details);
  } else steps.note(stage, `${what}: not everything is served as it is written`, details);
}

/** What keeps a listener from being served, and what its references lack, such as the Secret of its certificate. */
const types: ReadonlySet<string> = new Set(['Programmed', 'ResolvedRefs']);

function gatewayOf({ pods, gateways }: World, { namespace, name }: MeshWorkload): Gateway | undefined {
  const pod = pods.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  const of = pod?.metadata.labels?.[gatewayLabel];
  return gateways.find(({ metadata }) => metadata.namespace === namespace && metadata.name === of);
}
