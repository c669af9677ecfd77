/** Where the API server is and how to speak to it: kubeconfig files, and the service account mounted into a pod. */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { load } from 'js-yaml';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { formatHostPort } from '../lib/ip.ts';

/** Everything needed to call one API server as one user. Secrets inside: never log it. */
export interface ClusterAccess {
  /** `https://host:port`, without a trailing slash; a path is kept. */
  readonly server: string;
  /** Absent: the system's roots. */
  readonly caPem?: string;
  /** Name to verify instead of the host of `server`. */
  readonly tlsServerName?: string;
  readonly insecureSkipTlsVerify: boolean;
  readonly clientCertPem?: string;
  readonly clientKeyPem?: string;
  /** Reads the bearer token anew where it lives in a file; absent: no token. */
  readonly token?: () => string;
  /** Namespace of the context; "default" when it names none. */
  readonly namespace: string;
}

/** How long a token read from a file is believed. Projected tokens rotate long before they expire. */
const tokenFileMs = 10_000;

/** Reads a kubeconfig file and picks `contextName`, or its current context. Throws `kube.kubeconfig` naming file and field. */
export function loadKubeconfig(path: string, contextName?: string): ClusterAccess {
  const fail = (what: string, cause?: unknown): AmbitError =>
    new AmbitError(`Cannot use kubeconfig "${path}": ${what}`, { code: 'kube.kubeconfig', blame: 'downstream', cause });
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw fail(messageOf(error), error);
  }
  return parseKubeconfig(text, { directory: dirname(resolve(path)), contextName, fail });
}

/** The access of a pod by its mounted service account (`/var/run/secrets/kubernetes.io/serviceaccount`). */
export function inClusterAccess(options: { host: string; port: number; directory?: string }): ClusterAccess {
  const directory = options.directory ?? '/var/run/secrets/kubernetes.io/serviceaccount';
  return {
    server: `https://${formatHostPort(options.host, options.port)}`,
    caPem: readFileSync(join(directory, 'ca.crt'), 'utf8'),
    insecureSkipTlsVerify: false,
    token: tokenFromFile(join(directory, 'token')),
    namespace: readFileSync(join(directory, 'namespace'), 'utf8').trim(),
  };
}

interface ParseOptions {
  readonly directory: string;
  readonly contextName: string | undefined;
  readonly fail: (what: string, cause?: unknown) => AmbitError;
}

type Fields = Readonly<Record<string, unknown>>;

function parseKubeconfig(text: string, { directory, contextName, fail }: ParseOptions): ClusterAccess {
  let root: unknown;
  try {
    root = load(text);
  } catch (error) {
    throw fail(messageOf(error), error);
  }
  if (!isFields(root)) throw fail('it is not a mapping');
  const wanted = contextName ?? stringField(root, 'current-context');
  if (!wanted) throw fail('it has no current-context');
  const context = entry(root, 'contexts', wanted, 'context', fail);
  const cluster = entry(root, 'clusters', stringField(context, 'cluster') ?? '', 'cluster', fail);
  const userName = stringField(context, 'user');
  const user = userName ? entry(root, 'users', userName, 'user', fail) : {};
  for (const method of ['exec', 'auth-provider']) {
    if (user[method] !== undefined)
      throw fail(`user "${userName}" uses ${method}, which is not supported: use a token or a client certificate`);
  }

  const server = stringField(cluster, 'server');
  if (!server || !/^https?:\/\//.test(server))
    throw fail(`cluster "${stringField(context, 'cluster')}" has no server URL`);
  const pem = (fields: Fields, name: string): string | undefined => {
    const data = stringField(fields, `${name}-data`);
    if (data) return Buffer.from(data, 'base64').toString('utf8');
    const file = stringField(fields, name);
    if (!file) return undefined;
    try {
      return readFileSync(resolve(directory, file), 'utf8');
    } catch (error) {
      throw fail(`${name}: ${messageOf(error)}`, error);
    }
  };
  const caPem = pem(cluster, 'certificate-authority');
  const clientCertPem = pem(user, 'client-certificate');
  const clientKeyPem = pem(user, 'client-key');
  if ((clientCertPem === undefined) !== (clientKeyPem === undefined)) {
    throw fail(`user "${userName}" needs both client-certificate and client-key, or neither`);
  }
  const tlsServerName = stringField(cluster, 'tls-server-name');
  const insecureSkipTlsVerify = cluster['insecure-skip-tls-verify'] === true;
  if (insecureSkipTlsVerify && caPem !== undefined) {
    throw fail('insecure-skip-tls-verify and certificate-authority exclude each other');
  }
  const tokenFile = stringField(user, 'tokenFile');
  const inlineToken = stringField(user, 'token');
  const token = tokenFile
    ? tokenFromFile(resolve(directory, tokenFile))
    : inlineToken
      ? (): string => inlineToken
      : undefined;
  return {
    server: server.replace(/\/+$/, ''),
    insecureSkipTlsVerify,
    namespace: stringField(context, 'namespace') ?? 'default',
    ...(caPem === undefined ? {} : { caPem }),
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
    ...(clientCertPem === undefined ? {} : { clientCertPem }),
    ...(clientKeyPem === undefined ? {} : { clientKeyPem }),
    ...(token === undefined ? {} : { token }),
  };
}

function tokenFromFile(path: string): () => string {
  let known: { token: string; readAtMs: number } | undefined;
  return () => {
    const nowMs = Date.now();
    if (known && nowMs - known.readAtMs < tokenFileMs) return known.token;
    try {
      known = { token: readFileSync(path, 'utf8').trim(), readAtMs: nowMs };
    } catch (error) {
      // A file that is being replaced must not end a working session.
      if (!known) {
        throw new AmbitError(`Cannot read token file "${path}": ${messageOf(error)}`, {
          code: 'kube.token-file',
          blame: 'internal',
          cause: error,
        });
      }
      known = { ...known, readAtMs: nowMs };
    }
    return known.token;
  };
}

/** The entry called `name` of one of kubeconfig's named lists; its `key` field is the content. */
function entry(root: Fields, list: string, name: string, key: string, fail: ParseOptions['fail']): Fields {
  const items = root[list];
  const found = Array.isArray(items)
    ? items.find((item: unknown) => isFields(item) && item['name'] === name)
    : undefined;
  const content: unknown = isFields(found) ? found[key] : undefined;
  if (!isFields(content)) throw fail(`${list} has no entry named "${name}"`);
  return content;
}

function stringField(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
