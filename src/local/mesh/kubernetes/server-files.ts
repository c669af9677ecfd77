/** What Kubernetes' own server needs on disk before it starts: keys, certificates, its list of static tokens, kubeconfigs. */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { issueCertificate, openServerPki, type CertificateRequest, type ServerPki } from '../../apiserver/pki.ts';
import { nodeAddress } from '../../network/index.ts';
import {
  controllerManagerUser,
  findToken,
  formatKubeconfig,
  internalApiServer,
  schedulerUser,
  type StaticToken,
} from '../credentials.ts';
import { writeFileAtomic, type StatePaths } from '../state-dir.ts';

/** As whom the API server calls the nodes. */
export const kubeletClientUser = 'kube-apiserver-kubelet-client';
/** Users that the server's own components need besides those of every mesh. */
export const serverUsers: readonly string[] = [controllerManagerUser, schedulerUser];

export interface KeyPair {
  readonly certPath: string;
  readonly keyPath: string;
}

export interface ServerFiles {
  readonly caPath: string;
  readonly serving: KeyPair;
  /** Signs and verifies ServiceAccount tokens. */
  readonly tokenKeyPath: string;
  readonly tokenPublicKeyPath: string;
  readonly kubeletClient: KeyPair;
  /** `token,user,uid,"group,group"`: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file */
  readonly tokensPath: string;
  readonly controllerManagerKubeconfig: string;
  readonly schedulerKubeconfig: string;
}

const renewBeforeMs = 30 * 24 * 60 * 60 * 1000;

export function serverFiles(paths: StatePaths): ServerFiles {
  const file = (name: string): string => join(paths.pki, name);
  return {
    caPath: file('apiserver-ca.pem'),
    serving: { certPath: file('apiserver-cert.pem'), keyPath: file('apiserver-key.pem') },
    tokenKeyPath: file('sa.key'),
    tokenPublicKeyPath: file('sa.pub'),
    kubeletClient: { certPath: file('kubelet-client-cert.pem'), keyPath: file('kubelet-client-key.pem') },
    tokensPath: file('tokens.csv'),
    controllerManagerKubeconfig: file('controller-manager.kubeconfig'),
    schedulerKubeconfig: file('scheduler.kubeconfig'),
  };
}

/** The certificate with which a node's runtime answers the API server. */
export function nodeKeyPair(paths: StatePaths, node: string): KeyPair {
  return { certPath: join(paths.pki, `${node}-cert.pem`), keyPath: join(paths.pki, `${node}-key.pem`) };
}

/** Makes what is missing or about to end; `nodes` in the order of their indices. */
export async function writeServerFiles(
  paths: StatePaths,
  options: { readonly nodes: readonly string[]; readonly tokens: readonly StaticToken[] },
): Promise<ServerFiles> {
  const files = serverFiles(paths);
  const pki = await openServerPki(paths.pki);
  writeFileAtomic(
    files.tokenPublicKeyPath,
    createPublicKey(pki.tokenKey).export({ type: 'spki', format: 'pem' }).toString(),
  );
  await ensureKeyPair(pki, files.kubeletClient, { subject: `CN=${kubeletClientUser}`, usage: 'client' });
  for (const [index, node] of options.nodes.entries()) {
    const ipAddresses = [nodeAddress(index + 1)];
    await ensureKeyPair(pki, nodeKeyPair(paths, node), {
      subject: `CN=system:node:${node},O=system:nodes`,
      usage: 'server',
      dnsNames: [node],
      ipAddresses,
    });
  }
  writeFileAtomic(files.tokensPath, options.tokens.map(formatToken).join(''));
  const kubeconfig = (path: string, user: string): void => {
    const token = findToken(options.tokens, user);
    writeFileAtomic(
      path,
      formatKubeconfig({ name: 'ambit', server: internalApiServer, caPem: pki.caPem, user: { token } }),
    );
  };
  kubeconfig(files.controllerManagerKubeconfig, controllerManagerUser);
  kubeconfig(files.schedulerKubeconfig, schedulerUser);
  return files;
}

/** One line of the token file. The user's name serves as its UID. */
export function formatToken({ token, user, groups }: StaticToken): string {
  return `${token},${user},${user}${groups.length === 0 ? '' : `,"${groups.join(',')}"`}\n`;
}

async function ensureKeyPair(pki: ServerPki, pair: KeyPair, request: CertificateRequest): Promise<void> {
  if (existsSync(pair.keyPath) && isGood(pair.certPath, pki)) return;
  const { certPem, keyPem } = await issueCertificate(pki, request);
  writeFileAtomic(pair.keyPath, keyPem);
  writeFileAtomic(pair.certPath, certPem);
}

function isGood(certPath: string, pki: ServerPki): boolean {
  if (!existsSync(certPath)) return false;
  const certificate = new X509Certificate(readFileSync(certPath));
  return (
    certificate.checkIssued(new X509Certificate(pki.caPem)) &&
    certificate.validToDate.getTime() > Date.now() + renewBeforeMs
  );
}
