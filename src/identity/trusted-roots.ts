/** What the mesh trusts, as files mounted beside a process tell of it: followed, so that another root or signer is taken up soon. */
import { dirname, join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { watchFile, type FileState } from '../lib/file-watch.ts';
import type { Log } from '../lib/log.ts';
import type { CertificateManager } from './certificate-manager.ts';

export interface TrustedRootsOptions {
  /** The authority's roots: a path, or what is no path (PEM itself, `SYSTEM`) and never changes. */
  readonly rootCertPath: string;
  readonly certificates: Pick<CertificateManager, 'refreshTrust'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Beside the roots, where Ambit's control plane wrote them: which certificate signs now. */
const signerFile = 'signer.sha256';
const everyMs = 5000;

/** Has `certificates` ask the authority soon after the roots, or the signer beside them, became others. */
export function followTrustedRoots({ rootCertPath, certificates, clock, log, signal }: TrustedRootsOptions): void {
  if (!isPath(rootCertPath)) return;
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
    void watchFile({ path, everyMs, clock, signal, onChange });
  }
}

function isPath(roots: string): boolean {
  return roots !== 'SYSTEM' && !roots.includes('-----BEGIN');
}
