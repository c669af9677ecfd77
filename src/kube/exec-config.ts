/** The `exec` stanza of a kubeconfig's user: which command makes credentials, and how it is run. */
import { resolve } from 'node:path';
import type { ClusterAccess } from './access.ts';
import type { Fields, Pem } from './kubeconfig-fields.ts';

const versions = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'] as const;
const interactiveModes = ['Never', 'IfAvailable', 'Always'] as const;

export interface ExecConfig {
  readonly apiVersion: (typeof versions)[number];
  /** A name to look for in PATH, or an absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  /** How to install the command, shown when it is missing. */
  readonly installHint?: string;
  readonly interactiveMode: (typeof interactiveModes)[number];
  /** Told to the command in KUBERNETES_EXEC_INFO when the stanza has provideClusterInfo. */
  readonly cluster?: Readonly<Record<string, unknown>>;
  /** The error of this stanza: names file and user. */
  readonly fail: (what: string, cause?: unknown) => Error;
}

/** Throws `kube.kubeconfig` naming the field. */
export function readExecConfig(
  exec: Fields,
  cluster: Fields,
  target: { readonly access: Pick<ClusterAccess, 'server'>; readonly ca: Pem | undefined },
): ExecConfig {
  const command = exec.string('command');
  if (command === undefined) throw exec.fail('command is missing');
  const version = exec.string('apiVersion');
  const apiVersion = versions.find((known) => known === version);
  if (!apiVersion) throw exec.fail(`apiVersion "${version ?? ''}" is not supported: use ${versions.join(' or ')}`);
  // v1 wants it said; v1beta1 has a default.
  const mode = exec.string('interactiveMode') ?? (apiVersion.endsWith('/v1') ? '' : 'IfAvailable');
  const interactiveMode = interactiveModes.find((known) => known === mode);
  if (!interactiveMode) throw exec.fail(`interactiveMode "${mode}" is none of ${interactiveModes.join(', ')}`);
  const installHint = exec.string('installHint');
  const env = exec.list('env').map((entry) => {
    const name = entry.string('name');
    if (name === undefined) throw entry.fail('name is missing');
    return { name, value: entry.string('value') ?? '' };
  });
  return {
    apiVersion,
    // A path in the kubeconfig is relative to the kubeconfig; a bare name is looked up in PATH.
    command: command.includes('/') ? resolve(exec.directory, command) : command,
    args: exec.strings('args') ?? [],
    env,
    interactiveMode,
    ...(installHint === undefined ? {} : { installHint }),
    ...(exec.boolean('provideClusterInfo') ? { cluster: clusterInfo(cluster, target) } : {}),
    fail: (what, cause) => exec.fail(what, cause),
  };
}

function clusterInfo(
  cluster: Fields,
  { access, ca }: { readonly access: Pick<ClusterAccess, 'server'>; readonly ca: Pem | undefined },
): Record<string, unknown> {
  const extension = cluster
    .list('extensions')
    .find((item) => item.string('name') === 'client.authentication.k8s.io/exec');
  return {
    server: access.server,
    'tls-server-name': cluster.string('tls-server-name'),
    'insecure-skip-tls-verify': cluster.boolean('insecure-skip-tls-verify') || undefined,
    'certificate-authority-data': ca && Buffer.from(ca.text).toString('base64'),
    'proxy-url': cluster.string('proxy-url'),
    config: extension?.raw('extension'),
  };
}
