/** Host names that a listener and a route have in common (Gateway API: a star stands for one or more labels). Pure. */

/** Hosts of the route inside of the listener's; a route that names none takes all of the listener's. Empty: they have none. */
export function commonHostnames(ofListener: string, ofRoute: readonly string[] | undefined): string[] {
  if (!ofRoute || ofRoute.length === 0) return [ofListener];
  const common = ofRoute.flatMap((host) => intersection(ofListener, host.toLowerCase()) ?? []);
  return [...new Set(common)];
}

/** The narrower of both, if one is inside of the other. */
function intersection(a: string, b: string): string | undefined {
  if (covers(a, b)) return b;
  return covers(b, a) ? a : undefined;
}

function covers(wide: string, narrow: string): boolean {
  if (wide === '*' || wide === narrow) return true;
  if (!wide.startsWith('*.')) return false;
  const suffix = wide.slice(1);
  return narrow.startsWith('*.')
    ? narrow.slice(1).endsWith(suffix)
    : narrow.length > suffix.length && narrow.endsWith(suffix);
}
