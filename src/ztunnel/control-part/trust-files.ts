/** The files that say whom to trust, followed: roots and signer of the mesh, and revocation lists. */
import { dirname, join } from 'node:path';
import { followRevocationFile, type CertificateManager } from '../../identity/index.ts';
import type { Clock } from '../../lib/clock.ts';
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

export function followTrustFiles(options: TrustFilesOptions): TrustFiles {
  const { rootCertPath, crlPath, certificates, broadcast, metrics, clock, log, signal } = options;
  let lists: Uint8Array | undefined;

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

  return {
    snapshot: () => (lists ? [{ kind: 'revocations', lists }] : []),
    read:
      crlPath === undefined
        ? Promise.resolve()
        : followRevocationFile({
            path: crlPath,
            onLists(_, bytes) {
              lists = new Uint8Array(bytes);
              broadcast({ kind: 'revocations', lists });
            },
            metrics,
            clock,
            log,
            signal,
          }),
  };
}

function isPath(roots: string): boolean {
  return roots !== 'SYSTEM' && !roots.includes('-----BEGIN');
}
