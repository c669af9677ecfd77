/** TLSRoute: where TLS connections go, by the server name that they ask for. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind, CustomVersion } from '../custom-kind.ts';
import { age, deprecated, gatewayKind, kindSchema } from './definition.ts';
import { oneRule, rules } from './l4-rules.ts';
import { dnsLabel, hostname } from './names.ts';
import { parentReferences, routeStatus, useDefaultGateways } from './parents.ts';
import { listOf, object, rule, withRules } from './shape.ts';

const serverName: JsonSchema = hostname('A server name; *. stands for its first labels.');

/** RFC 1123 names, as a CEL text that is not raw. */
const rfc1123 = String.raw`'^(${dnsLabel}(\\.${dnsLabel})*)$'`;

const serverNames: JsonSchema = withRules(
  listOf('Server names that connections must ask for, any of these.', serverName, { min: 1, max: 1024 }),
  rule('Hostnames cannot contain an IP', 'self.all(h, !isIP(h))'),
  rule('Hostnames must be valid based on RFC-1123', `self.all(h, !h.contains('*') ? h.matches(${rfc1123}) : true)`),
  rule(
    'Wildcards on hostnames must be the first label, and the rest of hostname must be valid based on RFC-1123',
    `self.all(h, h.contains('*') ? (h.startsWith('*.') && h.substring(2).matches(${rfc1123})) : true)`,
  ),
);

/** Any name, before v1. */
const anyServerNames: JsonSchema = listOf('Server names that connections must ask for; any, if absent.', serverName, {
  max: 1024,
});

const v1: CustomVersion = {
  name: 'v1',
  schema: tlsSchema(serverNames, oneRule, 'hostnames', 'rules'),
  columns: [age],
};

export const tlsRoute: CustomKind = gatewayKind(kinds.TLSRoute, {
  versions: [
    { ...v1, storage: true },
    deprecated('TLSRoute', { ...v1, name: 'v1alpha3' }),
    deprecated('TLSRoute', { ...v1, name: 'v1alpha2', schema: tlsSchema(anyServerNames, rules, 'rules') }),
  ],
});

function tlsSchema(hostnames: JsonSchema, ruleList: JsonSchema, ...required: readonly string[]): JsonSchema {
  return kindSchema(
    'Sends TLS connections to backends, by the server name that they ask for.',
    object(
      'Which connections go where.',
      { parentRefs: parentReferences, hostnames, rules: ruleList, useDefaultGateways },
      ...required,
    ),
    routeStatus,
  );
}
