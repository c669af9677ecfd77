/** Schema of Pod and of pod templates. */
import { conditions, labelSelector, localObjectReference, objectMeta, objectSchema, protocol } from './meta.ts';
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
  text,
  textMap,
  time,
  type JsonSchema,
} from './schema.ts';

const fieldRef = atomic(record({ apiVersion: text, fieldPath: text }, 'fieldPath'));
const resourceFieldRef = atomic(record({ containerName: text, resource: text, divisor: quantity }, 'resource'));
const keyRef = atomic(record({ name: text, key: text, optional: flag }, 'key'));
const optionalRef = record({ name: text, optional: flag });
const keyToPath = record({ key: text, path: text, mode: integer }, 'key', 'path');
const downwardFile = record({ path: text, fieldRef, resourceFieldRef, mode: integer }, 'path');
const restartPolicy = oneOf('Always', 'OnFailure', 'Never');

const exec = record({ command: list(text) });
const httpGet = record(
  {
    path: text,
    port: portOrName,
    host: text,
    scheme: oneOf('HTTP', 'HTTPS'),
    httpHeaders: list(record({ name: text, value: text }, 'name', 'value')),
  },
  'port',
);
const tcpSocket = record({ port: portOrName, host: text }, 'port');

const probe = record({
  exec,
  httpGet,
  tcpSocket,
  grpc: record({ port: integer, service: text }, 'port'),
  initialDelaySeconds: integer,
  timeoutSeconds: integer,
  periodSeconds: integer,
  successThreshold: integer,
  failureThreshold: integer,
  terminationGracePeriodSeconds: long,
});

const lifecycleHandler = record({ exec, httpGet, tcpSocket, sleep: record({ seconds: long }, 'seconds') });
const seccompProfile = record({ type: text, localhostProfile: text }, 'type');

const securityContext = openRecord({
  privileged: flag,
  capabilities: record({ add: list(text), drop: list(text) }),
  runAsUser: long,
  runAsGroup: long,
  runAsNonRoot: flag,
  readOnlyRootFilesystem: flag,
  allowPrivilegeEscalation: flag,
  procMount: text,
  seccompProfile,
  seLinuxOptions: textMap,
  appArmorProfile: open,
  windowsOptions: open,
});

const resources = record({
  limits: mapOf(quantity),
  requests: mapOf(quantity),
  claims: keyedList(record({ name: text, request: text }, 'name'), 'name'),
});

const container = record(
  {
    name: text,
    image: text,
    command: list(text),
    args: list(text),
    workingDir: text,
    ports: keyedList(
      record({ name: text, containerPort: integer, hostPort: integer, hostIP: text, protocol }, 'containerPort'),
      'containerPort',
      ['containerPort', 'protocol'],
    ),
    env: keyedList(
      record(
        {
          name: text,
          value: text,
          valueFrom: record({
            fieldRef,
            resourceFieldRef,
            configMapKeyRef: keyRef,
            secretKeyRef: keyRef,
            fileKeyRef: atomic(open),
          }),
        },
        'name',
      ),
      'name',
    ),
    envFrom: list(record({ prefix: text, configMapRef: optionalRef, secretRef: optionalRef })),
    resources,
    resizePolicy: list(open),
    restartPolicyRules: list(open),
    volumeMounts: keyedList(
      record(
        {
          name: text,
          mountPath: text,
          subPath: text,
          subPathExpr: text,
          readOnly: flag,
          recursiveReadOnly: text,
          mountPropagation: text,
        },
        'name',
        'mountPath',
      ),
      'mountPath',
    ),
    volumeDevices: keyedList(record({ name: text, devicePath: text }, 'name', 'devicePath'), 'devicePath'),
    livenessProbe: probe,
    readinessProbe: probe,
    startupProbe: probe,
    lifecycle: record({ postStart: lifecycleHandler, preStop: lifecycleHandler, stopSignal: text }),
    securityContext,
    imagePullPolicy: oneOf('Always', 'IfNotPresent', 'Never'),
    terminationMessagePath: text,
    terminationMessagePolicy: oneOf('File', 'FallbackToLogsOnError'),
    restartPolicy: text,
    stdin: flag,
    stdinOnce: flag,
    tty: flag,
    targetContainerName: text,
  },
  'name',
);

/** Kept as they are, and refused by whoever runs the pod. */
const otherVolumes = Object.fromEntries(
  [
    'awsElasticBlockStore',
    'azureDisk',
    'azureFile',
    'cephfs',
    'cinder',
    'csi',
    'ephemeral',
    'fc',
    'flexVolume',
    'flocker',
    'gcePersistentDisk',
    'gitRepo',
    'glusterfs',
    'image',
    'iscsi',
    'nfs',
    'persistentVolumeClaim',
    'photonPersistentDisk',
    'portworxVolume',
    'quobyte',
    'rbd',
    'scaleIO',
    'storageos',
    'vsphereVolume',
  ].map((name) => [name, open]),
);

