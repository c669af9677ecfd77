/** Where the API server is and how to speak to it, from kubeconfig files. */
import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import type { Certificates, ClusterAccess, Impersonation } from './access.ts';
import { createExecCredentials } from './exec-credentials.ts';
import { readExecConfig } from './exec-config.ts';
import { Fields, kubeconfigError, type Pem } from './kubeconfig-fields.ts';
import { tokenFromFile } from './token-file.ts';

export interface KubeconfigOptions {
  /** The context to use instead of the current one. */
  readonly context?: string;
  /** The environment that credential plugins run in; PATH finds them. Default: empty. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Somebody sits at standard input and can be asked for a password by a credential plugin. Default false. */
  readonly isInteractive?: boolean;
}

/** The files that the variable KUBECONFIG names. */
export function kubeconfigPaths(variable: string | undefined): string[] {
  return [...new Set((variable ?? '').split(delimiter).filter((path) => path !== ''))];
}

/**
 * Reads kubeconfig files and picks one context. Several files are merged as kubectl does: the first file that has an entry
 * of a name, or a current context, decides; files that are not there are passed over, unless all are. Relative paths
 * are relative to their own file. Throws `kube.kubeconfig` naming file, entry and field.
 */
export function loadKubeconfig(paths: string | readonly string[], options: KubeconfigOptions = {}): ClusterAccess {
  const all = typeof paths === 'string' ? [paths] : paths;
  const present = all.length > 1 ? all.filter((path) => existsSync(path)) : all;
  if (present.length === 0) throw kubeconfigError(all.join(delimiter), 'none of the files is there');
  const files = present.map((path) => Fields.parse(path));
  const name = present.join(delimiter);
  const find = (list: string, wanted: string, key: string): Fields => {
    for (const file of files) {
      const found = file.entry(list, wanted, key);
      if (found) return found;
    }
    const known = files.flatMap((file) => file.names(list));
    const hint = known.length === 0 ? '' : ` (it has ${[...new Set(known)].map((n) => `"${n}"`).join(', ')})`;
    throw kubeconfigError(name, `${list} has no entry named "${wanted}"${hint}`);
  };

  const wanted = options.context ?? files.map((file) => file.string('current-context')).find((text) => text);
  if (!wanted) throw kubeconfigError(name, 'it has no current-context');
  const context = find('contexts', wanted, 'context');
  const clusterName = context.string('cluster');
  if (clusterName === undefined) throw context.fail('cluster is missing');
  const userName = context.string('user');
  const cluster = find('clusters', clusterName, 'cluster');
  const user = userName === undefined ? undefined : find('users', userName, 'user');
  const target = readCluster(cluster);
  return {
    ...target.access,
    ...(user ? readUser(user, cluster, target, options) : readCertificatesOf({ caPem: target.ca })),
    namespace: context.string('namespace') ?? 'default',
  };
}

interface Target {
  readonly access: Pick<ClusterAccess, 'server' | 'insecureSkipTlsVerify' | 'tlsServerName' | 'proxyUrl'>;
  readonly ca: Pem | undefined;
}

function readCluster(cluster: Fields): Target {
  const server = cluster.string('server');
  if (server === undefined) throw cluster.fail('server is missing');
  if (!/^https?:\/\//.test(server) || !URL.canParse(server)) throw cluster.fail(`server "${server}" is no http(s) URL`);
  const ca = cluster.pem('certificate-authority');
  const insecureSkipTlsVerify = cluster.boolean('insecure-skip-tls-verify');
  if (insecureSkipTlsVerify && ca) {
    throw cluster.fail('insecure-skip-tls-verify and certificate-authority exclude each other');
  }
  const tlsServerName = cluster.string('tls-server-name');
  const proxyUrl = cluster.string('proxy-url');
  if (proxyUrl !== undefined && (!URL.canParse(proxyUrl) || !/^https?:$/.test(new URL(proxyUrl).protocol))) {
    throw cluster.fail(
      `proxy-url "${withoutPassword(proxyUrl)}" is no http:// or https:// URL: others are not supported`,
    );
  }
  return {
    access: {
      server: server.replace(/\/+$/, ''),
      insecureSkipTlsVerify,
      ...(tlsServerName === undefined ? {} : { tlsServerName }),
      ...(proxyUrl === undefined ? {} : { proxyUrl }),
    },
    ca,
  };
}

function readUser(user: Fields, cluster: Fields, target: Target, options: KubeconfigOptions): Partial<ClusterAccess> {
  if (user.has('username') || user.has('password')) {
    throw user.fail(
      'username and password: Kubernetes dropped basic authentication in 1.19, use a token or a certificate',
    );
  }
  if (user.has('auth-provider')) {
    throw user.fail('auth-provider is not supported: use exec, a token or a certificate');
  }
  const clientCertPem = user.pem('client-certificate');
  const clientKeyPem = user.pem('client-key');
  if ((clientCertPem === undefined) !== (clientKeyPem === undefined)) {
    throw user.fail('client-certificate and client-key: it needs both, or neither');
  }
  const tokenFile = user.path('tokenFile');
  const inline = user.string('token');
  const token = tokenFile ? tokenFromFile(tokenFile, { fallback: inline }) : inline ? (): string => inline : undefined;
  const exec = user.mapping('exec');
  if (exec && clientCertPem) throw user.fail('exec and client-certificate exclude each other');
  const credentials = exec && createExecCredentials(readExecConfig(exec, cluster, target), options);
  const impersonate = readImpersonation(user);
  return {
    ...readCertificatesOf({ caPem: target.ca, clientCertPem, clientKeyPem }),
    ...(token === undefined ? {} : { token }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(impersonate === undefined ? {} : { impersonate }),
  };
}

function readImpersonation(user: Fields): Impersonation | undefined {
  const name = user.string('as');
  const uid = user.string('as-uid');
  const groups = user.strings('as-groups');
  const extraFields = user.mapping('as-user-extra');
  if (name === undefined) {
    if (uid !== undefined || groups?.length || extraFields) {
      throw user.fail('as-uid, as-groups and as-user-extra need as: a user to impersonate');
    }
    return undefined;
  }
  const extra: Record<string, readonly string[]> = {};
  for (const key of Object.keys((user.raw('as-user-extra') as object | null) ?? {})) {
    extra[key] = extraFields?.strings(key) ?? [];
  }
  return {
    user: name,
    ...(uid === undefined ? {} : { uid }),
    ...(groups === undefined ? {} : { groups }),
    ...(extraFields ? { extra } : {}),
  };
}

/** The certificates as they are now, and how to read those again that live in files. */
function readCertificatesOf(
  pems: Readonly<Record<keyof Certificates, Pem | undefined>> | { readonly caPem: Pem | undefined },
): Certificates & Pick<ClusterAccess, 'readCertificates'> {
  const entries = Object.entries(pems).filter((entry): entry is [string, Pem] => entry[1] !== undefined);
  const now: Certificates = Object.fromEntries(entries.map(([name, pem]) => [name, pem.text]));
  if (!entries.some(([, pem]) => pem.read)) return now;
  const readCertificates = (): Certificates =>
    Object.fromEntries(entries.map(([name, pem]) => [name, pem.read?.() ?? pem.text]));
  return { ...now, readCertificates };
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//...@');
}
