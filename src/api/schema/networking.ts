/** Schemas of networking.k8s.io, of Endpoints and of PriorityClass. */
import { conditions, labelSelector, objectReference, objectSchema, portNumber, protocol } from './meta.ts';
import { atomic, flag, integer, list, portOrName, record, text, type JsonSchema } from './schema.ts';

const peers = list(
  record({
    ipBlock: record({ cidr: text, except: list(text) }, 'cidr'),
    namespaceSelector: labelSelector,
    podSelector: labelSelector,
  }),
);
const policyPorts = list(record({ port: portOrName, endPort: integer, protocol }));

export const networkPolicySchema: JsonSchema = objectSchema({
  spec: record({
    podSelector: labelSelector,
    policyTypes: list(text),
    ingress: list(record({ from: peers, ports: policyPorts })),
    egress: list(record({ to: peers, ports: policyPorts })),
  }),
});

const typedReference = atomic(record({ apiGroup: text, kind: text, name: text }, 'kind', 'name'));

const backend = record({
  resource: typedReference,
  service: record({ name: text, port: atomic(record({ name: text, number: portNumber })) }, 'name'),
});

export const ingressSchema: JsonSchema = objectSchema({
  spec: record({
    ingressClassName: text,
    defaultBackend: backend,
    rules: list(
      record({
        host: text,
        http: record({ paths: list(record({ path: text, pathType: text, backend }, 'pathType', 'backend')) }, 'paths'),
      }),
    ),
    tls: list(record({ hosts: list(text), secretName: text })),
  }),
  status: record({
    loadBalancer: record({
      ingress: list(
        record({
          ip: text,
          hostname: text,
          ports: list(record({ port: integer, protocol: text, error: text }, 'port', 'protocol')),
        }),
      ),
    }),
    conditions,
  }),
});

export const ingressClassSchema: JsonSchema = objectSchema({
  spec: record({
    controller: text,
    parameters: record({ apiGroup: text, kind: text, name: text, namespace: text, scope: text }, 'kind', 'name'),
  }),
});

const addresses = list(atomic(record({ ip: text, hostname: text, nodeName: text, targetRef: objectReference }, 'ip')));

export const endpointsSchema: JsonSchema = objectSchema({
  subsets: list(
    record({
      addresses,
      notReadyAddresses: addresses,
      ports: list(atomic(record({ name: text, port: portNumber, protocol, appProtocol: text }, 'port'))),
    }),
  ),
});

export const priorityClassSchema: JsonSchema = objectSchema(
  { value: integer, globalDefault: flag, description: text, preemptionPolicy: text },
  'value',
);
