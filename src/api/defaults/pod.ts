/** Defaults of pods and pod templates (`k8s.io/kubernetes/pkg/apis/core/v1/defaults.go`). */
import { ensureObject, fill, objectAt, objectsAt, type JsonObject } from './fill.ts';

const volumeKinds = ['configMap', 'secret', 'downwardAPI', 'projected'];

/** What pods and pod templates have in common. */
export function defaultPodSpec(spec: JsonObject): void {
  fill(spec, {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
  });
  // The older name of the field follows the newer one.
  const account = spec['serviceAccountName'] ?? spec['serviceAccount'];
  if (account !== undefined) fill(spec, { serviceAccountName: account, serviceAccount: account });
  for (const list of ['initContainers', 'containers']) {
    for (const container of objectsAt(spec, list)) defaultContainer(container, spec['hostNetwork'] === true);
  }
  for (const volume of objectsAt(spec, 'volumes')) defaultVolume(volume);
}

/** What only a pod itself gets. */
export function defaultPod(pod: JsonObject): void {
  const spec = objectAt(pod, 'spec');
  if (!spec) return;
  // Account, priority and tolerations depend on other objects: admission gives them.
  fill(spec, { enableServiceLinks: true });
  defaultPodSpec(spec);
  for (const list of ['initContainers', 'containers']) {
    for (const container of objectsAt(spec, list)) {
      const resources = objectAt(container, 'resources');
      const limits = resources && objectAt(resources, 'limits');
      if (!limits) continue;
      const requests = ensureObject(resources, 'requests');
      if (requests) fill(requests, limits);
    }
  }
  const status = ensureObject(pod, 'status');
  if (status) fill(status, { phase: 'Pending', qosClass: qosClassOf(spec) });
}

function defaultContainer(container: JsonObject, hostNetwork: boolean): void {
  fill(container, {
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: pullPolicyOf(container['image']),
  });
  for (const port of objectsAt(container, 'ports')) {
    fill(port, { protocol: 'TCP' });
    if (hostNetwork && port['containerPort'] !== undefined) fill(port, { hostPort: port['containerPort'] });
  }
  for (const variable of objectsAt(container, 'env')) {
    const source = objectAt(variable, 'valueFrom');
    const fieldRef = source && objectAt(source, 'fieldRef');
    if (fieldRef) fill(fieldRef, { apiVersion: 'v1' });
  }
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = objectAt(container, name);
    if (!probe) continue;
    fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
    const grpc = objectAt(probe, 'grpc');
    if (grpc) fill(grpc, { service: '' });
    defaultHttpGet(probe);
  }
  const lifecycle = objectAt(container, 'lifecycle');
  for (const name of ['postStart', 'preStop']) {
    const handler = lifecycle && objectAt(lifecycle, name);
    if (handler) defaultHttpGet(handler);
  }
}

function defaultHttpGet(handler: JsonObject): void {
  const httpGet = objectAt(handler, 'httpGet');
  if (httpGet) fill(httpGet, { path: '/', scheme: 'HTTP' });
}

function defaultVolume(volume: JsonObject): void {
  if (Object.keys(volume).every((key) => key === 'name')) volume['emptyDir'] = {};
  for (const kind of volumeKinds) {
    const source = objectAt(volume, kind);
    if (!source) continue;
    fill(source, { defaultMode: 0o644 });
    if (kind === 'downwardAPI') defaultDownwardItems(source);
    for (const projection of kind === 'projected' ? objectsAt(source, 'sources') : []) {
      const token = objectAt(projection, 'serviceAccountToken');
      if (token) fill(token, { expirationSeconds: 3600 });
      const downward = objectAt(projection, 'downwardAPI');
      if (downward) defaultDownwardItems(downward);
    }
  }
  const hostPath = objectAt(volume, 'hostPath');
  if (hostPath) fill(hostPath, { type: '' });
}

function defaultDownwardItems(source: JsonObject): void {
  for (const item of objectsAt(source, 'items')) {
    const fieldRef = objectAt(item, 'fieldRef');
    if (fieldRef) fill(fieldRef, { apiVersion: 'v1' });
  }
}

/** No tag, or `latest`, is pulled always. A digest is a fixed version. */
function pullPolicyOf(image: unknown): string {
  if (typeof image !== 'string' || image.includes('@')) return 'IfNotPresent';
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function qosClassOf(spec: JsonObject): string {
  const containers = [...objectsAt(spec, 'initContainers'), ...objectsAt(spec, 'containers')];
  const sets = containers.map((container) => {
    const resources = objectAt(container, 'resources') ?? {};
    return { limits: objectAt(resources, 'limits') ?? {}, requests: objectAt(resources, 'requests') ?? {} };
  });
  if (sets.every(({ limits, requests }) => Object.keys(limits).length + Object.keys(requests).length === 0))
    return 'BestEffort';
  const guaranteed = sets.every(({ limits, requests }) =>
    ['cpu', 'memory'].every((name) => limits[name] !== undefined && (requests[name] ?? limits[name]) === limits[name]),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
