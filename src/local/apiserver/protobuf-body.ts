/**
 * Kubernetes' protobuf bodies, as far as kubectl's typed commands send them (`create namespace`, `create token`, ...).
 *
 * A body is the magic `k8s\0` and a `runtime.Unknown` that holds the object. Field numbers are those of the generated.proto
 * files of k8s.io/api and k8s.io/apimachinery. What these tables do not name is refused unless it is empty: nothing that a
 * client sent is dropped in silence.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { messageOf } from '../../lib/errors.ts';
import { setOwn, type Json, type JsonObject } from './merge-patch.ts';
import { badRequest, StatusError, unsupportedMediaType } from './status-error.ts';

export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

/** `name:type`; types: text (default), int, bool, bytes, map, bytesMap, time, or a message; `*` before a type: a list; `?` after: zero counts. */
type Fields = Readonly<Record<number, string>>;

const magic = Buffer.from('k8s\0');

const objectMessage = (spec?: string): Fields => ({
  1: 'metadata:ObjectMeta',
  ...(spec !== undefined && { 2: `spec:${spec}` }),
  3: 'status:skip',
});

const messages: Readonly<Record<string, Fields>> = {
  Unknown: { 1: 'typeMeta:TypeMeta', 2: 'raw:bytes', 3: 'contentEncoding', 4: 'contentType' },
  TypeMeta: { 1: 'apiVersion', 2: 'kind' },
  ObjectMeta: {
    1: 'name',
    2: 'generateName',
    3: 'namespace',
    4: 'selfLink:skip',
    5: 'uid',
    6: 'resourceVersion',
    7: 'generation:int',
    8: 'creationTimestamp:time',
    9: 'deletionTimestamp:time',
    10: 'deletionGracePeriodSeconds:int?',
    11: 'labels:map',
    12: 'annotations:map',
    13: 'ownerReferences:*OwnerReference',
    14: 'finalizers:*text',
    17: 'managedFields:skip',
  },
  OwnerReference: {
    1: 'kind',
    3: 'name',
    4: 'uid',
    5: 'apiVersion',
    6: 'controller:bool?',
    7: 'blockOwnerDeletion:bool?',
  },
  Namespace: objectMessage('NamespaceSpec'),
  NamespaceSpec: { 1: 'finalizers:*text' },
  ConfigMap: { 1: 'metadata:ObjectMeta', 2: 'data:map', 3: 'binaryData:bytesMap', 4: 'immutable:bool?' },
  Secret: { 1: 'metadata:ObjectMeta', 2: 'data:bytesMap', 3: 'type', 4: 'stringData:map', 5: 'immutable:bool?' },
  ServiceAccount: { 1: 'metadata:ObjectMeta', 4: 'automountServiceAccountToken:bool?' },
  Service: objectMessage('ServiceSpec'),
  ServiceSpec: {
    1: 'ports:*ServicePort',
    2: 'selector:map',
    3: 'clusterIP',
    4: 'type',
    7: 'sessionAffinity',
    10: 'externalName',
  },
  ServicePort: {
    1: 'name',
    2: 'protocol',
    3: 'port:int',
    4: 'targetPort:IntOrString',
    5: 'nodePort:int',
    6: 'appProtocol',
  },
  Deployment: objectMessage('DeploymentSpec'),
  DeploymentSpec: {
    1: 'replicas:int?',
    2: 'selector:LabelSelector',
    3: 'template:PodTemplateSpec',
    4: 'strategy:DeploymentStrategy',
    5: 'minReadySeconds:int',
    6: 'revisionHistoryLimit:int?',
    7: 'paused:bool',
    9: 'progressDeadlineSeconds:int?',
  },
  DeploymentStrategy: { 1: 'type' },
  LabelSelector: { 1: 'matchLabels:map' },
  PodTemplateSpec: { 1: 'metadata:ObjectMeta', 2: 'spec:PodSpec' },
  PodSpec: {
    2: 'containers:*Container',
    3: 'restartPolicy',
    4: 'terminationGracePeriodSeconds:int?',
    5: 'activeDeadlineSeconds:int?',
    6: 'dnsPolicy',
    7: 'nodeSelector:map',
    8: 'serviceAccountName',
    9: 'serviceAccount',
    10: 'nodeName',
    11: 'hostNetwork:bool',
    12: 'hostPID:bool',
    13: 'hostIPC:bool',
    14: 'securityContext:PodSecurityContext',
    15: 'imagePullSecrets:*LocalObjectReference',
    16: 'hostname',
    17: 'subdomain',
    19: 'schedulerName',
    20: 'initContainers:*Container',
    21: 'automountServiceAccountToken:bool?',
    22: 'tolerations:*Toleration',
    24: 'priorityClassName',
    25: 'priority:int?',
    27: 'shareProcessNamespace:bool?',
    30: 'enableServiceLinks:bool?',
    31: 'preemptionPolicy',
  },
  PodSecurityContext: {
    2: 'runAsUser:int?',
    3: 'runAsNonRoot:bool?',
    4: 'supplementalGroups:*int',
    5: 'fsGroup:int?',
    6: 'runAsGroup:int?',
  },
  LocalObjectReference: { 1: 'name' },
  Toleration: { 1: 'key', 2: 'operator', 3: 'value', 4: 'effect', 5: 'tolerationSeconds:int?' },
  Container: {
    1: 'name',
    2: 'image',
    3: 'command:*text',
    4: 'args:*text',
    5: 'workingDir',
    6: 'ports:*ContainerPort',
    7: 'env:*EnvVar',
    8: 'resources:ResourceRequirements',
    9: 'volumeMounts:*VolumeMount',
    13: 'terminationMessagePath',
    14: 'imagePullPolicy',
    16: 'stdin:bool',
    17: 'stdinOnce:bool',
    18: 'tty:bool',
    20: 'terminationMessagePolicy',
    24: 'restartPolicy',
  },
  EnvVar: { 1: 'name', 2: 'value', 3: 'valueFrom:EnvVarSource' },
  EnvVarSource: { 1: 'fieldRef:ObjectFieldSelector' },
  ObjectFieldSelector: { 1: 'apiVersion', 2: 'fieldPath' },
  ResourceRequirements: { 1: 'limits:quantityMap', 2: 'requests:quantityMap' },
  VolumeMount: { 1: 'name', 2: 'readOnly:bool', 3: 'mountPath', 4: 'subPath', 5: 'mountPropagation', 6: 'subPathExpr' },
  ContainerPort: { 1: 'name', 2: 'hostPort:int', 3: 'containerPort:int', 4: 'protocol', 5: 'hostIP' },
  Job: objectMessage('JobSpec'),
  JobSpec: {
    1: 'parallelism:int?',
    2: 'completions:int?',
    3: 'activeDeadlineSeconds:int?',
    4: 'selector:LabelSelector',
    5: 'manualSelector:bool?',
    6: 'template:PodTemplateSpec',
    7: 'backoffLimit:int?',
    8: 'ttlSecondsAfterFinished:int?',
    9: 'completionMode',
    10: 'suspend:bool?',
    14: 'podReplacementPolicy',
  },
  CronJob: objectMessage('CronJobSpec'),
  CronJobSpec: {
    1: 'schedule',
    2: 'startingDeadlineSeconds:int?',
    3: 'concurrencyPolicy',
    4: 'suspend:bool?',
    5: 'jobTemplate:JobTemplateSpec',
    6: 'successfulJobsHistoryLimit:int?',
    7: 'failedJobsHistoryLimit:int?',
    8: 'timeZone',
  },
  JobTemplateSpec: { 1: 'metadata:ObjectMeta', 2: 'spec:JobSpec' },
  HorizontalPodAutoscaler: objectMessage('HorizontalPodAutoscalerSpec'),
  HorizontalPodAutoscalerSpec: {
    1: 'scaleTargetRef:CrossVersionObjectReference',
    2: 'minReplicas:int?',
    3: 'maxReplicas:int',
    4: 'metrics:*MetricSpec',
  },
  CrossVersionObjectReference: { 1: 'kind', 2: 'name', 3: 'apiVersion' },
  MetricSpec: { 1: 'type', 4: 'resource:ResourceMetricSource' },
  ResourceMetricSource: { 1: 'name', 2: 'target:MetricTarget' },
  MetricTarget: { 1: 'type', 2: 'value:Quantity', 3: 'averageValue:Quantity', 4: 'averageUtilization:int?' },
  PodDisruptionBudget: objectMessage('PodDisruptionBudgetSpec'),
  PodDisruptionBudgetSpec: {
    1: 'minAvailable:IntOrString',
    2: 'selector:LabelSelector',
    3: 'maxUnavailable:IntOrString',
    4: 'unhealthyPodEvictionPolicy',
  },
  PriorityClass: {
    1: 'metadata:ObjectMeta',
    2: 'value:int',
    3: 'globalDefault:bool',
    4: 'description',
    5: 'preemptionPolicy',
  },
  Eviction: { 1: 'metadata:ObjectMeta', 2: 'deleteOptions:DeleteOptions' },
  QuantityText: { 1: 'text' },
  IntOrStringText: { 1: 'type:skip', 2: 'number:skip', 3: 'text' },
  TokenRequest: objectMessage('TokenRequestSpec'),
  TokenRequestSpec: { 1: 'audiences:*text', 3: 'boundObjectRef:BoundObjectReference', 4: 'expirationSeconds:int?' },
  BoundObjectReference: { 1: 'kind', 2: 'apiVersion', 3: 'name', 4: 'uid' },
  TokenReview: objectMessage('TokenReviewSpec'),
  TokenReviewSpec: { 1: 'token', 2: 'audiences:*text' },
  SelfSubjectReview: { 1: 'metadata:ObjectMeta', 2: 'status:skip' },
  SelfSubjectRulesReview: objectMessage('SelfSubjectRulesReviewSpec'),
  SelfSubjectRulesReviewSpec: { 1: 'namespace' },
  SubjectAccessReview: objectMessage('SubjectAccessReviewSpec'),
  LocalSubjectAccessReview: objectMessage('SubjectAccessReviewSpec'),
  SubjectAccessReviewSpec: {
    1: 'resourceAttributes:ResourceAttributes',
    2: 'nonResourceAttributes:NonResourceAttributes',
    3: 'user',
    4: 'groups:*text',
    6: 'uid',
  },
  Role: { 1: 'metadata:ObjectMeta', 2: 'rules:*PolicyRule' },
  ClusterRole: { 1: 'metadata:ObjectMeta', 2: 'rules:*PolicyRule', 3: 'aggregationRule:AggregationRule' },
  AggregationRule: { 1: 'clusterRoleSelectors:*LabelSelector' },
  PolicyRule: {
    1: 'verbs:*text',
    2: 'apiGroups:*text',
    3: 'resources:*text',
    4: 'resourceNames:*text',
    5: 'nonResourceURLs:*text',
  },
  RoleBinding: { 1: 'metadata:ObjectMeta', 2: 'subjects:*Subject', 3: 'roleRef:RoleRef' },
  ClusterRoleBinding: { 1: 'metadata:ObjectMeta', 2: 'subjects:*Subject', 3: 'roleRef:RoleRef' },
  Subject: { 1: 'kind', 2: 'apiGroup', 3: 'name', 4: 'namespace' },
  RoleRef: { 1: 'apiGroup', 2: 'kind', 3: 'name' },
  SelfSubjectAccessReview: objectMessage('SelfSubjectAccessReviewSpec'),
  SelfSubjectAccessReviewSpec: {
    1: 'resourceAttributes:ResourceAttributes',
    2: 'nonResourceAttributes:NonResourceAttributes',
  },
  ResourceAttributes: {
    1: 'namespace',
    2: 'verb',
    3: 'group',
    4: 'version',
    5: 'resource',
    6: 'subresource',
    7: 'name',
  },
  NonResourceAttributes: { 1: 'path', 2: 'verb' },
  DeleteOptions: {
    1: 'gracePeriodSeconds:int?',
    2: 'preconditions:Preconditions',
    3: 'orphanDependents:bool?',
    4: 'propagationPolicy',
    5: 'dryRun:*text',
  },
  Preconditions: { 1: 'uid', 2: 'resourceVersion' },
};