const volume = retainKeys(
  record(
    {
      ...otherVolumes,
      name: text,
      configMap: record({ name: text, items: list(keyToPath), defaultMode: integer, optional: flag }),
      secret: record({ secretName: text, items: list(keyToPath), defaultMode: integer, optional: flag }),
      projected: record({
        sources: list(
          openRecord({
            configMap: record({ name: text, items: list(keyToPath), optional: flag }),
            secret: record({ name: text, items: list(keyToPath), optional: flag }),
            downwardAPI: record({ items: list(downwardFile) }),
            serviceAccountToken: record({ path: text, audience: text, expirationSeconds: long }, 'path'),
          }),
        ),
        defaultMode: integer,
      }),
      downwardAPI: record({ items: list(downwardFile), defaultMode: integer }),
      emptyDir: record({ medium: text, sizeLimit: quantity }),
      hostPath: record({ path: text, type: text }, 'path'),
    },
    'name',
  ),
);

export const podSpec: JsonSchema = record(
  {
    containers: keyedList(container, 'name'),
    initContainers: keyedList(container, 'name'),
    ephemeralContainers: keyedList(container, 'name'),
    volumes: keyedList(volume, 'name'),
    restartPolicy,
    terminationGracePeriodSeconds: long,
    activeDeadlineSeconds: long,
    dnsPolicy: oneOf('ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'),
    dnsConfig: record({
      nameservers: list(text),
      searches: list(text),
      options: list(record({ name: text, value: text })),
    }),
    nodeSelector: atomic(textMap),
    nodeName: text,
    serviceAccountName: text,
    serviceAccount: text,
    automountServiceAccountToken: flag,
    hostNetwork: flag,
    hostPID: flag,
    hostIPC: flag,
    hostUsers: flag,
    shareProcessNamespace: flag,
    securityContext: openRecord({
      runAsUser: long,
      runAsGroup: long,
      runAsNonRoot: flag,
      fsGroup: long,
      fsGroupChangePolicy: text,
      supplementalGroups: list(long),
      sysctls: list(record({ name: text, value: text }, 'name', 'value')),
      seccompProfile,
      seLinuxOptions: textMap,
    }),
    imagePullSecrets: keyedList(localObjectReference, 'name'),
    hostname: text,
    hostnameOverride: text,
    subdomain: text,
    setHostnameAsFQDN: flag,
    hostAliases: keyedList(record({ ip: text, hostnames: list(text) }, 'ip'), 'ip'),
    affinity: open,
    topologySpreadConstraints: keyedList(
      openRecord({ topologyKey: text, whenUnsatisfiable: text, maxSkew: integer, labelSelector }, 'topologyKey'),
      'topologyKey',
      ['topologyKey', 'whenUnsatisfiable'],
    ),
    schedulerName: text,
    tolerations: list(record({ key: text, operator: text, value: text, effect: text, tolerationSeconds: long })),
    priorityClassName: text,
    priority: integer,
    preemptionPolicy: text,
    enableServiceLinks: flag,
    runtimeClassName: text,
    readinessGates: list(record({ conditionType: text }, 'conditionType')),
    overhead: mapOf(quantity),
    schedulingGates: keyedList(record({ name: text }, 'name'), 'name'),
    resourceClaims: keyedList(openRecord({ name: text }, 'name'), 'name'),
    resources,
    schedulingGroup: open,
    os: record({ name: text }, 'name'),
  },
  'containers',
);

export const podTemplate: JsonSchema = record({ metadata: objectMeta, spec: podSpec });

const containerState = record({
  waiting: record({ reason: text, message: text }),
  running: record({ startedAt: time }),
  terminated: record(
    {
      exitCode: integer,
      signal: integer,
      reason: text,
      message: text,
      startedAt: time,
      finishedAt: time,
      containerID: text,
    },
    'exitCode',
  ),
});

const containerStatuses = list(
  openRecord(
    {
      name: text,
      state: containerState,
      lastState: containerState,
      ready: flag,
      restartCount: integer,
      image: text,
      imageID: text,
      containerID: text,
      started: flag,
    },
    'name',
    'ready',
    'restartCount',
  ),
);

const podStatus = openRecord({
  phase: oneOf('Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'),
  conditions,
  message: text,
  reason: text,
  nominatedNodeName: text,
  hostIP: text,
  hostIPs: {
    ...list(record({ ip: text }, 'ip')),
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': 'ip',
  },
  podIP: text,
  podIPs: keyedList(record({ ip: text }, 'ip'), 'ip'),
  startTime: time,
  initContainerStatuses: containerStatuses,
  containerStatuses,
  ephemeralContainerStatuses: containerStatuses,
  qosClass: text,
  observedGeneration: long,
});

export const podSchema: JsonSchema = objectSchema({ spec: podSpec, status: podStatus }, 'spec');
