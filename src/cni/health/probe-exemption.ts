/** How the node's probes get past the mesh: from an address of their own, else from the node's, on the probed ports alone. */
import type { Pod } from '../../api/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { ProbeRules } from '../probe-rules.ts';
import type { PodHealth } from './pod-health.ts';

export interface ProbeExemptionOptions {
  /** Those that give probes an address of their own. */
  readonly rules: Pick<ProbeRules, 'set' | 'remove'>;
  readonly health: Pick<PodHealth, 'probesFrom' | 'exemptNodeProbes'>;
  readonly podOf: (uid: string) => Pod | undefined;
  readonly log: Log;
}

export class ProbeExemption {
  readonly #options: ProbeExemptionOptions;

  constructor(options: ProbeExemptionOptions) {
    this.#options = options;
  }

  /** Resolves when probes to these addresses of the pod are exempted. */
  async set(uid: string, ips: readonly string[]): Promise<void> {
    const { rules, health, podOf, log } = this.#options;
    if (health.probesFrom(uid)) return rules.remove(uid);
    try {
      await rules.set(uid, ips);
    } catch (error) {
      const pod = podOf(uid);
      if (!pod) throw error;
      log.warn('cannot give probes an address of their own: those of the node are exempted by its address', {
        error: messageOf(error),
      });
      await health.exemptNodeProbes(pod, ips);
    }
  }

  remove(uid: string): Promise<void> {
    return this.#options.rules.remove(uid);
  }
}
