/**
 * Certificates that the proxy goes on with where the control plane has no better one: it may have started after a Secret broke, and then
 * it does not know what was there before. Keys stay where they are, in proxies that were told them.
 */
import { X509Certificate } from 'node:crypto';
import type { TlsSecret } from '../../api/l7/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { decodeProxyResource, proxyResourceName, type DeltaResource } from '../../wire/index.ts';
import type { DeltaFeed } from '../../xds/index.ts';

const prefix = proxyResourceName({ kind: 'secret', name: '' });

/** The feed, with `keepsLast` followed. What a resource stands for is forgotten with its name. */
export function keepCertificates(feed: DeltaFeed, clock: Pick<Clock, 'nowMs'>): DeltaFeed {
  /** By name of the resource: the last one that was told to serve. */
  const last = new Map<string, DeltaResource>();
  const keep = (resource: DeltaResource): DeltaResource => {
    if (!resource.name.startsWith(prefix)) return resource;
    const told = tryDecode(resource);
    // The configuration is refused for it, which leaves all as it was.
    if (!told) return resource;
    if (!told.keepsLast) {
      last.set(resource.name, resource);
      return resource;
    }
    const held = last.get(resource.name);
    if (!held) return resource;
    const isBetter = told.certificateChain === undefined || isValid(tryDecode(held), clock.nowMs());
    return isBetter ? { ...resource, body: held.body } : resource;
  };
  return {
    typeUrl: feed.typeUrl,
    apply({ added, removed }) {
      for (const name of removed) last.delete(name);
      return feed.apply({ added: added.map(keep), removed });
    },
  };
}

function isValid(secret: TlsSecret | undefined, nowMs: number): boolean {
  if (secret?.certificateChain === undefined) return false;
  try {
    const { validFromDate, validToDate } = new X509Certificate(secret.certificateChain);
    return validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime();
  } catch {
    return false;
  }
}

function tryDecode({ name, body }: DeltaResource): TlsSecret | undefined {
  try {
    const resource = decodeProxyResource(name, body);
    return resource.kind === 'secret' ? resource : undefined;
  } catch {
    return undefined;
  }
}
