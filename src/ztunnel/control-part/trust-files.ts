/** The files that say whom to trust, followed: roots and signer of the mesh, and revocation lists. */
import { dirname, join } from 'node:path';
import { parseRevocationLists, type CertificateManager } from '../../identity/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { watchFile, type FileState } from '../../lib/file-watch.ts';
import type { Log } from '../../lib/log.ts';
import type { MetricsRegistry } from '../../telemetry/index.ts';
import type { ControlMessage } from '../messages.ts';

export interface TrustFilesOptions {
  /** The authority's roots: a path, or what is no path and never changes. */
  readonly rootCertPath: string;
  /** Absent: nothing is ever revoked. */
  readonly crlPath: string | undefined;
  readonly certificates: Pick<CertificateManager, 'refreshTrust'>;
  readonly broadcast: (message: ControlMessage) => void;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface TrustFiles {
  /** What a data part that starts later must be told. */
  snapshot(): readonly ControlMessage[];
  /** The revocation lists that are there are known to the data parts. */
  readonly read: Promise<void>;
}

/** Beside the roots, where Ambit's control plane wrote them: which certificate signs now. */
const signerFile = 'signer.sha256';
const rootsEveryMs = 5000;
const listsEveryMs = 2000;

export function followTrustFiles(options: TrustFilesOptions): TrustFiles {
  const { rootCertPath, crlPath, certificates, broadcast, metrics, clock, log, signal } = options;
  let lists: Uint8Array | undefined;
  let isBad = false;

  if (isPath(rootCertPath)) {
    for (const path of [rootCertPath, join(dirname(rootCertPath), signerFile)]) {
      let first = true;
      const onChange = (state: FileState): void => {
        // A file that is away for a moment says nothing; neither does the first look.
        if (!first && state.kind === 'read') {
          log.info('what the mesh trusts may have changed: asking the authority', { path });
          certificates.refreshTrust();
        }
        first = false;
      };
      void watchFile({ path, everyMs: rootsEveryMs, clock, signal, onChange });
    }
  }

  const takeLists = (state: FileState): void => {
    const problem = state.kind === 'read' ? tryParse(state.bytes) : { reason: state.reason };
    // Nobody gave any: a mount that is optional. Once there were some, their going is no way to forget them.
    if (state.kind === 'unreadable' && state.isAbsent && !lists) {
      isBad = false;
      return log.info('no revocation lists: nothing counts as revoked', { path: crlPath });
    }
    isBad = 'reason' in problem;
    if ('reason' in problem) {
      const meanwhile = lists ? 'the last good lists stay in force' : 'nothing counts as revoked';
      return log.error('revocation lists cannot be used', { path: crlPath, error: problem.reason, meanwhile });
    }
    if (state.kind !== 'read') return;
    log.info('revocation lists read', { path: crlPath, ...problem });
    if (problem.late > 0) log.warn('revocation lists are late: what they revoke stays revoked', { late: problem.late });
    lists = new Uint8Array(state.bytes);
    broadcast({ kind: 'revocations', lists });
  };
  const tryParse = (bytes: Buffer): { lists: number; revoked: number; late: number } | { reason: string } => {
    try {
      const parsed = parseRevocationLists(bytes);
      const late = parsed.filter(({ nextUpdateMs = Infinity }) => nextUpdateMs < clock.nowMs()).length;
      return { lists: parsed.length, revoked: parsed.reduce((sum, { serials }) => sum + serials.size, 0), late };
    } catch (error) {
      return { reason: messageOf(error) };
    }
  };
  if (crlPath !== undefined) {
    metrics.gauge('ambit_crl_unusable', 'Revocation lists that are there cannot be used', () => (isBad ? 1 : 0));
  }
  return {
    snapshot: () => (lists ? [{ kind: 'revocations', lists }] : []),
    read:
      crlPath === undefined
        ? Promise.resolve()
        : watchFile({ path: crlPath, everyMs: listsEveryMs, clock, signal, onChange: takeLists }),
  };
}

function isPath(roots: string): boolean {
  return roots !== 'SYSTEM' && !roots.includes('-----BEGIN');
}