/** Kinds that a body may hold: the messages that are objects of their own. */
const bodyKinds = new Set(
  [
    'Namespace ConfigMap Secret ServiceAccount Service Deployment',
    'Job CronJob HorizontalPodAutoscaler PodDisruptionBudget PriorityClass Eviction',
    'Role ClusterRole RoleBinding ClusterRoleBinding',
    'TokenRequest TokenReview SelfSubjectReview',
    'SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview LocalSubjectAccessReview',
    'DeleteOptions',
  ].flatMap((group) => group.split(' ')),
);

/** The object as its JSON would be. Throws 400 for malformed bytes, 415 for kinds and fields that the tables lack. */
export function decodeProtobufBody(body: Buffer): JsonObject {
  try {
    if (!body.subarray(0, 4).equals(magic))
      throw badRequest('the body does not begin with the magic of Kubernetes protobuf');
    const { raw, typeMeta } = readMessage('Unknown', body.subarray(4));
    const { apiVersion = '', kind = '' } = typeMeta as JsonObject;
    if (typeof kind !== 'string' || !bodyKinds.has(kind)) {
      throw unsupportedMediaType(
        `${JSON.stringify(kind)} is not accepted as ${protobufMediaType}; send it as application/json`,
      );
    }
    const bytes = typeof raw === 'string' ? Buffer.from(raw, 'base64') : Buffer.alloc(0);
    return { apiVersion, kind, ...readMessage(kind, bytes) };
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`the object provided is unrecognized (must be of type ${protobufMediaType}): ${messageOf(error)}`);
  }
}

