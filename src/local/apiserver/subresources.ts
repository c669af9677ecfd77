/** The subresources that are no plain part of an object: binding, scale, token. */
import type { ServerResponse } from 'node:http';
import type { KindInfo } from '../../api/index.ts';
import { customScale, withReplicas } from './custom/scale.ts';
import { mediaTypeOf, parseObjectBody, readBody, sendJson } from './http-messages.ts';
import { isJsonObject, type JsonObject } from './merge-patch.ts';
import { restrictNodeToken, restrictNodeWrite } from './node-restriction.ts';
import type { ApiObject } from './object-fields.ts';
import { timestamp } from './object-rules.ts';
import type { ReadContext } from './reads.ts';
import { storageOf } from './served-kinds.ts';
import { tokenIssuer, type ServiceAccountTokens } from './service-account-tokens.ts';
import { badRequest, conflict, forbidden, invalid, notFound } from './status-error.ts';
import type { Stored } from './store.ts';
import { parsePatch } from './patches.ts';
import { commit, optionsOf, writeContext, type WriteRequest } from './write-handlers.ts';
import { updateObject } from './writes.ts';

const minTokenSeconds = 600;
const maxTokenSeconds = 2 ** 32;
const defaultTokenSeconds = 3600;

/** `POST pods/NAME/binding`: the scheduler's decision. */
export async function handleBinding(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, namespace = '', name = '' } = request;
  const body = parseObjectBody(await readBody(request.http), mediaTypeOf(request.http));
  const target = isJsonObject(body['target']) ? body['target'] : {};
  const node = target['name'];
  if (typeof node !== 'string' || node === '' || (target['kind'] ?? 'Node') !== 'Node') {
    throw invalid('', 'Binding', name, [
      { reason: 'FieldValueRequired', field: 'target.name', message: 'Required value: a Node' },
    ]);
  }
  const write = writeContext(context, request, response, optionsOf(request, 'CreateOptions'));
  await commit(context, write, (tx) => {
    const existing = tx.get(storageOf(kind), namespace, name);
    if (!existing) throw notFound(kind, name);
    const pod = existing.object as ApiObject;
    if (pod.metadata.deletionTimestamp)
      throw conflict(
        { group: '', plural: 'pods/binding' },
        name,
        `pod ${name} is being deleted, cannot be assigned to a host`,
      );
    const current = pod.spec?.['nodeName'];
    if (typeof current === 'string' && current !== '') {
      throw conflict(
        { group: '', plural: 'pods/binding' },
        name,
        `pod ${name} is already assigned to node ${JSON.stringify(current)}`,
      );
    }
    restrictNodeWrite(tx, { user: request.user, resource: kind, name, before: pod });
    const scheduled = {
      type: 'PodScheduled',
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: timestamp(context.clock.nowMs()),
    };
    const conditions = Array.isArray(pod.status?.['conditions']) ? pod.status['conditions'] : [];
    tx.put(storageOf(kind), {
      ...pod,
      metadata: { ...pod.metadata },
      spec: { ...pod.spec, nodeName: node },
      status: {
        ...pod.status,
        conditions: [...conditions.filter((item) => !isJsonObject(item) || item['type'] !== 'PodScheduled'), scheduled],
      },
    } as ApiObject);
  });
  sendJson(response, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
}

/** GET, PUT and PATCH of `deployments/NAME/scale` and `replicasets/NAME/scale` (autoscaling/v1). */
export async function handleScale(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, namespace = '', name = '', http } = request;
  if (http.method === 'GET') {
    const stored = context.store.get(storageOf(kind), namespace, name);
    if (!stored) throw notFound(kind, name);
    return sendJson(response, 200, scaleOf(stored, kind));
  }
  const change =
    http.method === 'PATCH'
      ? parsePatch(await readBody(http), mediaTypeOf(http), undefined)
      : await readBody(http).then((body) => {
          const sent = parseObjectBody(body, mediaTypeOf(http)) as JsonObject;
          return () => sent;
        });
  const options = optionsOf(request, http.method === 'PATCH' ? 'PatchOptions' : 'UpdateOptions');
  const write = writeContext(context, request, response, options);
  const outcome = await commit(context, write, (tx) =>
    updateObject(tx, write, { name, subresource: 'scale' }, (current) => {
      const scale = change(scaleOf({ object: current }, kind));
      const replicas =
        isJsonObject(scale) && isJsonObject(scale['spec']) ? (scale['spec']['replicas'] ?? 0) : undefined;
      if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0) {
        const message = `Invalid value: ${JSON.stringify(replicas ?? null)}: must be greater than or equal to 0`;
        throw invalid('autoscaling', 'Scale', name, [{ reason: 'FieldValueInvalid', field: 'spec.replicas', message }]);
      }
      const version =
        isJsonObject(scale) && isJsonObject(scale['metadata']) ? scale['metadata']['resourceVersion'] : undefined;
      const scaled = kind.scale
        ? withReplicas(current, kind.scale, replicas)
        : { ...current, spec: { ...current.spec, replicas } };
      return {
        ...scaled,
        metadata: { ...current.metadata, ...(typeof version === 'string' && { resourceVersion: version }) },
      };
    }),
  );
  sendJson(response, 200, scaleOf(outcome.stored, kind));
}

