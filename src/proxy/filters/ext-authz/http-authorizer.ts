/** An authorizer that is asked by the request itself, without its body or with it (envoyExtAuthzHttp; ambient-l7, 3.2). */
import { callHttp, type HttpAnswer } from '../../../http/call.ts';
import { HeaderList } from '../../../http/header-list.ts';
import type { RequestHead } from '../../../http/message.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { HeaderMutation } from '../../../wire/ext-authz.ts';
import { callAgain, clientOf, exchangesOf } from '../../own-calls.ts';
import type { Authorizer, AuthorizerAnswer, AuthorizerOptions, CheckedBody, CheckedRequest } from './authorizer.ts';
import { isOfOneHop } from './header-mutations.ts';
import { compileNames, type NameTest } from './name-patterns.ts';

/** An answer that denies is passed on, so it is held in memory whole. */
const maxAnswerBytes = 1024 * 1024;
const never: NameTest = () => false;

export function createHttpAuthorizer({ name, use, backend, services }: AuthorizerOptions): Authorizer {
  const { clock, upstreams } = services;
  const asked = compileNames(['authorization', ...use.includeHeaders]) ?? never;
  const toUpstream = compileNames(use.headersToUpstreamOnAllow) ?? never;
  const toClientOnAllow = compileNames(use.headersToDownstreamOnAllow) ?? never;
  const toClientOnDeny = compileNames(use.headersToDownstreamOnDeny);
  return {
    name,
    id: `${name} ${backend.name}`,
    use,
    ask(run, body) {
      const head = checkHead(run, { use, asked, body });
      const open = exchangesOf(upstreams, backend.name, clientOf(run));
      const call = callAgain(() =>
        callHttp({
          open,
          // The codec below may change it.
          head: { ...head, headers: head.headers.copy() },
          ...(body ? { body: body.bytes } : {}),
          clock,
          timeoutMs: use.timeoutMs,
          maxResponseBytes: maxAnswerBytes,
        }),
      );
      return {
        answer: call.answer.then(
          (answer) => readAnswer(answer, { toUpstream, toClientOnAllow, toClientOnDeny }),
          (error: unknown) => ({ kind: 'failed', message: messageOf(error) }) as const,
        ),
        cancel: () => call.cancel(),
      };
    },
  };
}

interface CheckParts {
  readonly use: AuthorizerOptions['use'];
  readonly asked: NameTest;
  readonly body: CheckedBody | undefined;
}

function checkHead({ request }: CheckedRequest, { use, asked, body }: CheckParts): RequestHead {
  const headers = new HeaderList();
  for (const [name, value] of request.headers) if (asked(name) && !isOfOneHop(name)) headers.add(name, value);
  if (body) headers.set('x-envoy-auth-partial-body', String(body.partial));
  for (const [name, value] of use.addHeaders) headers.set(name.toLowerCase(), value);
  headers.set('content-length', String(body?.bytes.length ?? 0));
  return {
    // CONNECT would open a tunnel to the authorizer.
    method: request.method === 'CONNECT' ? 'GET' : request.method,
    scheme: request.scheme,
    authority: request.authority,
    path: use.pathPrefix === '' && request.path === '' ? '/' : `${use.pathPrefix}${request.path}`,
    headers,
    version: 'http/1.1',
  };
}

interface AnswerNames {
  readonly toUpstream: NameTest;
  readonly toClientOnAllow: NameTest;
  readonly toClientOnDeny: NameTest | undefined;
}

function readAnswer({ status, headers, body }: HttpAnswer, names: AnswerNames): AuthorizerAnswer {
  if (status >= 500) return { kind: 'failed', message: `it answered ${status}` };
  if (status === 200) {
    return {
      kind: 'allowed',
      requestHeaders: replacing(headers, names.toUpstream),
      requestHeadersToRemove: [],
      responseHeaders: chosen(headers, names.toClientOnAllow).map(([name, value]) => ({ name, value, how: 'append' })),
    };
  }
  const { toClientOnDeny } = names;
  const passed: NameTest = toClientOnDeny
    ? (name) => toClientOnDeny(name) || name === 'www-authenticate' || name === 'location' || name === 'content-type'
    : (name) => !ownFields.has(name);
  return {
    kind: 'denied',
    status,
    headers: new HeaderList(chosen(headers, passed).flat()),
    body,
    message: `it answered ${status}`,
  };
}

/** What the authorizer's own proxies add: not for the client, unless it is asked for. */
const ownFields = new Set(['server', 'x-envoy-upstream-service-time']);

/** The first value of a name takes the place of what was there, further ones come behind it. */
function replacing(headers: HeaderList, test: NameTest): HeaderMutation[] {
  const seen = new Set<string>();
  return chosen(headers, test).map(([name, value]) => {
    const how = seen.has(name) ? 'append' : 'set';
    seen.add(name);
    return { name, value, how };
  });
}

function chosen(headers: HeaderList, test: NameTest): (readonly [string, string])[] {
  return [...headers].filter(([name]) => test(name) && !isOfOneHop(name));
}
