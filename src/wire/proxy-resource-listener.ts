/** Decoders of listeners and of the Services behind them. */
import type {
  DestinationPort,
  DestinationService,
  EastWestListener,
  EdgeListener,
  EdgeServer,
  EdgeTls,
  Listener,
  WaypointListener,
} from '../api/l7/index.ts';
import type { ServiceKey } from '../api/names.ts';
import {
  branded,
  flag,
  list,
  name,
  object,
  oneOf,
  optional,
  port,
  text,
  union,
  type Decoder,
} from './proxy-resource-fields.ts';
import { names, origin, policyAttachment } from './proxy-resource-matches.ts';

const waypoint = object<WaypointListener>({
  kind: oneOf('listener'),
  type: oneOf('waypoint'),
  name,
  port,
  trafficType: oneOf('service', 'workload', 'all', 'none'),
  policies: policyAttachment,
  includesClientIdentity: flag,
  origin,
});

const eastWest = object<EastWestListener>({
  kind: oneOf('listener'),
  type: oneOf('east-west'),
  name,
  port,
  policies: policyAttachment,
  origin,
});

const tls = object<EdgeTls>({
  mode: oneOf('terminate', 'passthrough'),
  certificates: names,
  clientCa: optional(object<NonNullable<EdgeTls['clientCa']>>({ secret: name, required: flag })),
  minVersion: oneOf('TLSv1.2', 'TLSv1.3'),
  cipherSuites: names,
});

const server = object<EdgeServer>({
  name: text,
  protocol: oneOf('http', 'https', 'tls', 'tcp'),
  hostname: name,
  tls: optional(tls),
  routes: name,
  policies: policyAttachment,
  origin,
});

const edge = object<EdgeListener>({
  kind: oneOf('listener'),
  type: oneOf('edge'),
  name,
  port,
  policies: policyAttachment,
  servers: list(server),
  origin,
});

export const listener: Decoder<Listener> = union<Listener, 'type'>('type', {
  waypoint,
  'east-west': eastWest,
  edge,
});

export const destinationService: Decoder<DestinationService> = object<DestinationService>({
  kind: oneOf('service'),
  name: branded<ServiceKey>(),
  namespace: text,
  hostname: name,
  ports: list(
    object<DestinationPort>({
      port,
      protocol: oneOf('http', 'http2', 'grpc', 'grpc-web', 'tls', 'tcp', 'auto'),
      routes: name,
      routesPastWaypoint: optional(name),
    }),
  ),
  policies: policyAttachment,
  leaving: optional(flag),
  origin,
});