/** `POST serviceaccounts/NAME/token` (TokenRequest). A node gets tokens only for pods that it runs. */
export async function handleTokenRequest(
  context: ReadContext & { readonly serviceAccountTokens: ServiceAccountTokens },
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, namespace = '', name = '' } = request;
  const body = parseObjectBody(await readBody(request.http), mediaTypeOf(request.http));
  const spec = isJsonObject(body['spec']) ? body['spec'] : {};
  const account = context.store.get(storageOf(kind), namespace, name);
  if (!account) throw notFound(kind, name);
  const pod = boundPodOf(context, request, spec['boundObjectRef']);
  const ref = spec['boundObjectRef'];
  restrictNodeToken({
    user: request.user,
    bound: pod && { pod, uid: isJsonObject(ref) ? ref['uid'] : undefined },
    audiences: Array.isArray(spec['audiences']) ? spec['audiences'] : [],
    refuse: (why) => {
      throw forbidden(kind, name, why);
    },
  });

  const seconds = spec['expirationSeconds'] ?? defaultTokenSeconds;
  if (
    typeof seconds !== 'number' ||
    !Number.isInteger(seconds) ||
    seconds < minTokenSeconds ||
    seconds > maxTokenSeconds
  ) {
    const detail =
      typeof seconds === 'number' && seconds > maxTokenSeconds ? 'more than 2^32 seconds' : 'less than 10 minutes';
    const message = `Invalid value: ${JSON.stringify(seconds)}: may not specify a duration ${detail}`;
    throw invalid('authentication.k8s.io', 'TokenRequest', name, [
      { reason: 'FieldValueInvalid', field: 'spec.expirationSeconds', message },
    ]);
  }
  const asked = Array.isArray(spec['audiences'])
    ? spec['audiences'].filter((audience) => typeof audience === 'string')
    : [];
  const audiences = asked.length > 0 ? asked : [tokenIssuer];
  const nodeName = pod?.spec?.['nodeName'];
  const nodeObject = typeof nodeName === 'string' ? context.store.get('nodes', '', nodeName) : undefined;
  const { token, expiresAtMs } = await context.serviceAccountTokens.sign({
    namespace,
    serviceaccount: { name, uid: account.object.metadata.uid ?? '' },
    ...(pod && { pod: { name: pod.metadata.name ?? '', uid: pod.metadata.uid ?? '' } }),
    ...(nodeObject && {
      node: { name: nodeObject.object.metadata.name ?? '', uid: nodeObject.object.metadata.uid ?? '' },
    }),
    audiences,
    expirationSeconds: seconds,
  });
  sendJson(response, 201, {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace, creationTimestamp: timestamp(context.clock.nowMs()) },
    spec: { ...spec, audiences, expirationSeconds: seconds },
    status: { token, expirationTimestamp: timestamp(expiresAtMs) },
  });
}

function boundPodOf(context: ReadContext, request: WriteRequest, ref: unknown): ApiObject | undefined {
  if (ref === undefined || ref === null) return undefined;
  const { namespace = '', name = '' } = request;
  const { kind: refKind, name: podName, uid } = isJsonObject(ref) ? ref : {};
  if (refKind !== 'Pod' || typeof podName !== 'string')
    throw badRequest('cannot bind token: boundObjectRef must name a Pod');
  const stored = context.store.get('pods', namespace, podName);
  if (!stored) throw notFound({ group: '', plural: 'pods' }, podName);
  const pod = stored.object as ApiObject;
  if (typeof uid === 'string' && uid !== '' && uid !== pod.metadata.uid) {
    const why = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict({ group: '', plural: 'pods' }, podName, why);
  }
  const account = pod.spec?.['serviceAccountName'];
  if (account !== name) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(name)} to pod running with different serviceaccount name.`,
    );
  }
  return pod;
}

function scaleOf(stored: Pick<Stored, 'object'>, kind: KindInfo): JsonObject {
  const { metadata, spec = {}, status = {} } = stored.object as ApiObject;
  const labels =
    isJsonObject(spec['selector']) && isJsonObject(spec['selector']['matchLabels'])
      ? spec['selector']['matchLabels']
      : {};
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: metadata.name ?? '',
      namespace: metadata.namespace ?? '',
      uid: metadata.uid ?? '',
      resourceVersion: metadata.resourceVersion ?? '',
      creationTimestamp: metadata.creationTimestamp ?? null,
    },
    ...(kind.scale
      ? customScale(stored.object as ApiObject, kind.scale)
      : {
          spec: { replicas: spec['replicas'] ?? 1 },
          status: {
            replicas: status['replicas'] ?? 0,
            selector: Object.entries(labels)
              .map(([key, value]) => `${key}=${typeof value === 'string' ? value : ''}`)
              .join(','),
          },
        }),
  };
}
