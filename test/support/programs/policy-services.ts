/**
 * An external authorizer by HTTP, and one by gRPC together with a rate limit service. Arguments: HTTP_PORT GRPC_PORT.
 *
 * The authorizers let a request pass that has `x-ext-authz: allow`, and tell the application who it is; of connections without HTTP, those
 * of the account `client`. The rate limit service lets three of each descriptor pass.
 */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import * as http2 from 'node:http2';
import {
  type CheckResponseInit,
  readCheckRequest,
  readRateLimitRequest,
  writeCheckResponse,
  writeRateLimitResponse,
} from '../../../src/wire/policy-service-fixtures.ts';

const [, , httpPort = '0', grpcPort = '0'] = process.argv;
const allowed = 3;
const hits = new Map<string, number>();

createServer((request, response) => {
  const { url = '', method, headers } = request;
  const isAllowed = headers['x-ext-authz'] === 'allow';
  response.setHeader('x-user', userOf(headers));
  response.setHeader('x-asked', `${method} ${url}`);
  if (!isAllowed) response.setHeader('x-hint', 'set x-ext-authz');
  response.writeHead(isAllowed ? 200 : 403).end(isAllowed ? '' : 'denied by the authorizer');
}).listen(Number(httpPort), '::');

const calls: Readonly<Record<string, (message: Buffer) => Uint8Array>> = {
  '/envoy.service.auth.v3.Authorization/Check': (message) => writeCheckResponse(check(message)),
  '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit': limit,
};

const grpc = http2.createServer();
grpc.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
  const call = calls[headers[':path'] ?? ''];
  const chunks: Buffer[] = [];
  stream.on('error', () => {});
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const answer = call?.(Buffer.concat(chunks).subarray(5));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': answer ? '0' : '12' }));
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(answer?.length ?? 0, 1);
    stream.end(answer ? Buffer.concat([prefix, answer]) : undefined);
  });
});
grpc.listen(Number(grpcPort), '::');

function userOf(headers: IncomingHttpHeaders): string {
  return headers.authorization ?? 'nobody';
}

function check(message: Buffer): CheckResponseInit {
  const { source, request } = readCheckRequest(message).attributes ?? {};
  const http = request?.http;
  if (!http) {
    const isAllowed = source?.principal.endsWith('/sa/client') === true;
    return { status: isAllowed ? { code: 0 } : { code: 7, message: `not ${source?.principal ?? 'nobody'}` } };
  }
  if (http.headers['x-ext-authz'] !== 'allow') return { status: { code: 7, message: 'no x-ext-authz' } };
  return {
    status: { code: 0 },
    httpResponse: {
      case: 'okResponse',
      value: {
        headers: [
          { header: { key: 'x-user', value: source?.principal ?? '' } },
          { header: { key: 'x-body', value: http.body } },
        ],
        responseHeadersToAdd: [{ header: { key: 'x-checked', value: 'yes' } }],
      },
    },
  };
}

function limit(message: Buffer): Uint8Array {
  const { domain, descriptors } = readRateLimitRequest(message);
  const counts = descriptors.map(({ entries }) => {
    const key = [domain, ...entries.map(({ key: name, value }) => `${name}=${value}`)].join('|');
    const count = (hits.get(key) ?? 0) + 1;
    hits.set(key, count);
    return count;
  });
  return writeRateLimitResponse({
    overallCode: counts.some((count) => count > allowed) ? 2 : 1,
    statuses: counts.map((count) => ({
      code: count > allowed ? 2 : 1,
      currentLimit: { requestsPerUnit: allowed, unit: 3 },
      limitRemaining: Math.max(0, allowed - count),
    })),
  });
}
