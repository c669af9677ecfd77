/** Secrets that DestinationRules name by `credentialName`; one that becomes unusable leaves the last good one serving. */
import type { Secret } from '../../api/core.ts';
import type { DestinationRule } from '../../api/istio.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import { readCaOfSecret, readCertificate, type Certificate } from './secrets.ts';
import { credentialNames } from './upstream-tls.ts';

export interface RuleCredential {
  readonly certificate?: Certificate;
  /** PEM. */
  readonly ca?: string;
}

export interface RuleCredentials {
  /** Of the Secret `<namespace>/<name>`, or its `<name>-cacert`. */
  readonly of: (cluster: string, secret: string, read: Reader) => RuleCredential;
}

const ofCa = '-cacert';

export function deriveRuleCredentials(
  graph: Graph,
  inputs: { readonly destinationRules: Collection<DestinationRule>; readonly secrets: Collection<Secret> },
): RuleCredentials {
  const users = graph.index('destination rules by credential', inputs.destinationRules, credentialNames);
  const good = graph.map('credentials of destination rules', inputs.secrets, (secret, key, read) => {
    const name = secret.metadata.name ?? '';
    const base = name.endsWith(ofCa) ? name.slice(0, -ofCa.length) : name;
    if (read.lookup(users, name).size === 0 && read.lookup(users, base).size === 0) return undefined;
    return readCredential(secret, key);
  });
  return {
    of(cluster, secret, read) {
      const own = read.get(good, `${cluster}/${secret}`) ?? {};
      const ca = read.get(good, `${cluster}/${secret}${ofCa}`)?.ca ?? own.ca;
      return { ...(own.certificate ? { certificate: own.certificate } : {}), ...(ca === undefined ? {} : { ca }) };
    },
  };
}

function readCredential(secret: Secret, key: string): RuleCredential {
  const certificate = readCertificate(secret);
  const ca = readCaOfSecret(secret);
  if (certificate.kind === 'unusable' && ca.kind === 'unusable') {
    // Thrown, so that the last good one stays.
    throw new AmbitError(`Cannot use Secret ${key}: it ${certificate.problem}, and ${ca.problem}`, {
      code: 'discovery.bad-certificate',
      blame: 'downstream',
    });
  }
  return {
    ...(certificate.kind === 'certificate' ? { certificate } : {}),
    ...(ca.kind === 'ca' ? { ca: ca.certificates } : {}),
  };
}
