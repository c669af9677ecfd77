/** The files that say whom to trust, followed: roots and signer of the mesh, and revocation lists. */
import {
  followRevocationFile,
  followTrustedRoots,
  type RevocationFileOptions,
  type TrustedRootsOptions,
} from '../../identity/index.ts';
import type { ControlMessage } from '../messages.ts';

export interface TrustFilesOptions extends TrustedRootsOptions, Pick<RevocationFileOptions, 'metrics'> {
  /** Absent: nothing is ever revoked. */
  readonly crlPath: string | undefined;
  readonly broadcast: (message: ControlMessage) => void;
}

export interface TrustFiles {
  /** What a data part that starts later must be told. */
  snapshot(): readonly ControlMessage[];
  /** The revocation lists that are there are known to the data parts. */
  readonly read: Promise<void>;
}

export function followTrustFiles(options: TrustFilesOptions): TrustFiles {
  const { crlPath: path, broadcast, metrics, clock, log, signal } = options;
  let lists: Uint8Array | undefined;
  const onLists: RevocationFileOptions['onLists'] = (_, bytes) => {
    lists = new Uint8Array(bytes);
    broadcast({ kind: 'revocations', lists });
  };
  followTrustedRoots(options);
  return {
    snapshot: () => (lists ? [{ kind: 'revocations', lists }] : []),
    read: path === undefined ? Promise.resolve() : followRevocationFile({ path, onLists, metrics, clock, log, signal }),
  };
}