function readMessage(type: string, bytes: Uint8Array): JsonObject {
  const fields = messages[type] ?? {};
  const reader = new BinaryReader(bytes);
  const result: JsonObject = {};
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const [name = '', form = 'text'] = fields[number]?.split(':') ?? ['', 'unknown'];
    if (form === 'unknown') refuseUnlessEmpty(reader, type, number, wireType);
    else if (form === 'skip') reader.skip(wireType, number);
    else readField(reader, wireType, result, name, form);
  }
  return result;
}

function readField(reader: BinaryReader, wireType: WireType, result: JsonObject, name: string, form: string): void {
  const keepsZero = form.endsWith('?');
  const type = form.replace(/^\*|\?$/g, '');
  if (type === 'map' || type === 'bytesMap' || type === 'quantityMap') {
    const entry = readEntry(reader.bytes(), type);
    const map = (result[name] ?? {}) as JsonObject;
    setOwn(map, entry.key, entry.value);
    result[name] = map;
    return;
  }
  const value = readValue(reader, wireType, type);
  if (form.startsWith('*')) result[name] = [...((result[name] as Json[] | undefined) ?? []), value ?? ''];
  else if (value !== undefined && (keepsZero || (value !== '' && value !== 0 && value !== false))) result[name] = value;
}

function readValue(reader: BinaryReader, wireType: WireType, type: string): Json | undefined {
  const expected = type === 'int' || type === 'bool' ? WireType.Varint : WireType.LengthDelimited;
  if (wireType !== expected) throw new Error(`a field has wire type ${wireType} instead of ${expected}`);
  switch (type) {
    case 'text':
      return reader.string();
    case 'int':
      return Number(reader.int64());
    case 'bool':
      return reader.bool();
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'time': {
      const [seconds] = varints(reader.bytes());
      return seconds === undefined || seconds === 0
        ? undefined
        : new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
    }
    case 'Quantity':
      return readMessage('QuantityText', reader.bytes())['text'];
    case 'IntOrString': {
      const bytes = reader.bytes();
      const [kind = 0, int = 0] = varints(bytes);
      if (kind === 0) return int === 0 ? undefined : int;
      return readMessage('IntOrStringText', bytes)['text'];
    }
    default: {
      const message = readMessage(type, reader.bytes());
      return Object.keys(message).length === 0 ? undefined : message;
    }
  }
}

