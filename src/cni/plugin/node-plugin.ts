/** The CNI plugin on this node: installed, answered while the agent runs, and taken out when the agent goes for good. */
import { kinds } from '../../api/index.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';
import { systemClock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { AgentMetrics } from '../agent-metrics.ts';
import type { NodeAgentOptions } from '../agent-options.ts';
import { ApiAccessFile, apiAccessPath } from './api-access-file.ts';
import { startPluginEndpoint, type PluginEndpointOptions } from './endpoint.ts';
import { CniInstaller } from './installer.ts';

export interface NodePluginOptions extends Pick<
  NodeAgentOptions,
  'pluginSocketPath' | 'apiAccess' | 'installer' | 'daemonSet'
> {
  readonly client: Pick<KubeClient, 'get'>;
  readonly admit: PluginEndpointOptions['admit'];
  readonly metrics: Pick<AgentMetrics, 'install' | 'pluginRequest'>;
  readonly log: Log;
}

export class NodePlugin {
  readonly #options: NodePluginOptions;
  readonly #installer: CniInstaller | undefined;
  readonly #closing: (() => void)[] = [];
  #hadDaemonSet = false;

  constructor(options: NodePluginOptions) {
    const { installer, log, metrics } = options;
    this.#options = options;
    this.#installer =
      installer &&
      new CniInstaller({
        ...installer,
        clock: systemClock,
        log: log.child('installer'),
        onInstall: (result) => metrics.install(result),
      });
  }

  /** Whether the configuration was right when it was last looked at; undefined: there is nothing to install. */
  get installed(): boolean | undefined {
    return this.#installer?.installed;
  }

  /** Looks who owns the agent, while it can. */
  async prepare(): Promise<void> {
    this.#hadDaemonSet = this.#installer !== undefined && (await this.#hasDaemonSet());
  }

  /** Answers the plugin, and installs it only now that it is answered. */
  async start(): Promise<void> {
    const { pluginSocketPath, apiAccess, admit, metrics, log } = this.#options;
    if (pluginSocketPath !== undefined) {
      const endpoint = await startPluginEndpoint({
        path: pluginSocketPath,
        admit,
        onAnswer: (status) => metrics.pluginRequest(status),
        log: log.child('plugin'),
      });
      this.#closing.push(() => endpoint.close());
      if (apiAccess) {
        const file = new ApiAccessFile({ path: apiAccessPath(pluginSocketPath), access: apiAccess, log });
        file.start();
        this.#closing.push(() => file.close());
      }
    }
    await this.#installer?.start();
  }

  /** What is installed stays for the next agent, unless there will be none: resolves to whether it was taken out. */
  async close(): Promise<boolean> {
    for (const close of this.#closing) close();
    await this.#installer?.close();
    if (!this.#installer || !this.#hadDaemonSet || (await this.#hasDaemonSet())) return false;
    await this.#installer.uninstall();
    return true;
  }

  async #hasDaemonSet(): Promise<boolean> {
    const { daemonSet, client } = this.#options;
    if (!daemonSet) return false;
    try {
      const deadline = AbortSignal.timeout(2000);
      const { metadata } = await client.get(kinds.DaemonSet, daemonSet.name, daemonSet.namespace, deadline);
      return metadata.deletionTimestamp === undefined;
    } catch (error) {
      // Not to know is no reason to open the node to pods outside of the mesh.
      return !isKubeError(error) || error.status !== 404;
    }
  }
}
