/** What the packet rules of each pod should be now: by its settings, and by what the ztunnels that are connected understand. */
import type { Pod } from '../../api/index.ts';
import type { PodResolver } from '../../wire/index.ts';
import type { PodResolvers } from '../resolver.ts';
import { readCaptureSettings } from './capture-settings.ts';
import type { NodeMarks } from './node-marks.ts';
import type { DnsRedirect, PodRuleSet } from './pod-rule-set.ts';

export interface WantedRulesOptions {
  readonly probeIp4: string;
  readonly probeIp6: string;
  /** DNS of pods that say nothing themselves; `auto`: where the ztunnel can ask the resolvers that the pod asked. */
  readonly dnsCapture: 'auto' | 'on' | 'off';
  readonly marks: NodeMarks;
  readonly resolvers: Pick<PodResolvers, 'of' | 'skip'>;
  /** Where a pod's probes come from when the node cannot translate them. */
  readonly probesFrom: (podUid: string) => PodRuleSet['probesFrom'];
  /** How many ztunnels are there. */
  readonly connectedZtunnels: () => number;
}

export class WantedRules {
  readonly #options: WantedRulesOptions;
  /** Every ztunnel asks the resolvers that a pod asked. */
  #dnsUnderstood = false;

  constructor(options: WantedRulesOptions) {
    this.#options = options;
  }

  of(pod: Pod): PodRuleSet {
    const { probeIp4, probeIp6, probesFrom, marks } = this.#options;
    const { uid = '' } = pod.metadata;
    return {
      probeIp4,
      probeIp6,
      probesFrom: probesFrom(uid),
      capture: readCaptureSettings(pod).settings,
      mark: marks.of(uid),
      plainMark: marks.plain,
      dns: this.#dnsOf(pod),
    };
  }

  /** What a ztunnel should know of the pod's resolvers; undefined: nothing, because nobody captures its queries. */
  resolverOf(pod: Pod): PodResolver | undefined {
    const { resolvers } = this.#options;
    if (this.#capturesDns(pod)) return resolvers.of(pod);
    resolvers.skip(pod);
    return undefined;
  }

  /** Rules follow what the connected ztunnels understand: at once where one knows less, when it serves where it knows more. */
  learn(capabilities: readonly ReadonlySet<string>[], what: 'hello' | 'ready' | 'gone'): void {
    const [mark, resolver] = [allHave(capabilities, 'mark'), allHave(capabilities, 'resolver')];
    if (what !== 'hello' || !mark) this.#options.marks.setPlain(!mark);
    if (what !== 'hello' || !resolver) this.#dnsUnderstood = resolver;
  }

  #capturesDns(pod: Pod): boolean {
    return readCaptureSettings(pod).settings.dnsCapture ?? this.#options.dnsCapture !== 'off';
  }

  #dnsOf(pod: Pod): DnsRedirect {
    if (!this.#capturesDns(pod)) return { kind: 'off' };
    const resolver = this.resolverOf(pod);
    if (this.#dnsUnderstood)
      return resolver ? { kind: 'nameservers', nameservers: resolver.nameservers } : { kind: 'off' };
    // Only who asked for it knows whether the proxy answers at all.
    const { dnsCapture, connectedZtunnels } = this.#options;
    const asked = readCaptureSettings(pod).settings.dnsCapture === true || dnsCapture === 'on';
    return asked && connectedZtunnels() > 0 ? { kind: 'everything' } : { kind: 'off' };
  }
}

function allHave(capabilities: readonly ReadonlySet<string>[], name: string): boolean {
  return capabilities.every((each) => each.has(name));
}
