/** The mesh's revocation lists in a file, followed as it changes. Once there were good lists, some are in force for good. */
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { watchFile, type FileState } from '../lib/file-watch.ts';
import type { Log } from '../lib/log.ts';
import type { MetricsRegistry } from '../telemetry/index.ts';
import { parseRevocationLists, type RevocationList } from './revocation-list.ts';

export interface RevocationFileOptions {
  /** PEM, several lists in a row, or DER; it may be absent. */
  readonly path: string;
  /** Good lists, which replace all former ones, and the bytes that they were read from. */
  readonly onLists: (lists: readonly RevocationList[], bytes: Uint8Array) => void;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const everyMs = 2000;

/** Resolves when the file was looked at for the first time. What cannot be used is logged, and told by `ambit_crl_unusable`. */
export function followRevocationFile(options: RevocationFileOptions): Promise<void> {
  const { path, onLists, metrics, clock, log, signal } = options;
  let isInForce = false;
  let isBad = false;
  const refuse = (error: string): void => {
    isBad = true;
    const meanwhile = isInForce ? 'the last good lists stay in force' : 'nothing counts as revoked';
    log.error('revocation lists cannot be used', { path, error, meanwhile });
  };
  const take = (state: FileState): void => {
    // Nobody gave any: a mount that is optional. Once there were some, their going is no way to forget them.
    if (state.kind === 'unreadable' && state.isAbsent && !isInForce) {
      isBad = false;
      return log.info('no revocation lists: nothing counts as revoked', { path });
    }
    if (state.kind === 'unreadable') return refuse(state.reason);
    let lists: RevocationList[];
    try {
      lists = parseRevocationLists(state.bytes);
    } catch (error) {
      return refuse(messageOf(error));
    }
    isBad = false;
    isInForce = true;
    const revoked = lists.reduce((sum, { serials }) => sum + serials.size, 0);
    const late = lists.filter(({ nextUpdateMs = Infinity }) => nextUpdateMs < clock.nowMs()).length;
    log.info('revocation lists read', { path, lists: lists.length, revoked, late });
    if (late > 0) log.warn('revocation lists are late: what they revoke stays revoked', { late });
    onLists(lists, state.bytes);
  };
  metrics.gauge('ambit_crl_unusable', 'Revocation lists that are there cannot be used', () => (isBad ? 1 : 0));
  return watchFile({ path, everyMs, clock, signal, onChange: take });
}
