/** The mesh's authority, opened however long the API server takes to come, and what of it everybody is to trust. */
import type { RotatingAuthority, RotationState } from '../ca/index.ts';
import { createBackoff } from '../lib/backoff.ts';
import { sleep } from '../lib/clock.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { openAuthority } from './authority-store.ts';
import type { Trust } from './root-cert-config-maps.ts';

export type MeshAuthorityOptions = Omit<Parameters<typeof openAuthority>[0], 'log'> & {
  readonly log: Log;
  readonly signal: AbortSignal;
};

/** Until it succeeds or cannot: the API server may come later than we do. */
export async function openMeshAuthority(options: MeshAuthorityOptions): Promise<RotatingAuthority> {
  const { signal, log } = options;
  const backoff = createBackoff({ initialMs: 100, maxMs: 5000 });
  for (;;) {
    try {
      return await openAuthority({ ...options, log: log.child('authority') });
    } catch (error) {
      signal.throwIfAborted();
      // Material that is there but wrong does not get better by waiting.
      if (!codeOf(error)?.startsWith('kube.')) throw error;
      log.warn('cannot start yet, trying again', {
        action: 'open the certificate authority',
        error: messageOf(error),
      });
      await sleep(backoff.next(), signal);
    }
  }
}

/** As it is now. */
export function trustOf({ rootPem, signer, state }: RotatingAuthority): Trust {
  switch (state.kind) {
    case 'steady':
      return { rootPem, signer };
    case 'introducing':
      return { rootPem, signer, introducingUntilMs: state.untilMs, retiringUntilMs: retiringUntilMs(state) };
    case 'retiring':
      return { rootPem, signer, retiringUntilMs: retiringUntilMs(state) };
  }
}

/** Leaves under the roots that go are signed until the next signer takes over, and live a day from then. */
function retiringUntilMs(state: Exclude<RotationState, { kind: 'steady' }>): number {
  return state.kind === 'retiring' ? state.untilMs : state.untilMs + 24 * 3600_000;
}
