/** Schemas of Istio's kinds: AuthorizationPolicy and PeerAuthentication in full, the others by their outline. */
import { conditions, objectSchema } from './meta.ts';
import { list, mapOf, oneOf, open, openRecord, record, text, textMap, type JsonSchema } from './schema.ts';

const status = openRecord({
  conditions,
  observedGeneration: { 'x-kubernetes-int-or-string': true },
  validationMessages: list(open),
});

const selector = record({ matchLabels: textMap });
const targetRef = record({ group: text, kind: text, name: text, namespace: text }, 'kind', 'name');
const texts = list(text);

const source = record({
  principals: texts,
  notPrincipals: texts,
  requestPrincipals: texts,
  notRequestPrincipals: texts,
  namespaces: texts,
  notNamespaces: texts,
  ipBlocks: texts,
  notIpBlocks: texts,
  remoteIpBlocks: texts,
  notRemoteIpBlocks: texts,
  serviceAccounts: texts,
  notServiceAccounts: texts,
  trustDomains: texts,
  notTrustDomains: texts,
});

const operation = record({
  hosts: texts,
  notHosts: texts,
  ports: texts,
  notPorts: texts,
  methods: texts,
  notMethods: texts,
  paths: texts,
  notPaths: texts,
});

export const authorizationPolicySchema: JsonSchema = objectSchema({
  spec: record({
    selector,
    targetRef,
    targetRefs: list(targetRef),
    rules: list(
      record({
        from: list(record({ source })),
        to: list(record({ operation })),
        when: list(record({ key: text, values: texts, notValues: texts }, 'key')),
      }),
    ),
    action: oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
    provider: record({ name: text }),
  }),
  status,
});

const mutualTls = record({ mode: oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT') });

export const peerAuthenticationSchema: JsonSchema = objectSchema({
  spec: record({ selector, mtls: mutualTls, portLevelMtls: mapOf(mutualTls) }),
  status,
});

/** A kind of which only the outline is known: any spec, conditions in status. */
export const outlineSchema: JsonSchema = objectSchema({ spec: open, status });
