/** Pure: CNI network configurations, and our plugin at the end of their chain. */

export const pluginType = 'istio-cni';

type Fields = Record<string, unknown>;

export interface ChainOptions {
  readonly runDir: string;
  readonly excludedNamespaces: readonly string[];
  readonly systemNamespace: string;
}

/** Name of the list that Kubernetes' clusters have had since kubenet; for a configuration that was no list. */
const defaultListName = 'k8s-pod-network';
const defaultVersion = '0.3.1';

/** Files in the order in which container runtimes look: the first one counts. */
export function networkFiles(names: readonly string[]): string[] {
  return names.filter((name) => /\.(conf|conflist|json)$/.test(name)).toSorted();
}

/** `10-net.conflist` for `10-net.conf`. */
export function listFileOf(name: string): string {
  return name.endsWith('.conflist') ? name : `${name.replace(/\.(conf|json)$/, '')}.conflist`;
}

/** The network of the file with our plugin at its end, replaced if it is there. Throws when it is no network. */
export function withPlugin(text: string, options: ChainOptions): string {
  const list = parseList(text);
  const others = withoutOurs(list);
  if (others.length === 0) throw new Error('it has no plugin that makes a network');
  const plugins = [...others, pluginEntry(options)];
  return `${JSON.stringify({ ...list, plugins }, null, 2)}\n`;
}

/** The network without our plugin; undefined when it does not have it. */
export function withoutPlugin(text: string): string | undefined {
  const list = parseList(text);
  const plugins = withoutOurs(list);
  if (plugins.length === (list['plugins'] as unknown[]).length) return undefined;
  return `${JSON.stringify({ ...list, plugins }, null, 2)}\n`;
}

export function hasPlugin(text: string): boolean {
  try {
    return withoutPlugin(text) !== undefined;
  } catch {
    return false;
  }
}

function pluginEntry({ runDir, excludedNamespaces, systemNamespace }: ChainOptions): Fields {
  return {
    type: pluginType,
    name: pluginType,
    cni_agent_run_dir: runDir,
    exclude_namespaces: excludedNamespaces,
    pod_namespace: systemNamespace,
  };
}

function parseList(text: string): Fields {
  const parsed = JSON.parse(text) as unknown;
  if (!isFields(parsed)) throw new Error('it is no JSON object');
  if (Array.isArray(parsed['plugins'])) return parsed;
  if (typeof parsed['type'] !== 'string') throw new Error('it has neither plugins nor a type');
  const { cniVersion = defaultVersion, name = defaultListName, ...plugin } = parsed;
  return { cniVersion, name, plugins: [plugin] };
}

function withoutOurs(list: Fields): unknown[] {
  return (list['plugins'] as unknown[]).filter((plugin) => !isFields(plugin) || plugin['type'] !== pluginType);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
