/** The ConfigMaps that keep the last parameters of Gateways, in the control plane's namespace: read, written, and removed with the Gateway. */
import type { ConfigMap } from '../../api/core.ts';
import { kinds } from '../../api/kinds.ts';
import type { Gateway } from '../../api/gateway.ts';
import type { Collection } from '../../collection/index.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';
import { keeperOf, keptMap, keptName, keptParameters, keptText } from './kept-parameters.ts';

export interface KeptStoreOptions {
  readonly client: KubeClient;
  /** All that the control plane sees, by `keyOf(namespace, name)`. */
  readonly configMaps: Collection<ConfigMap>;
  readonly keyOf: (namespace: string, name: string) => string;
  /** Of the control plane. */
  readonly namespace: string;
  readonly fieldManager: string;
  readonly signal: AbortSignal;
}

export class KeptStore {
  readonly #options: KeptStoreOptions;

  constructor(options: KeptStoreOptions) {
    this.#options = options;
  }

  /** `name`: `namespace/name` of the Gateway. Undefined: none are known. */
  read(name: string, gateway: Gateway): ConfigMap[] | undefined {
    return keptParameters(this.#find(name), gateway);
  }

  /** The Gateway for which a ConfigMap of ours keeps something; undefined: it does not. */
  keeperOf(map: ConfigMap | undefined): string | undefined {
    return map?.metadata.namespace === this.#options.namespace ? keeperOf(map) : undefined;
  }

  /** Undefined: nothing is to be kept. Nothing is written where it is kept already. */
  async write(name: string, text: string | undefined): Promise<void> {
    const known = this.#find(name);
    if (keptText(known) === text) return;
    const { client, namespace, fieldManager, signal } = this.#options;
    if (text === undefined) return this.remove(name);
    const map = keptMap(name, namespace, text);
    try {
      if (!known) return void (await client.create(kinds.ConfigMap, map, { fieldManager, signal }));
    } catch (error) {
      // Not seen yet.
      if (!isKubeError(error, 'kube.already-exists')) throw error;
    }
    const { labels, annotations } = map.metadata;
    await client.patch(
      kinds.ConfigMap,
      keptName(name),
      namespace,
      { metadata: { labels, annotations } },
      { type: 'merge', fieldManager, signal },
    );
  }

  /** The Gateway is gone, or has no parameters. */
  async remove(name: string): Promise<void> {
    if (!this.#find(name)) return;
    try {
      await this.#options.client.delete(kinds.ConfigMap, keptName(name), this.#options.namespace);
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    }
  }

  #find(name: string): ConfigMap | undefined {
    const { configMaps, keyOf, namespace } = this.#options;
    return configMaps.get(keyOf(namespace, keptName(name)));
  }
}