/** The varint fields of a message by their order of number, from 1. */
function varints(bytes: Uint8Array): number[] {
  const reader = new BinaryReader(bytes);
  const result: number[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.Varint) result[number - 1] = Number(reader.int64());
    else reader.skip(wireType, number);
  }
  return result;
}

function readEntry(bytes: Uint8Array, type: 'map' | 'bytesMap' | 'quantityMap'): { key: string; value: Json } {
  const reader = new BinaryReader(bytes);
  const entry: { key: string; value: Json } = { key: '', value: '' };
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1) entry.key = reader.string();
    else if (number !== 2) reader.skip(wireType, number);
    else if (type === 'bytesMap') entry.value = Buffer.from(reader.bytes()).toString('base64');
    else if (type === 'quantityMap') entry.value = readMessage('QuantityText', reader.bytes())['text'] ?? '0';
    else entry.value = reader.string();
  }
  return entry;
}

/** Go writes every field that is no pointer, also when it is empty. */
function refuseUnlessEmpty(reader: BinaryReader, type: string, number: number, wireType: WireType): void {
  const isEmpty =
    (wireType === WireType.Varint && reader.int64().toString() === '0') ||
    (wireType === WireType.LengthDelimited && reader.bytes().length === 0);
  if (isEmpty) return;
  throw unsupportedMediaType(
    `field ${number} of ${type} is not accepted as ${protobufMediaType}; send it as application/json`,
  );
}
