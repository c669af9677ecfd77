/** What a reflector does about a failure: a pure table. */
import { codeOf } from '../lib/errors.ts';
import { isKubeError } from './kube-error.ts';

export interface FailureContext {
  /** `list`: pages; `stream`: the initial events of a watch; `watch`: what comes after either. */
  readonly phase: 'list' | 'stream' | 'watch';
  /** The server had accepted the watch. */
  readonly isOpen: boolean;
}

export interface Remedy {
  /**
   * `resume`: watch on from where we are, or begin the list again. `relist`: where we are is lost. `relist-in-pages`: also, and the
   * server does not stream lists. `relist-at-once`: also, and in one answer.
   */
  readonly kind: 'resume' | 'relist' | 'relist-in-pages' | 'relist-at-once';
  /** How long the server asked to be left alone. */
  readonly waitMs?: number;
  /** This is how such servers speak, and nothing failed: go on at once, unless it happens again and again. */
  readonly isExpected: boolean;
}

export function remedyFor(error: unknown, { phase, isOpen }: FailureContext): Remedy {
  switch (codeOf(error) ?? '') {
    // Nothing of the cut line was applied, and the watch can begin anew before it.
    case 'kube.cut-line':
      return { kind: 'resume', isExpected: false };
    // The same line would come again; in a list it is one object of a page.
    case 'kube.line-too-long':
      return { kind: 'relist-in-pages', isExpected: false };
    case 'kube.bad-stream':
    case 'kube.backward-watch':
      return { kind: 'relist', isExpected: false };
    // Somebody may have set storage back: a server then is silent until it reaches the version that we ask for.
    case 'kube.silent-watch':
      return { kind: phase === 'stream' ? 'relist-in-pages' : 'relist', isExpected: phase === 'stream' };
    case 'kube.no-streamed-list':
      return { kind: 'relist-in-pages', isExpected: true };
    case 'kube.bad-answer':
      return { kind: 'relist', isExpected: false };
    default:
      break;
  }
  if (!isKubeError(error) || error.status === 0) return { kind: 'resume', isExpected: false };
  const wait = error.retryAfterMs === undefined ? {} : { waitMs: error.retryAfterMs };
  switch (error.status) {
    case 410:
      return { kind: phase === 'list' ? 'relist-at-once' : 'relist', isExpected: true };
    case 401:
    case 403:
    case 429:
      return { kind: 'resume', isExpected: false, ...wait };
    case 400:
    case 405:
    case 422:
      if (phase === 'stream') return { kind: 'relist-in-pages', isExpected: true };
      return { kind: 'relist', isExpected: false, ...wait };
    default: {
      // A server whose storage cannot stream lists says so in the stream (etcd before 3.4.31).
      if (phase === 'stream' && isOpen) return { kind: 'relist-in-pages', isExpected: true };
      // The server took offence at the watch itself (504: its version is too new), or says so in the middle of it.
      const isOurPlace = error.status < 500 || error.status === 504 || isOpen;
      return { kind: isOurPlace ? 'relist' : 'resume', isExpected: false, ...wait };
    }
  }
}
