/** Which of a port's servers a host name belongs to: the most specific one (Gateway API, `Listener.hostname`). Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { EdgeServer } from '../../api/l7/index.ts';
import type { ServerPlace } from '../engine/compiled-config.ts';

/** `host` in lower case, without port. */
export function placeForHost(places: readonly ServerPlace[], host: string): ServerPlace | undefined {
  let best: ServerPlace | undefined;
  let bestRank = -1;
  for (const place of places) {
    const rank = rankOf(place.server.hostname.toLowerCase(), host);
    if (rank > bestRank) {
      best = place;
      bestRank = rank;
    }
  }
  return best;
}

/** The host of a request, as `placeForHost` takes it. */
export function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(':');
  return (colon > authority.lastIndexOf(']') ? authority.slice(0, colon) : authority).toLowerCase();
}

/**
 * Under TLS a request stays at the server `name`, which the handshake chose: one whose host is another server's must not get around
 * what that one demands of clients and their certificates (Gateway API, "HTTPS listeners: misdirected requests").
 */
export function placeUnderTls(
  places: readonly ServerPlace[],
  name: string,
  authority: string,
): ServerPlace | 'misdirected' | undefined {
  const place = places.find(({ server }) => server.name === name);
  const wanted = placeForHost(places, hostOf(authority));
  return place && wanted && wanted !== place ? 'misdirected' : place;
}

/** Whether a handshake that ended at `server` would end there again, and ask the client for no more. */
export function isStillServed(places: readonly ServerPlace[], sni: string, { name, tls }: EdgeServer): boolean {
  const now = placeForHost(places, sni)?.server;
  return now?.name === name && now.tls?.mode === tls?.mode && isDeepStrictEqual(now.tls?.clientCa, tls?.clientCa);
}

/** -1: not for it; 0: for any; more for longer names; an exact name above all. */
function rankOf(hostname: string, host: string): number {
  if (hostname === host) return Number.MAX_SAFE_INTEGER;
  if (hostname === '*' || hostname === '') return 0;
  if (!hostname.startsWith('*.')) return -1;
  const suffix = hostname.slice(1);
  return host.length > suffix.length && host.endsWith(suffix) ? suffix.length : -1;
}
