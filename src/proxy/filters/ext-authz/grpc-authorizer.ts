/** An authorizer that is asked by a message about the request or the connection (envoyExtAuthzGrpc; ambient-l7, 3.2). */
import type { Call } from '../../../http/call.ts';
import { callUnary } from '../../../http/grpc/index.ts';
import { HeaderList } from '../../../http/header-list.ts';
import type { HttpVersion } from '../../../http/message.ts';
import { messageOf } from '../../../lib/errors.ts';
import { type CheckAnswer, type CheckAttributes, checkMethod } from '../../../wire/ext-authz.ts';
import type { DownstreamConnection } from '../../engine/http-run.ts';
import { authorityOf, callAgain, clientOf, exchangesOf } from '../../own-calls.ts';
import type { Authorizer, AuthorizerAnswer, AuthorizerOptions, CheckedBody, CheckedRequest } from './authorizer.ts';
import { mutateHeaders } from './header-mutations.ts';

export function createGrpcAuthorizer({ name, use, backend, services }: AuthorizerOptions): Authorizer {
  const { clock, upstreams } = services;
  const authority = authorityOf(backend);
  const asBytes = use.body?.packAsBytes === true;
  const check = (connection: DownstreamConnection, attributes: CheckAttributes): Call<AuthorizerAnswer> => {
    const message = checkMethod.encodeRequest(attributes);
    const open = exchangesOf(upstreams, backend.name, clientOf({ connection }));
    const call = callAgain(() =>
      callUnary({ open, authority, path: checkMethod.path, message, clock, timeoutMs: use.timeoutMs }),
    );
    return {
      answer: call.answer.then(
        (bytes) => readAnswer(bytes),
        (error: unknown) => ({ kind: 'failed', message: messageOf(error) }) as const,
      ),
      cancel: () => call.cancel(),
    };
  };
  return {
    name,
    id: `${name} ${backend.name}`,
    use,
    ask: (run, body) => check(run.connection, requestAttributes(run, body, asBytes)),
    askConnection: (connection) => check(connection, connectionAttributes(connection, connection.sourceAddress)),
  };
}

const protocols: Readonly<Record<HttpVersion, string>> = {
  'http/1.0': 'HTTP/1.0',
  'http/1.1': 'HTTP/1.1',
  'http/2': 'HTTP/2',
};

/** `remoteAddress`: of the original client. */
function connectionAttributes(connection: DownstreamConnection, remoteAddress: string): CheckAttributes {
  const { sourceAddress, sourcePort } = connection;
  return {
    source: {
      address: remoteAddress,
      // A client behind other proxies has a port that nobody told.
      port: remoteAddress === sourceAddress ? sourcePort : 0,
      principal: connection.sourceIdentity ?? '',
    },
    destination: {
      address: connection.destinationAddress,
      port: connection.destinationPort,
      principal: connection.localIdentity ?? '',
    },
    sni: connection.sni ?? '',
    request: undefined,
  };
}

function requestAttributes(run: CheckedRequest, body: CheckedBody | undefined, asBytes: boolean): CheckAttributes {
  const { connection, request, remoteAddress } = run;
  const length = request.headers.get('content-length');
  return {
    ...connectionAttributes(connection, remoteAddress),
    request: {
      timeMs: run.times.startMs,
      id: run.requestId,
      method: request.method,
      headers: headersOf(run, body),
      path: request.path,
      host: request.authority,
      scheme: request.scheme,
      size: length === undefined ? -1 : Number(length),
      protocol: protocols[request.version],
      body: body && { bytes: body.bytes, asBytes },
    },
  };
}

function headersOf({ request }: CheckedRequest, body: CheckedBody | undefined): Map<string, string> {
  const headers = new Map<string, string>([
    [':authority', request.authority],
    [':method', request.method],
    [':path', request.path],
    [':scheme', request.scheme],
  ]);
  for (const [name, value] of request.headers) {
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ','}${value}`);
  }
  if (body) headers.set('x-envoy-auth-partial-body', String(body.partial));
  return headers;
}

function readAnswer(bytes: Uint8Array): AuthorizerAnswer {
  let answer: CheckAnswer;
  try {
    answer = checkMethod.decodeResponse(bytes);
  } catch (error) {
    return { kind: 'failed', message: messageOf(error) };
  }
  if (answer.kind !== 'denied') return answer;
  const headers = new HeaderList();
  mutateHeaders(headers, answer.headers);
  return { ...answer, status: answer.status || 403, headers };
}
