/** Defaults of the kinds other than Pod. Each function edits a copy that its caller made. */
import { ensureObject, fill, objectAt, objectsAt, type JsonObject } from './fill.ts';
import { defaultPodSpec } from './pod.ts';

/** Every namespace carries its name as a label. The finalizer of its content is set when it is made. */
export function defaultNamespace(namespace: JsonObject): void {
  const metadata = objectAt(namespace, 'metadata');
  if (!metadata || metadata['deletionTimestamp'] !== undefined) return;
  const labels = ensureObject(metadata, 'labels');
  if (labels && typeof metadata['name'] === 'string') labels['kubernetes.io/metadata.name'] = metadata['name'];
  const status = ensureObject(namespace, 'status');
  if (status) fill(status, { phase: 'Active' });
}

export function defaultService(service: JsonObject): void {
  const spec = ensureObject(service, 'spec');
  if (!spec) return;
  fill(spec, { type: 'ClusterIP', sessionAffinity: 'None' });
  for (const port of objectsAt(spec, 'ports')) {
    fill(port, { protocol: 'TCP' });
    if (port['targetPort'] === undefined || port['targetPort'] === 0 || port['targetPort'] === '')
      port['targetPort'] = port['port'];
    if (port['targetPort'] === undefined) delete port['targetPort'];
  }
  if (spec['sessionAffinity'] === 'ClientIP') {
    const clientIp = objectAt(ensureObject(spec, 'sessionAffinityConfig') ?? {}, 'clientIP') ?? {};
    fill(clientIp, { timeoutSeconds: 10_800 });
    spec['sessionAffinityConfig'] = { clientIP: clientIp };
  }
  if (spec['type'] !== 'ExternalName') {
    // IP families and addresses depend on the cluster: admission gives them.
    fill(spec, { internalTrafficPolicy: 'Cluster' });
  }
  if (spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer') fill(spec, { externalTrafficPolicy: 'Cluster' });
  if (spec['type'] === 'LoadBalancer') fill(spec, { allocateLoadBalancerNodePorts: true });
  const status = ensureObject(service, 'status');
  if (status) fill(status, { loadBalancer: {} });
}

/** `stringData` is how people write; what is stored is `data`, in base64. */
export function defaultSecret(secret: JsonObject): void {
  fill(secret, { type: 'Opaque' });
  const plain = objectAt(secret, 'stringData');
  if (!plain || Object.values(plain).some((value) => typeof value !== 'string')) return;
  const data = ensureObject(secret, 'data');
  if (!data) return;
  for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(String(value)).toString('base64');
  delete secret['stringData'];
}

export function defaultDeployment(deployment: JsonObject): void {
  const spec = objectAt(deployment, 'spec');
  if (!spec) return;
  fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 });
  const strategy = ensureObject(spec, 'strategy');
  if (strategy) fill(strategy, { type: 'RollingUpdate' });
  if (strategy?.['type'] === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    if (rolling) fill(rolling, { maxSurge: '25%', maxUnavailable: '25%' });
  }
  defaultTemplate(spec);
}

export function defaultReplicaSet(replicaSet: JsonObject): void {
  const spec = objectAt(replicaSet, 'spec');
  if (!spec) return;
  fill(spec, { replicas: 1 });
  defaultTemplate(spec);
  const status = ensureObject(replicaSet, 'status');
  if (status) fill(status, { replicas: 0 });
}

export function defaultEndpointSlice(slice: JsonObject): void {
  fill(slice, { endpoints: [] });
  for (const port of objectsAt(slice, 'ports')) fill(port, { name: '', protocol: 'TCP' });
}

function defaultTemplate(spec: JsonObject): void {
  const template = objectAt(spec, 'template');
  const podSpec = template && objectAt(template, 'spec');
  if (podSpec) defaultPodSpec(podSpec);
}
