/** Answers that are no object: health, version, discovery, OpenAPI. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  aggregatedDiscovery,
  aggregatedVersionOf,
  coreVersions,
  groupDocument,
  groupList,
  resourceList,
} from './discovery.ts';
import { sendJson, sendJsonText } from './http-messages.ts';
import { openapiDocument, openapiIndex } from './openapi.ts';
import type { ServedKinds } from './served-kinds.ts';
import { methodNotAllowed, unknownPath } from './status-error.ts';

/** Paths that need no credentials. */
export const anonymousPaths: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/livez', '/version']);

const serverVersion = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+ambit',
  gitTreeState: 'clean',
  platform: 'linux/amd64',
};

/** Answers one of `anonymousPaths`. */
export function sendPublic(pathname: string, response: ServerResponse): void {
  if (pathname === '/version') return sendJson(response, 200, serverVersion);
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
}

/** Answers a path that addresses no resource. Throws 404 and 405. */
export function sendDocument(
  kinds: ServedKinds,
  pathname: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
  const [root = '', first, second, ...rest] = pathname.split('/').filter((segment) => segment !== '');
  const aggregated = aggregatedVersionOf(request.headers.accept);
  if (anonymousPaths.has(pathname) || ['healthz', 'readyz', 'livez'].includes(root))
    return sendPublic(`/${root}`, response);
  if ((root === 'api' || root === 'apis') && first === undefined && aggregated !== undefined) {
    const text = JSON.stringify(aggregatedDiscovery(kinds, root === 'api', aggregated));
    const type = `application/json;g=apidiscovery.k8s.io;v=${aggregated};as=APIGroupDiscoveryList`;
    response.writeHead(200, { 'content-type': type, vary: 'Accept' }).end(text);
    return;
  }
  let document: unknown;
  if (root === 'api') {
    if (first === undefined) document = coreVersions(request.headers.host ?? '');
    else if (second === undefined) document = resourceList(kinds, '', first);
  } else if (root === 'apis' && rest.length === 0) {
    if (first === undefined) document = groupList(kinds);
    else document = second === undefined ? groupDocument(kinds, first) : resourceList(kinds, first, second);
  } else if (root === 'openapi' && first === 'v3') {
    if (second === undefined) document = openapiIndex(kinds);
    else {
      const text = openapiDocument(kinds, [second, ...rest].join('/'));
      if (text !== undefined) return sendJsonText(response, 200, text);
    }
  } else if (root === '') {
    document = { paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v3', '/readyz', '/version'] };
  }
  if (document === undefined) throw unknownPath();
  sendJson(response, 200, document);
}
