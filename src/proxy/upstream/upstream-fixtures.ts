/** Backends, meshes and readers for tests of upstreams (tests only). */
import type { Backend } from '../../api/l7/index.ts';
import { serviceKey, type ServiceKey, type SpiffeId } from '../../api/names.ts';
import type { MeshAddress, MeshService, MeshWorkload } from '../../api/workload.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { meshService, meshWorkload, defaultNetwork } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import type { UpstreamFailure, UpstreamHost, UpstreamReader, UpstreamRequest, Upstreams } from './upstream.ts';
import { createUpstreams, type UpstreamsOptions } from './upstreams.ts';

export const web: MeshService = meshService({ addresses: [{ network: defaultNetwork, ip: '10.96.0.10' }] });
export const webKey: ServiceKey = serviceKey(web.namespace, web.hostname);
export const ownIdentity = 'spiffe://cluster.local/ns/shop/sa/waypoint' as SpiffeId;

export function backendOf(more: Partial<Backend> = {}): Backend {
  return {
    kind: 'backend',
    name: 'web',
    service: webKey,
    hostname: web.hostname,
    port: 80,
    protocol: 'auto',
    throughWaypoint: false,
    loadBalancer: { kind: 'round-robin' },
    locality: { enabled: false, distribute: [], failover: [], forced: false },
    connectionPool: { connectTimeoutMs: 10_000, idleTimeoutMs: 3_600_000 },
    ...more,
  };
}

/** A plain endpoint of `web`. */
export function endpoint(name: string, ip: string, more: Partial<MeshWorkload> = {}): MeshWorkload {
  return meshWorkload({
    name,
    addresses: [ip],
    tunnelProtocol: 'none',
    serviceAccount: 'web',
    services: new Map([[webKey, []]]),
    ...more,
  });
}

export function applyMesh(mesh: MeshState, ...parts: (MeshWorkload | MeshService)[]): void {
  const updated = parts.map((part): MeshAddress =>
    'uid' in part ? { kind: 'workload', workload: part } : { kind: 'service', service: part },
  );
  mesh.applyAddresses({ updated, removed: [] });
}

export interface TestUpstreams {
  readonly upstreams: Upstreams;
  readonly mesh: MeshState;
  readonly clock: FakeClock;
  readonly configure: (...backends: Backend[]) => void;
}

export function testUpstreams(
  parts: readonly (MeshWorkload | MeshService)[],
  more: Partial<UpstreamsOptions> = {},
): TestUpstreams {
  const mesh = new MeshState();
  applyMesh(mesh, ...parts);
  const clock = createFakeClock();
  const upstreams = createUpstreams({
    mesh,
    clock,
    log: silentLog(),
    random: () => 0,
    own: () => undefined,
    address: '127.0.0.1',
    network: defaultNetwork,
    identity: ownIdentity,
    certificates: {
      certificate: () => Promise.reject(new Error('no certificate here')),
      onRotate: () => () => {},
    },
    resolve: () => Promise.reject(new Error('no resolver here')),
    ...more,
  });
  return {
    upstreams,
    mesh,
    clock,
    configure(...backends) {
      upstreams.apply(new Map(backends.map((backend) => [backend.name, backend])), new Map());
    },
  };
}

export function requestHead(path = '/', more: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'web.shop',
    path,
    headers: new HeaderList(),
    version: 'http/1.1',
    ...more,
  };
}

export function upstreamRequest(
  more: Partial<Omit<UpstreamRequest, 'head'>> & { readonly head?: RequestHead } = {},
): UpstreamRequest {
  return {
    head: requestHead(),
    ends: true,
    client: { address: '10.244.0.9', port: 40_000, destination: { address: '10.96.0.10', port: 80 } },
    attempt: 0,
    isRetry: false,
    ...more,
  };
}

/** A reader that keeps what it hears. */
export class Heard implements UpstreamReader {
  readonly hosts: UpstreamHost[] = [];
  head: ResponseHead | undefined;
  body = '';
  failure: UpstreamFailure | undefined;
  isClosed = false;
  drains = 0;
  readonly closed: Promise<UpstreamFailure | undefined>;
  #close!: (failure: UpstreamFailure | undefined) => void;
  onBytes: (byteCount: number) => void = () => {};

  constructor() {
    this.closed = new Promise((resolve) => (this.#close = resolve));
  }

  onHost(host: UpstreamHost): void {
    this.hosts.push(host);
  }

  onInformational(): void {}

  onResponse(head: ResponseHead): void {
    this.head = head;
  }

  onData(bytes: Uint8Array): void {
    this.body += Buffer.from(bytes).toString('latin1');
    this.onBytes(bytes.length);
  }

  onEnd(): void {}

  onDrain(): void {
    this.drains++;
  }

  onClose(failure?: UpstreamFailure): void {
    if (this.isClosed) throw new Error('Closed twice');
    this.isClosed = true;
    this.failure = failure;
    this.#close(failure);
  }
}
