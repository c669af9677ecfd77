/** A whole list, page by page, so that no answer holds more than one page. */
import type { KindRef, KubeList, KubeObject } from '../api/index.ts';
import type { KubeClient, ListOptions } from './client.ts';

/** What client-go asks for; at some KiB an object a page is parsed in tens of milliseconds. */
const defaultPageSize = 500;

export interface PagesOptions extends Omit<ListOptions, 'limit' | 'continue'> {
  /** Objects an answer; Infinity: all in one. */
  readonly pageSize?: number;
}

/**
 * Pages of one consistent state: all have the `resourceVersion` of the first. No version is asked for: with "0" a server may
 * answer from a cache that is older than what we have seen, and ignores the limit; without, the answer is the newest
 * (from the cache too, since 1.31).
 *
 * Throws `kube.expired` (410) when the state is compacted away before the last page: the caller lists again from the start,
 * in one answer, which cannot expire (client-go's pager does the same). The token for an inconsistent rest that such a
 * refusal offers is of no use to whoever watches afterwards: what changed in the earlier pages meanwhile would never be told.
 */
export async function* listPages<T extends KubeObject>(
  client: KubeClient,
  kind: KindRef<T>,
  { pageSize = defaultPageSize, ...options }: PagesOptions,
): AsyncGenerator<KubeList<T>> {
  let token: string | undefined;
  do {
    const page: KubeList<T> = await client.list(kind, {
      ...options,
      ...(pageSize === Infinity ? {} : { limit: pageSize }),
      ...(token === undefined ? {} : { continue: token }),
    });
    yield page;
    const next = page.metadata.continue;
    // A server that never moves on would keep us here for ever.
    if (next && next === token) throw new Error(`The list of ${kind.plural} repeats its continue token`);
    token = next;
  } while (token);
}
