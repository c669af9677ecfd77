/** What a client of another network asks a gateway for: the authority of its CONNECT. Pure. */
import { serviceKey, type ServiceKey } from '../../api/names.ts';
import { tryParseAuthority } from '../../decision/index.ts';
import type { MeshState } from '../../mesh/index.ts';

export type EastWestTarget =
  | { readonly kind: 'found'; readonly service: ServiceKey; readonly port: number }
  | { readonly kind: 'refused'; readonly status: 400 | 404; readonly reason: string };

export interface EastWestContext {
  readonly mesh: MeshState;
  /** Whether other networks may reach it. */
  readonly isShared: (service: ServiceKey) => boolean;
  readonly clientNamespace: string;
}

export function eastWestTarget(authority: string, context: EastWestContext): EastWestTarget {
  const { mesh, isShared, clientNamespace } = context;
  const asked = tryParseAuthority(authority);
  if (!asked) return refused(400, `cannot parse authority ${JSON.stringify(authority)}`);
  // The same address may be somebody else's in each network.
  if (asked.kind === 'address') return refused(400, `${authority} is an address: in another network it means nothing`);
  const service = mesh.serviceByHostname(asked.hostname, clientNamespace);
  const key = service && serviceKey(service.namespace, service.hostname);
  // Who may not reach it does not learn whether it is there.
  if (key === undefined || !isShared(key)) {
    return refused(404, `no Service called ${asked.hostname} is shared with other networks (istio.io/global)`);
  }
  return { kind: 'found', service: key, port: asked.port };
}

function refused(status: 400 | 404, reason: string): EastWestTarget {
  return { kind: 'refused', status, reason };
}
