/** The mesh's CA material: `cacerts` if somebody gave it, else `istio-ca-secret`, made once by whoever comes first. */
import type { Secret } from '../api/core.ts';
import { kinds } from '../api/kinds.ts';
import { createCertificateAuthority, createRoot, type CertificateAuthority } from '../ca/index.ts';
import { isKubeError, type KubeClient } from '../kube/index.ts';
import { systemClock } from '../lib/clock.ts';
import { AmbitError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';

export interface AuthorityOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly trustDomain: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const givenSecret = 'cacerts';
const ownSecret = 'istio-ca-secret';

/** Throws `control.bad-ca-secret` naming the field, and KubeError when the API server refuses or is away. */
export async function openAuthority(options: AuthorityOptions): Promise<CertificateAuthority> {
  const { log, namespace } = options;
  const secret = (await tryGet(options, givenSecret)) ?? (await tryGet(options, ownSecret)) ?? (await create(options));
  log.info('certificate authority opened', { secret: `${namespace}/${secret.metadata.name}` });
  const field = (name: string): string | undefined => {
    const value = secret.data?.[name];
    return value ? Buffer.from(value, 'base64').toString('utf8') : undefined;
  };
  const required = (name: string): string => {
    const value = field(name);
    if (value === undefined) {
      throw new AmbitError(`Cannot use Secret "${namespace}/${secret.metadata.name}": it has no ${name}`, {
        code: 'control.bad-ca-secret',
        blame: 'downstream',
      });
    }
    return value;
  };
  const caCertPem = required('ca-cert.pem');
  const chainPem = field('cert-chain.pem');
  return createCertificateAuthority({
    caCertPem,
    caKeyPem: required('ca-key.pem'),
    // Istio's own secret may hold no root: the signing certificate is one then.
    rootPem: field('root-cert.pem') ?? caCertPem,
    ...(chainPem === undefined ? {} : { chainPem }),
    clock: systemClock,
  });
}

async function tryGet({ client, namespace, signal }: AuthorityOptions, name: string): Promise<Secret | undefined> {
  try {
    return await client.get(kinds.Secret, name, namespace, signal);
  } catch (error) {
    if (isKubeError(error, 'kube.not-found')) return undefined;
    throw error;
  }
}

async function create(options: AuthorityOptions): Promise<Secret> {
  const { client, namespace, trustDomain, log, signal } = options;
  const { certPem, keyPem } = await createRoot({ clock: systemClock, organization: trustDomain });
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const secret: Secret = {
    metadata: { name: ownSecret, namespace },
    type: 'istio.io/ca-root',
    data: {
      'ca-cert.pem': encode(certPem),
      'ca-key.pem': encode(keyPem),
      'root-cert.pem': encode(certPem),
      'cert-chain.pem': '',
    },
  };
  try {
    const created = await client.create(kinds.Secret, secret, signal);
    log.info('new mesh root created', { secret: `${namespace}/${ownSecret}` });
    return created;
  } catch (error) {
    // Another replica was faster: its root is the mesh's.
    if (!isKubeError(error, 'kube.already-exists')) throw error;
    return client.get(kinds.Secret, ownSecret, namespace, signal);
  }
}
