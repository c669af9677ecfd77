/** What the node agent counts, under Istio's names where Istio has them. */
import { systemClock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { MetricsRegistry } from '../telemetry/index.ts';

export interface AgentMetricsOptions {
  readonly log: Log;
  readonly connectedZtunnels: () => number;
  readonly enrolledPods: () => number;
  /** Undefined: there is no plugin to install. */
  readonly installed: () => boolean | undefined;
}

export class AgentMetrics {
  readonly registry: MetricsRegistry;
  readonly step: (type: string) => void;
  readonly install: (result: string) => void;
  readonly probe: (result: string) => void;
  readonly pluginRequest: (status: number) => void;
  readonly repaired: (result: 'success' | 'failure') => void;

  constructor(options: AgentMetricsOptions) {
    this.registry = new MetricsRegistry({ clock: systemClock, log: options.log });
    this.registry.gauge('ztunnel_connected', 'Number of connections to ztunnel', options.connectedZtunnels);
    this.registry.gauge(
      'ambit_cni_enrolled_pods',
      'Pods of this node that are redirected and served',
      options.enrolledPods,
    );
    this.registry.gauge('istio_cni_install_ready', 'Whether the CNI plugin is installed', () =>
      (options.installed() ?? true) ? 1 : 0,
    );
    this.step = this.#counter('nodeagent_reconcile_events', 'Steps of pods into and out of the mesh', 'type');
    this.install = this.#counter('istio_cni_installs', 'Installations of the CNI plugin', 'result');
    this.probe = this.#counter('ambit_cni_probe_checks', 'Tests of the way of probes into pods', 'result');
    const requests = this.#counter('istio_cni_plugin_requests', 'Questions of the CNI plugin', 'response_code');
    this.pluginRequest = (status) => requests(String(status));
    const repairs = this.registry.group({
      metrics: {
        total: {
          name: 'istio_cni_repair_pods_repaired',
          help: 'Pods that started outside the mesh and were taken in later',
          kind: 'counter',
        },
      },
      labelNames: ['type', 'result'],
    });
    this.repaired = (result) => repairs.record(['enrol', result], (values) => values.total++);
  }

  #counter(name: string, help: string, label: string): (value: string) => void {
    const group = this.registry.group({ metrics: { total: { name, help, kind: 'counter' } }, labelNames: [label] });
    return (value) => group.record([value], (values) => values.total++);
  }
}
