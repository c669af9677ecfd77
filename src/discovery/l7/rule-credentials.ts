/** Secrets that DestinationRules name by `credentialName`; one that becomes unusable leaves the last good one serving. */
import type { Secret } from '../../api/core.ts';
import type { DestinationRule } from '../../api/istio.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import { readCaOfSecret, readCertificate, readRevocations, type Certificate } from './secrets.ts';
import { credentialNames } from './upstream-tls.ts';

export interface RuleCredential {
  readonly certificate?: Certificate;
  /** PEM. */
  readonly ca?: string;
  /** PEM of the lists that come with `ca`; absent: nothing is revoked. */
  readonly revocations?: string;
  /** Why the lists that the Secret has now are not in force, in words that begin with its name. */
  readonly problem?: string;
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
  const isUsed = ({ metadata: { name = '' } }: Secret, read: Reader): boolean => {
    const base = name.endsWith(ofCa) ? name.slice(0, -ofCa.length) : name;
    return read.lookup(users, name).size > 0 || read.lookup(users, base).size > 0;
  };
  const good = graph.map('credentials of destination rules', inputs.secrets, (secret, key, read) =>
    isUsed(secret, read) ? readCredential(secret, key) : undefined,
  );
  const badLists = graph.map(
    'revocation lists that destination rules cannot use',
    inputs.secrets,
    (secret, _, read) => {
      if (!isUsed(secret, read) || readCaOfSecret(secret).kind === 'unusable') return undefined;
      const lists = readRevocations({ kind: 'Secret', data: secret.data });
      return lists?.kind === 'unusable' ? lists.problem : undefined;
    },
  );
  return {
    of(cluster, secret, read) {
      const own = read.get(good, `${cluster}/${secret}`) ?? {};
      const separate = read.get(good, `${cluster}/${secret}${ofCa}`) ?? {};
      const { ca, revocations } = separate.ca === undefined ? own : separate;
      const faulty = [secret, `${secret}${ofCa}`].flatMap((name) => {
        const problem = read.get(badLists, `${cluster}/${name}`);
        return problem === undefined ? [] : [`Secret ${name} ${problem}`];
      });
      return {
        ...(own.certificate ? { certificate: own.certificate } : {}),
        ...(ca === undefined ? {} : { ca }),
        ...(revocations === undefined ? {} : { revocations }),
        ...(faulty[0] === undefined ? {} : { problem: faulty[0] }),
      };
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
  const lists = ca.kind === 'ca' ? readRevocations({ kind: 'Secret', data: secret.data }) : undefined;
  if (lists?.kind === 'unusable') {
    // Nobody says whom the authorities have revoked: they stand for nobody, unless it was known before.
    throw new AmbitError(`Cannot use Secret ${key}: it ${lists.problem}`, {
      code: 'discovery.bad-crl',
      blame: 'downstream',
    });
  }
  return {
    ...(certificate.kind === 'certificate' ? { certificate } : {}),
    ...(ca.kind === 'ca' ? { ca: ca.certificates } : {}),
    ...(lists ? { revocations: lists.lists } : {}),
  };
}
