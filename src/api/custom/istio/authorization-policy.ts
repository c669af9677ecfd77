/** security.istio.io AuthorizationPolicy: who may do what to which workloads. */
import { kinds } from '../../kinds.ts';
import { list, oneOf, record, text, type JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about, atMostOne, ruled, ruledAtMostOne } from './field.ts';
import { ageColumn, istioKind, securityVersions, textColumn } from './kind.ts';
import { selector } from './selector.ts';
import { targetRef, targetRefs } from './target-ref.ts';

const texts = list(text);
const accounts: JsonSchema = { type: 'array', maxItems: 16, items: { type: 'string', maxLength: 320 } };

const source = ruled(
  record({
    principals: about(
      'Identities of the peer, as cluster.local/ns/default/sa/curl; * at either end stands for anything.',
      texts,
    ),
    notPrincipals: about('None of these identities.', texts),
    requestPrincipals: about('Issuer and subject of the token of the request, as issuer/subject.', texts),
    notRequestPrincipals: about('None of these tokens.', texts),
    namespaces: about('Namespaces of the peer.', texts),
    notNamespaces: about('None of these namespaces.', texts),
    serviceAccounts: about(
      "Service accounts of the peer, as namespace/name, or name in the policy's own namespace.",
      accounts,
    ),
    notServiceAccounts: about('None of these service accounts.', accounts),
    ipBlocks: about('Addresses or CIDR blocks of the peer of the connection.', texts),
    notIpBlocks: about('None of these addresses.', texts),
    remoteIpBlocks: about(
      'Addresses or CIDR blocks of the original client, by X-Forwarded-For or PROXY protocol.',
      texts,
    ),
    notRemoteIpBlocks: about('None of these original clients.', texts),
    trustDomains: about('Trust domains of the peer.', texts),
    notTrustDomains: about('None of these trust domains.', texts),
  }),
  `!(has(self.serviceAccounts) || has(self.notServiceAccounts)) ||
!(has(self.principals) || has(self.notPrincipals) || has(self.namespaces) || has(self.notNamespaces))`,
  'serviceAccounts cannot be set together with principals or namespaces',
);

const operation = record({
  hosts: about('Hosts of the request, in any case.', texts),
  notHosts: about('None of these hosts.', texts),
  ports: about('Destination ports, as text.', texts),
  notPorts: about('None of these ports.', texts),
  methods: about('HTTP methods; POST for gRPC.', texts),
  notMethods: about('None of these methods.', texts),
  paths: about('Paths of the request after normalisation; * at either end, or the segments {*} and {**}.', texts),
  notPaths: about('None of these paths.', texts),
});

const rule = record({
  from: about('Callers, any of which matches; without it, all.', {
    type: 'array',
    maxItems: 512,
    items: record({ source: about('A caller: all of its fields must match.', source) }),
  }),
  to: about(
    'Operations, any of which matches; without it, all.',
    list(record({ operation: about('An operation: all of its fields must match.', operation) })),
  ),
  when: about(
    'Conditions, all of which must hold.',
    list(
      record(
        {
          key: about('The attribute, as source.ip or request.headers[x-name].', text),
          values: about('Values, any of which it must have.', texts),
          notValues: about('Values, none of which it may have.', texts),
        },
        'key',
      ),
    ),
  ),
});

const spec = about(
  'Who may do what.',
  ruledAtMostOne(
    {
      ...record({
        selector,
        targetRef,
        targetRefs,
        action: about(
          'What is done with a request that a rule matches; ALLOW if nothing is said.',
          oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
        ),
        provider: about(
          'Who decides, when action is CUSTOM.',
          record({ name: about('Name of an extension provider of the mesh configuration.', text) }),
        ),
        rules: about('Requests that the policy is about: those that any rule matches. With no rule, none.', {
          type: 'array',
          maxItems: 512,
          items: rule,
        }),
      }),
      ...atMostOne('provider'),
    },
    'selector',
    'targetRef',
    'targetRefs',
  ),
);

export const authorizationPolicy: CustomKind = istioKind(kinds.AuthorizationPolicy, {
  spec,
  versions: securityVersions,
  shortNames: ['ap'],
  columns: [textColumn('Action', '.spec.action', 'What is done with what the rules match.'), ageColumn],
});
