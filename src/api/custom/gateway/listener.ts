/** Listeners of a Gateway or a ListenerSet, and what is said of each in status. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import { conditions } from './conditions.ts';
import { labelSelector } from './label-selector.ts';
import { annotationValue, dnsSubdomain, group, hostname, kind, port, sectionName } from './names.ts';
import { secretReference } from './references.ts';
import { choice, count, listOf, mapOf, object, rule, text, textMap, withDefault, withRules } from './shape.ts';

/** Which routes, or ListenerSets, may attach: those of namespaces chosen in one of four ways. */
export function namespaceChoice(description: string, from: string, ...values: readonly string[]): JsonSchema {
  return withDefault(
    object(description, {
      from: withDefault(choice('How the namespaces are chosen.', ...values), from),
      selector: labelSelector('Labels of the namespaces, if they are chosen by Selector.'),
    }),
    { from },
  );
}

/** `listeners`, whose ports, protocols and host names must differ; a ListenerSet's may come without a port. */
export function listeners(description: string, mayLackPort: boolean): JsonSchema {
  return withRules(
    mapOf(description, ['name'], listener, { min: 1, max: 64 }),
    ...protocolRules,
    rule('Listener name must be unique within the Gateway', 'self.all(l1, self.exists_one(l2, l1.name == l2.name))'),
    rule(
      'Combination of port, protocol and hostname must be unique for each listener',
      mayLackPort
        ? `self.all(l1, !has(l1.port) || self.exists_one(l2, has(l2.port) && ${sameAddress}))`
        : `self.all(l1, self.exists_one(l2, ${sameAddress}))`,
    ),
  );
}

/** `status.listeners` */
export const listenerStatus: JsonSchema = mapOf(
  'What became of each listener.',
  ['name'],
  object(
    'What became of one listener.',
    {
      name: sectionName('The listener.'),
      attachedRoutes: count('Number of routes that are attached to it.'),
      supportedKinds: routeKinds('Kinds of routes that it serves.'),
      conditions: conditions('Whether it is accepted, in conflict, resolved and programmed.'),
    },
    'attachedRoutes',
    'conditions',
    'name',
  ),
  { max: 64 },
);

const sameAddress =
  'l1.port == l2.port && l1.protocol == l2.protocol && ' +
  '(has(l1.hostname) && has(l2.hostname) ? l1.hostname == l2.hostname : !has(l1.hostname) && !has(l2.hostname))';

const protocolRules: readonly ValidationRule[] = [
  rule(
    "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
    "self.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
  ),
  rule(
    'tls mode must be Terminate for protocol HTTPS',
    "self.all(l, (l.protocol == 'HTTPS' && has(l.tls)) ? (l.tls.mode == '' || l.tls.mode == 'Terminate') : true)",
  ),
  rule(
    'tls mode must be set for protocol TLS',
    "self.all(l, (l.protocol == 'TLS' ? has(l.tls) && has(l.tls.mode) && l.tls.mode != '' : true))",
  ),
  rule(
    "hostname must not be specified for protocols ['TCP', 'UDP']",
    "self.all(l, l.protocol in ['TCP', 'UDP'] ? (!has(l.hostname) || l.hostname == '') : true)",
  ),
];

const tls: JsonSchema = withRules(
  object('What the listener does with TLS.', {
    mode: withDefault(choice('Ends TLS here, or passes it on unopened.', 'Terminate', 'Passthrough'), 'Terminate'),
    certificateRefs: listOf('Certificates with their keys to end TLS with.', secretReference('A certificate.'), {
      max: 64,
    }),
    options: textMap('Options of an implementation, under keys with its domain.', 16, annotationValue),
  }),
  rule(
    'certificateRefs or options must be specified when mode is Terminate',
    "self.mode == 'Terminate' ? size(self.certificateRefs) > 0 || size(self.options) > 0 : true",
  ),
);

const listener: JsonSchema = object(
  'A port that takes connections.',
  {
    name: sectionName('Name of the listener; routes attach to it by this name.'),
    hostname: hostname('Host name that requests must be for; any, if absent.'),
    port: port('Port number.'),
    protocol: {
      ...text('HTTP, HTTPS, TLS, TCP, UDP, or domain/protocol of an implementation.', { min: 1, max: 255 }),
      pattern: String.raw`^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|${dnsSubdomain}\/[A-Za-z0-9]+$`,
    },
    tls,
    allowedRoutes: withDefault(
      object('Which routes may attach.', {
        namespaces: namespaceChoice('Namespaces of the routes.', 'Same', 'All', 'Selector', 'Same'),
        kinds: routeKinds('Kinds of the routes; those of the protocol, if absent.'),
      }),
      { namespaces: { from: 'Same' } },
    ),
  },
  'name',
  'port',
  'protocol',
);

function routeKinds(description: string): JsonSchema {
  return listOf(
    description,
    object(
      'A kind of route.',
      {
        group: withDefault(group('Its API group.'), 'gateway.networking.k8s.io'),
        kind: kind('Its kind.'),
      },
      'kind',
    ),
    { max: 8 },
  );
}
