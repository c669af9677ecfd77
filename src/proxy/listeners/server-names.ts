/** Which of a port's servers a host name belongs to: the most specific one (Gateway API, `Listener.hostname`). Pure. */
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

/** -1: not for it; 0: for any; more for longer names; an exact name above all. */
function rankOf(hostname: string, host: string): number {
  if (hostname === host) return Number.MAX_SAFE_INTEGER;
  if (hostname === '*' || hostname === '') return 0;
  if (!hostname.startsWith('*.')) return -1;
  const suffix = hostname.slice(1);
  return host.length > suffix.length && host.endsWith(suffix) ? suffix.length : -1;
}
