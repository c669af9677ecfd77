/** A policy that asks an authorizer, the authorizer and what it answers: for tests. */
import type { Backend, HttpAuthorization, Provider } from '../../../api/l7/index.ts';
import type { ServiceKey } from '../../../api/names.ts';
import { type CheckResponseInit, writeCheckResponse } from '../../../wire/policy-service-fixtures.ts';
import type { ServedAnswer } from '../service-fixture.ts';
import type { AuthorizerUse } from './authorizer.ts';

/** `shop/ask`: asks provider `authz` about everything. */
export const customPolicy = (more: Partial<HttpAuthorization> = {}): HttpAuthorization => ({
  kind: 'authorization',
  name: 'shop/ask',
  origin: { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'ask', generation: 1 },
  action: 'custom',
  provider: 'authz',
  dryRun: false,
  rules: [{ from: [], to: [], when: [] }],
  ...more,
});

export const authorizerBackend: Backend = {
  kind: 'backend',
  name: 'outbound|9000||authz.shop.svc.cluster.local',
  service: 'shop/authz.shop.svc.cluster.local' as ServiceKey,
  hostname: 'authz.shop.svc.cluster.local',
  port: 9000,
  protocol: 'auto',
  throughWaypoint: false,
  loadBalancer: { kind: 'round-robin' },
  locality: { enabled: false, distribute: [], failover: [], forced: false },
  connectionPool: { connectTimeoutMs: 1000, idleTimeoutMs: 1000 },
};

export const authorizerProvider = (use: Partial<AuthorizerUse> = {}, name = 'authz'): Provider => ({
  kind: 'provider',
  name,
  backend: authorizerBackend.name,
  use: {
    kind: 'ext-authz-http',
    timeoutMs: 1000,
    failOpen: false,
    statusOnError: 403,
    pathPrefix: '',
    includeHeaders: [],
    addHeaders: [],
    headersToUpstreamOnAllow: [],
    headersToDownstreamOnDeny: [],
    headersToDownstreamOnAllow: [],
    ...use,
  },
});

/** By gRPC. */
export const checkAnswer = (response: CheckResponseInit): ServedAnswer => {
  const message = writeCheckResponse(response);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return {
    status: 200,
    headers: { 'content-type': 'application/grpc' },
    body: Buffer.concat([prefix, message]),
    trailers: { 'grpc-status': '0' },
  };
};
