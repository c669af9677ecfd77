/** networking.istio.io VirtualService: where requests for a host go. */
import { kinds } from '../../kinds.ts';
import { flag, integer, list, mapOf, record, text, textMap } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { destination } from './destination.ts';
import { about, duration, unsigned } from './field.ts';
import { headers } from './header-operations.ts';
import { corsPolicy, directResponse, fault, mirroring, redirect, retries, rewrite } from './http-route.ts';
import { ageColumn, istioKind, networkingVersions, textColumn } from './kind.ts';
import { stringMatch } from './string-match.ts';

const sourceLabels = about('Labels that the client has.', textMap);
const sourceNamespace = about('Namespace that the client is in.', text);
const gateways = about('Gateways that it is for, in place of those of the object.', list(text));
const port = about('Port that the request was for.', unsigned);
const weight = about('Share, of the sum of all weights.', integer);

const httpMatch = record({
  name: about('Name of the match, for logs.', text),
  uri: about('Path of the request.', stringMatch),
  ignoreUriCase: about('Whether case does not matter in uri.', flag),
  scheme: about('Scheme of the request.', stringMatch),
  method: about('Method of the request.', stringMatch),
  authority: about('Authority of the request, with its port.', stringMatch),
  headers: about('Headers by name; an empty match means that the header is there.', mapOf(stringMatch)),
  withoutHeaders: about('Headers that must not match.', mapOf(stringMatch)),
  queryParams: about('Query parameters by name.', mapOf(stringMatch)),
  port,
  sourceLabels,
  sourceNamespace,
  gateways,
  statPrefix: about('Prefix of the statistics of the route.', text),
});

const l4Match = {
  destinationSubnets: about('Addresses or CIDR blocks that the connection was for.', list(text)),
  port,
  sourceLabels,
  sourceNamespace,
  gateways,
};

const routes = list(record({ destination: about('Where to.', destination), weight }, 'destination'));

const http = record({
  name: about('Name of the route, for logs.', text),
  match: about('Requests that the route is for: those that any entry matches. Without it, all.', list(httpMatch)),
  route: about(
    'Where they go, by weight.',
    list(
      record(
        {
          destination: about('Where to.', destination),
          weight,
          headers: about('Changes of headers for this destination.', headers),
        },
        'destination',
      ),
    ),
  ),
  redirect: about('Answer with a redirect.', redirect),
  directResponse: about('Answer with this.', directResponse),
  delegate: about(
    'A VirtualService without hosts that says more.',
    record({
      name: about('Name of the VirtualService.', text),
      namespace: about('Its namespace; that of the object if nothing is said.', text),
    }),
  ),
  rewrite: about('Changes of the request before it goes on.', rewrite),
  timeout: about('How long the whole may take; no limit if nothing is said.', duration),
  retries: about('What is tried again.', retries),
  fault: about('Faults to inject, for tests.', fault),
  ...mirroring,
  corsPolicy: about('Cross-origin resource sharing.', corsPolicy),
  headers: about('Changes of headers.', headers),
});

const spec = about(
  'Where requests go.',
  record({
    hosts: about('Hosts that it is about. Without one, it only serves as a delegate.', list(text)),
    gateways: about(
      'Gateways that it is for, as name or namespace/name; mesh for clients inside, the default.',
      list(text),
    ),
    http: about('Routes of HTTP requests; the first that matches is taken.', list(http)),
    tls: about(
      'Routes of TLS connections that are passed on as they are.',
      list(
        record(
          {
            match: about(
              'Connections that the route is for: those that any entry matches.',
              list(
                record({ sniHosts: about('Server names, any of which matches.', list(text)), ...l4Match }, 'sniHosts'),
              ),
            ),
            route: about('Where they go, by weight.', routes),
          },
          'match',
        ),
      ),
    ),
    tcp: about(
      'Routes of other connections.',
      list(
        record({
          match: about(
            'Connections that the route is for: those that any entry matches. Without it, all.',
            list(record({ ...l4Match, sourceSubnet: about('No longer in use.', text) })),
          ),
          route: about('Where they go, by weight.', routes),
        }),
      ),
    ),
    exportTo: about('Namespaces that see it: . for its own, * for all.', list(text)),
  }),
);

export const virtualService: CustomKind = istioKind(kinds.VirtualService, {
  spec,
  versions: networkingVersions,
  shortNames: ['vs'],
  columns: [
    textColumn('Gateways', '.spec.gateways', 'The gateways that it is for.'),
    textColumn('Hosts', '.spec.hosts', 'The hosts that it is about.'),
    ageColumn,
  ],
});
