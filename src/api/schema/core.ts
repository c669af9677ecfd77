/** Schemas of the core kinds but Pod, of Deployment and ReplicaSet, and of EndpointSlice. */
import {
  conditions,
  labelSelector,
  localObjectReference,
  objectReference,
  objectSchema,
  portNumber,
  protocol,
} from './meta.ts';
import { podTemplate } from './pod.ts';
import {
  atomic,
  flag,
  integer,
  keyedList,
  list,
  long,
  mapOf,
  oneOf,
  open,
  openRecord,
  portOrName,
  quantity,
  record,
  retainKeys,
  setList,
  text,
  textMap,
  time,
  type JsonSchema,
} from './schema.ts';

export const namespaceSchema: JsonSchema = objectSchema({
  spec: record({ finalizers: list(text) }),
  status: record({ phase: text, conditions }),
});

export const serviceSchema: JsonSchema = objectSchema({
  spec: record({
    ports: keyedList(
      record(
        { name: text, protocol, appProtocol: text, port: portNumber, targetPort: portOrName, nodePort: portNumber },
        'port',
      ),
      'port',
      ['port', 'protocol'],
    ),
    selector: atomic(textMap),
    clusterIP: text,
    clusterIPs: list(text),
    type: text,
    externalIPs: list(text),
    sessionAffinity: text,
    sessionAffinityConfig: record({ clientIP: record({ timeoutSeconds: integer }) }),
    loadBalancerIP: text,
    loadBalancerSourceRanges: list(text),
    loadBalancerClass: text,
    externalName: text,
    externalTrafficPolicy: text,
    internalTrafficPolicy: text,
    healthCheckNodePort: integer,
    publishNotReadyAddresses: flag,
    ipFamilies: list(text),
    ipFamilyPolicy: text,
    allocateLoadBalancerNodePorts: flag,
    trafficDistribution: text,
  }),
  status: record({
    loadBalancer: record({
      ingress: list(
        record({
          ip: text,
          hostname: text,
          ipMode: text,
          ports: list(record({ port: integer, protocol: text, error: text })),
        }),
      ),
    }),
    conditions,
  }),
});

export const serviceAccountSchema: JsonSchema = objectSchema({
  secrets: keyedList(objectReference, 'name'),
  imagePullSecrets: list(localObjectReference),
  automountServiceAccountToken: flag,
});

export const configMapSchema: JsonSchema = objectSchema({ data: textMap, binaryData: textMap, immutable: flag });

export const secretSchema: JsonSchema = objectSchema({
  data: textMap,
  stringData: textMap,
  type: text,
  immutable: flag,
});

export const nodeSchema: JsonSchema = objectSchema({
  spec: openRecord({
    podCIDR: text,
    podCIDRs: setList(text),
    providerID: text,
    unschedulable: flag,
    taints: list(record({ key: text, value: text, effect: text, timeAdded: time }, 'key', 'effect')),
  }),
  status: openRecord({
    capacity: mapOf(quantity),
    allocatable: mapOf(quantity),
    conditions,
    addresses: keyedList(record({ type: text, address: text }, 'type', 'address'), 'type'),
    daemonEndpoints: record({ kubeletEndpoint: record({ Port: integer }, 'Port') }),
    nodeInfo: openRecord({}),
    images: list(record({ names: list(text), sizeBytes: long })),
  }),
});

export const eventSchema: JsonSchema = objectSchema(
  {
    involvedObject: objectReference,
    reason: text,
    message: text,
    source: record({ component: text, host: text }),
    firstTimestamp: time,
    lastTimestamp: time,
    count: integer,
    type: text,
    eventTime: time,
    series: record({ count: integer, lastObservedTime: time }),
    action: text,
    related: objectReference,
    reportingComponent: text,
    reportingInstance: text,
  },
  'involvedObject',
);

export const deploymentSchema: JsonSchema = objectSchema(
  {
    spec: record(
      {
        replicas: integer,
        selector: labelSelector,
        template: podTemplate,
        strategy: retainKeys(
          record({ type: text, rollingUpdate: record({ maxSurge: portOrName, maxUnavailable: portOrName }) }),
        ),
        minReadySeconds: integer,
        revisionHistoryLimit: integer,
        paused: flag,
        progressDeadlineSeconds: integer,
      },
      'selector',
      'template',
    ),
    status: record({
      observedGeneration: long,
      replicas: integer,
      updatedReplicas: integer,
      readyReplicas: integer,
      availableReplicas: integer,
      unavailableReplicas: integer,
      terminatingReplicas: integer,
      collisionCount: integer,
      conditions,
    }),
  },
  'spec',
);

export const replicaSetSchema: JsonSchema = objectSchema(
  {
    spec: record(
      { replicas: integer, minReadySeconds: integer, selector: labelSelector, template: podTemplate },
      'selector',
    ),
    status: record({
      replicas: integer,
      fullyLabeledReplicas: integer,
      readyReplicas: integer,
      availableReplicas: integer,
      terminatingReplicas: integer,
      observedGeneration: long,
      conditions,
    }),
  },
  'spec',
);

export const endpointSliceSchema: JsonSchema = objectSchema(
  {
    addressType: oneOf('IPv4', 'IPv6', 'FQDN'),
    endpoints: list(
      record(
        {
          addresses: { ...list(text), 'x-kubernetes-list-type': 'set' },
          conditions: record({ ready: flag, serving: flag, terminating: flag }),
          hostname: text,
          targetRef: objectReference,
          nodeName: text,
          zone: text,
          deprecatedTopology: textMap,
          hints: open,
        },
        'addresses',
      ),
    ),
    ports: list(atomic(record({ name: text, protocol, port: portNumber, appProtocol: text }))),
  },
  'addressType',
);
