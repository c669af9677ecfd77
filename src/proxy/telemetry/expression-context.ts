/** What expressions may ask about a request or a TCP connection: Envoy's attributes, as far as this proxy has them. */
import type { ExpressionContext } from '../../policy/request-expression.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { HttpRun } from '../engine/http-run.ts';
import type { TcpRun } from '../engine/tcp-run.ts';
import { requestBytes, responseBytes } from './message-sizes.ts';
import { destinationIdentity } from './traffic-peers.ts';

// Parts are made when they are asked for: an expression asks for few of them.
class ConnectionContext {
  readonly #traffic: Pick<HttpRun, 'connection' | 'host'>;
  readonly node: object = {};

  constructor(traffic: Pick<HttpRun, 'connection' | 'host'>) {
    this.#traffic = traffic;
  }

  get source(): object {
    const { sourceAddress, sourcePort } = this.#traffic.connection;
    return { address: `${sourceAddress}:${sourcePort}`, port: BigInt(sourcePort) };
  }

  get destination(): object {
    const { destinationAddress, destinationPort } = this.#traffic.connection;
    return { address: `${destinationAddress}:${destinationPort}`, port: BigInt(destinationPort) };
  }

  get connection(): object {
    const { sourceIdentity, localIdentity, sni } = this.#traffic.connection;
    return {
      mtls: sourceIdentity !== undefined,
      ...(sni === undefined ? {} : { requested_server_name: sni }),
      ...(sourceIdentity === undefined ? {} : { uri_san_peer_certificate: sourceIdentity }),
      ...(localIdentity === undefined ? {} : { uri_san_local_certificate: localIdentity }),
    };
  }

  get upstream(): object {
    const { host } = this.#traffic;
    const peer = destinationIdentity(host);
    return {
      ...(host ? { address: `${host.address}:${host.port}`, port: BigInt(host.port) } : {}),
      ...(peer === undefined ? {} : { uri_san_peer_certificate: peer }),
    };
  }

  get upstream_peer(): object {
    return peerOf(this.#traffic.host?.workload);
  }

  get downstream_peer(): object {
    return peerOf(this.#traffic.connection.sourceWorkload);
  }
}

export class HttpContext extends ConnectionContext implements ExpressionContext {
  readonly #run: HttpRun;

  constructor(run: HttpRun) {
    super(run);
    this.#run = run;
  }

  get request(): object {
    return requestOf(this.#run);
  }

  get response(): object {
    return responseOf(this.#run);
  }

  get xds(): object {
    return xdsOf(this.#run.backend, this.#run.route?.name);
  }
}

export class TcpContext extends ConnectionContext implements ExpressionContext {
  readonly #run: TcpRun;
  readonly request: object = {};
  readonly response: object = {};

  constructor(run: TcpRun) {
    super(run);
    this.#run = run;
  }

  get xds(): object {
    return xdsOf(this.#run.backend, this.#run.routeName);
  }
}

function requestOf(run: HttpRun): object {
  const { request, times } = run;
  const { headers } = request;
  const question = request.path.indexOf('?');
  const referer = headers.get('referer');
  const agent = headers.get('user-agent');
  return {
    path: request.path,
    url_path: question < 0 ? request.path : request.path.slice(0, question),
    query: question < 0 ? '' : request.path.slice(question + 1),
    host: request.authority,
    scheme: request.scheme,
    method: request.method,
    get headers() {
      return record(headers, [
        [':method', request.method],
        [':path', request.path],
        [':authority', request.authority],
      ]);
    },
    ...(referer === undefined ? {} : { referer }),
    ...(agent === undefined ? {} : { useragent: agent }),
    id: run.requestId,
    protocol: protocolOf(run),
    get time() {
      return new Date(times.startMs);
    },
    size: BigInt(run.bytesReceived),
    get total_size() {
      return BigInt(requestBytes(run));
    },
  };
}

function responseOf(run: HttpRun): object {
  const grpc = run.grpcStatus;
  return {
    code: BigInt(run.responseStatus),
    code_details: run.responseDetails,
    flags: [...run.flags].join(','),
    ...(grpc !== undefined && /^\d{1,4}$/.test(grpc) ? { grpc_status: BigInt(grpc) } : {}),
    get headers() {
      return run.responseHead ? record(run.responseHead.headers, []) : {};
    },
    size: BigInt(run.bytesSent),
    get total_size() {
      return BigInt(responseBytes(run));
    },
  };
}

function peerOf(workload: MeshWorkload | undefined): object {
  if (!workload) return {};
  const { name, namespace, canonicalName, canonicalRevision, clusterId, workloadName, workloadType } = workload;
  return {
    name,
    namespace,
    workload: workloadName,
    type: workloadType,
    cluster: clusterId,
    service: canonicalName,
    revision: canonicalRevision,
    app: canonicalName,
    version: canonicalRevision,
    labels: { app: canonicalName, version: canonicalRevision },
  };
}

function xdsOf(backend: string | undefined, route: string | undefined): object {
  return {
    ...(backend === undefined ? {} : { cluster_name: backend }),
    ...(route === undefined ? {} : { route_name: route }),
  };
}

/** Several fields of one name are one, as HTTP allows. */
function record(headers: HeaderList, pseudo: [string, string][]): Record<string, string> {
  const values = new Map(pseudo);
  for (const [name, value] of headers) {
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before},${value}`);
  }
  return Object.fromEntries(values);
}

/** In Envoy's words. */
export function protocolOf({ request }: Pick<HttpRun, 'request'>): 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' {
  switch (request.version) {
    case 'http/1.0':
      return 'HTTP/1.0';
    case 'http/1.1':
      return 'HTTP/1.1';
    case 'http/2':
      return 'HTTP/2';
  }
}
