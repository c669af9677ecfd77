/** Upstreams over hosts that do as a test says (tests only). */
import type { Backend, ConnectionPool } from '../../api/l7/index.ts';
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import { FakeHosts } from './fake-hosts.ts';
import {
  backendOf,
  endpoint,
  Heard,
  testUpstreams,
  upstreamRequest,
  web,
  type TestUpstreams,
} from './upstream-fixtures.ts';
import type { UpstreamExchange, UpstreamRequest } from './upstream.ts';
import type { UpstreamsOptions } from './upstreams.ts';

type Changes = Omit<Partial<Backend>, 'connectionPool'> & { readonly connectionPool?: Partial<ConnectionPool> };

export interface FakeUpstreams extends TestUpstreams {
  readonly hosts: FakeHosts;
  readonly send: (more?: Partial<UpstreamRequest>) => Heard & { readonly exchange: UpstreamExchange };
  readonly reconfigure: (changes: Changes) => void;
}

/** One backend, `web`, whose hosts connect at once. */
export function fakeUpstreams(
  changes: Changes = {},
  parts: readonly (MeshWorkload | MeshService)[] = [web, endpoint('a', '10.0.0.1')],
  more: Partial<UpstreamsOptions> = {},
): FakeUpstreams {
  const hosts = new FakeHosts();
  hosts.isOpen = true;
  const upstreams = testUpstreams(parts, { connector: hosts.connector, codecs: hosts.codecs, ...more });
  const base = backendOf();
  const reconfigure = ({ connectionPool, ...changed }: Changes): void =>
    upstreams.configure({ ...base, ...changed, connectionPool: { ...base.connectionPool, ...connectionPool } });
  reconfigure(changes);
  return {
    ...upstreams,
    hosts,
    reconfigure,
    send(asked = {}) {
      const heard = new Heard();
      const exchange = upstreams.upstreams.open('web', upstreamRequest(asked), heard);
      return Object.assign(heard, { exchange });
    },
  };
}
