/** Who may speak to the embedded API: one bearer token each for the user, the control plane, and every node. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { dump, load } from 'js-yaml';
import { systemNamespace } from '../../api/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import { writeFileAtomic, type StatePaths } from './state-dir.ts';

export interface StaticToken {
  readonly token: string;
  readonly user: string;
  readonly groups: readonly string[];
}

export const controlUser: string = `system:serviceaccount:${systemNamespace}:istiod`;
const adminUser = 'ambit:admin';
const controllersUser = 'system:ambit:controllers';

export function nodeUser(node: string): string {
  return `system:node:${node}`;
}

/** Where processes inside the mesh's namespaces reach the API server. */
export const internalApiServer = 'https://172.30.0.1:6443';

/** Users of Kubernetes' own components, which its default roles know. */
export const controllerManagerUser = 'system:kube-controller-manager';
export const schedulerUser = 'system:kube-scheduler';

/** Makes the tokens that are missing and keeps those that exist. `more` are users besides those that every mesh has. */
export function ensureTokens(
  paths: StatePaths,
  nodes: readonly string[],
  more: readonly string[] = [],
): readonly StaticToken[] {
  const existing = existsSync(paths.tokens) ? (JSON.parse(readFileSync(paths.tokens, 'utf8')) as StaticToken[]) : [];
  const wanted: readonly Omit<StaticToken, 'token'>[] = [
    { user: adminUser, groups: ['system:masters'] },
    { user: controllersUser, groups: [] },
    { user: controlUser, groups: ['system:serviceaccounts', `system:serviceaccounts:${systemNamespace}`] },
    ...nodes.map((node) => ({ user: nodeUser(node), groups: ['system:nodes'] })),
    ...more.map((user) => ({ user, groups: [] })),
  ];
  const tokens = wanted.map(({ user, groups }): StaticToken => ({
    token: existing.find((entry) => entry.user === user)?.token ?? randomBytes(32).toString('hex'),
    user,
    groups,
  }));
  writeFileAtomic(paths.tokens, `${JSON.stringify(tokens, null, 2)}\n`);
  return tokens;
}

export interface Kubeconfig {
  apiVersion: 'v1';
  kind: 'Config';
  clusters: { name: string; cluster: Record<string, unknown> }[];
  users: { name: string; user: Record<string, unknown> }[];
  contexts: { name: string; context: { cluster: string; user: string; namespace?: string } }[];
  'current-context': string;
}

export interface KubeconfigEntry {
  /** Name of the cluster, the user and the context. */
  readonly name: string;
  readonly server: string;
  readonly caPem: string;
  readonly user: { readonly token: string } | { readonly tokenFile: string };
}

/** The text of a kubeconfig with one context. */
export function formatKubeconfig(entry: KubeconfigEntry): string {
  return dump(withEntry(undefined, entry));
}

/** Writes the entry into a kubeconfig and makes it the current context; other entries of the file stay. */
export function writeKubeconfig(path: string, entry: KubeconfigEntry): void {
  const existing = tryReadKubeconfig(path);
  mkdirSync(dirname(path), { recursive: true });
  // The file itself is written anew, not a link to it.
  writeFileAtomic(existing ? realpathSync(path) : path, dump(withEntry(existing, entry)));
}

/** Undefined when there is no such file, or nothing in it. Throws `local.kubeconfig-invalid` when it is something else. */
export function tryReadKubeconfig(path: string): Kubeconfig | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  if (text.trim() === '') return undefined;
  let parsed: unknown;
  try {
    parsed = load(text);
  } catch {
    // No YAML: no kubeconfig either.
  }
  if (typeof parsed === 'object' && parsed !== null && 'clusters' in parsed) return parsed as Kubeconfig;
  throw new AmbitError(
    `Cannot add a context to ${path}: it is not a kubeconfig; choose another file with --kubeconfig`,
    { code: 'local.kubeconfig-invalid', blame: 'downstream' },
  );
}

export function nodeKubeconfigPath(paths: StatePaths, node: string): string {
  return join(paths.pki, `${node}.kubeconfig`);
}

export function agentKubeconfigPath(paths: StatePaths): string {
  return join(paths.pki, 'node-agent.kubeconfig');
}

export function controlKubeconfigPath(paths: StatePaths): string {
  return join(paths.pki, 'control.kubeconfig');
}

export function supervisorKubeconfigPath(paths: StatePaths): string {
  return join(paths.pki, 'supervisor.kubeconfig');
}

export function findToken(tokens: readonly StaticToken[], user: string): string {
  const found = tokens.find((entry) => entry.user === user);
  if (!found) throw new Error(`No token for ${user}`);
  return found.token;
}

/** Writes the kubeconfigs of everything that runs inside, and the user's in the state folder. */
export function writeKubeconfigs(
  paths: StatePaths,
  options: { readonly tokens: readonly StaticToken[]; readonly caPem: string; readonly apiPort: number },
): void {
  const { tokens, caPem, apiPort } = options;
  const inside = (path: string, user: KubeconfigEntry['user']): void =>
    writeFileAtomic(path, formatKubeconfig({ name: 'ambit', server: internalApiServer, caPem, user }));
  const tokenOf = (user: string): { token: string } => ({ token: findToken(tokens, user) });
  inside(supervisorKubeconfigPath(paths), tokenOf(adminUser));
  inside(controlKubeconfigPath(paths), tokenOf(controlUser));
  inside(agentKubeconfigPath(paths), { tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token' });
  for (const { user } of tokens) {
    const node = /^system:node:(.+)$/.exec(user)?.[1];
    if (node !== undefined) inside(nodeKubeconfigPath(paths, node), tokenOf(user));
  }
  writeFileAtomic(paths.kubeconfig, formatKubeconfig(userEntry(paths, { tokens, caPem, apiPort })));
}

/** The entry that lets the user in, over the host's loopback. */
export function userEntry(
  paths: StatePaths,
  options: { readonly tokens: readonly StaticToken[]; readonly caPem: string; readonly apiPort: number },
): KubeconfigEntry {
  const admin = options.tokens.find((entry) => entry.user === adminUser);
  if (!admin) throw new Error(`No admin token in ${paths.tokens}`);
  return {
    name: 'ambit',
    server: `https://127.0.0.1:${options.apiPort}`,
    caPem: options.caPem,
    user: { token: admin.token },
  };
}

function withEntry(existing: Kubeconfig | undefined, entry: KubeconfigEntry): Kubeconfig {
  const { name } = entry;
  const others = <T extends { name: string }>(list: readonly T[] | undefined): T[] =>
    (list ?? []).filter((item) => item.name !== name);
  return {
    ...existing,
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      ...others(existing?.clusters),
      {
        name,
        cluster: { server: entry.server, 'certificate-authority-data': Buffer.from(entry.caPem).toString('base64') },
      },
    ],
    users: [...others(existing?.users), { name, user: { ...entry.user } }],
    contexts: [...others(existing?.contexts), { name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
}
