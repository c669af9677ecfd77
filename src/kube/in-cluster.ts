/** The access of a pod: its mounted service account, and where KUBECONFIG is set, that. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { formatHostPort } from '../lib/ip.ts';
import type { ClusterAccess } from './access.ts';
import { kubeconfigPaths, loadKubeconfig, type KubeconfigOptions } from './kubeconfig.ts';
import { tokenFromFile } from './token-file.ts';

export interface InClusterOptions {
  readonly host: string;
  readonly port: number;
  readonly directory?: string;
}

/** By `/var/run/secrets/kubernetes.io/serviceaccount`. Token and CA are read again as they rotate. Throws `kube.in-cluster`. */
export function inClusterAccess(options: InClusterOptions): ClusterAccess {
  const directory = options.directory ?? '/var/run/secrets/kubernetes.io/serviceaccount';
  const read = (name: string): string => {
    try {
      return readFileSync(join(directory, name), 'utf8');
    } catch (error) {
      throw new AmbitError(`Cannot use the pod's service account: ${messageOf(error)}`, {
        code: 'kube.in-cluster',
        blame: 'downstream',
        cause: error,
      });
    }
  };
  const token = tokenFromFile(join(directory, 'token'));
  token();
  return {
    server: `https://${formatHostPort(options.host, options.port)}`,
    caPem: read('ca.crt'),
    readCertificates: () => ({ caPem: read('ca.crt') }),
    insecureSkipTlsVerify: false,
    token,
    namespace: read('namespace').trim() || 'default',
  };
}

/**
 * What a process is configured for: the files of KUBECONFIG where it is set, else the service account of the pod, by
 * KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.
 */
export function accessFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  options: Omit<KubeconfigOptions, 'env'> = {},
): ClusterAccess {
  const paths = kubeconfigPaths(env['KUBECONFIG']);
  if (paths.length > 0) return loadKubeconfig(paths, { ...options, env });
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] || '443';
  if (!host) {
    throw new AmbitError('Cannot find the API server: neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set', {
      code: 'kube.no-configuration',
      blame: 'downstream',
    });
  }
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new AmbitError(`Cannot find the API server: KUBERNETES_SERVICE_PORT "${port}" is no port`, {
      code: 'kube.no-configuration',
      blame: 'downstream',
    });
  }
  return inClusterAccess({ host, port: Number(port) });
}
