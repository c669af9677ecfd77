/**
 * Certificates that Gateways name: found, granted and checked. What becomes unusable, has ended or is not valid yet leaves the last
 * good one serving while that is valid.
 */
import type { Gateway } from '../../api/gateway.ts';
import type { TlsSecret } from '../../api/l7/index.ts';
import type { Collection, Graph, Reader, Source } from '../../collection/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { MeshScope } from '../mesh-scope.ts';
import { clusterOfKey } from '../object-key.ts';
import type { ProxyResourceOf } from './contracts.ts';
import type { GatewayView } from './gateway-listeners-view.ts';
import type { CertificateScope } from './gateway-listeners-tls.ts';
import { gatewayGroup } from './gateway-listeners.ts';
import { permits, type ReferenceFrom, type ReferenceTo } from './reference-grant.ts';
import {
  readCaOfConfigMap,
  readCaOfSecret,
  readCertificate,
  readRevocations,
  type CaCertificates,
  type Certificate,
  type Revocations,
  type Unusable,
} from './secrets.ts';
import { certificateProblem, servedCertificate, type ServedCertificate } from './served-certificate.ts';

export interface CertificateTime {
  /** In ms since 1970. */
  readonly nowMs: () => number;
  /** By the key of a Secret: a moment that has come and changes which certificate of it serves. */
  readonly due: Source<number>;
}

export interface DerivedCertificates {
  readonly scopeOf: (gateway: Gateway, cluster: string, read: Reader) => CertificateScope;
  /** Whether a ReferenceGrant of `namespace` lets `from` name `to`. */
  readonly isGranted: IsGranted;
  readonly authorities: Authorities;
  /** What serves of the Secrets that Gateways name, by the key of the Secret. */
  readonly served: Collection<ServedCertificate>;
  /** What the proxies of Gateways at the edge are given. */
  readonly ofGateways: (views: Collection<GatewayView>) => Collection<ProxyResourceOf>;
}

/** What objects hold of authorities, by the key of the object. */
export interface Authorities {
  /** Undefined: the object does not exist. */
  readonly certificates: (kind: CaKind, key: string, read: Reader) => CaCertificates | Unusable | undefined;
  readonly lists: (kind: CaKind, key: string, read: Reader) => Revocations | Unusable | undefined;
  /** The last that could be used, if there were any. */
  readonly lastLists: (kind: CaKind, key: string, read: Reader) => Revocations | undefined;
}

type CaKind = 'ConfigMap' | 'Secret';

export type IsGranted = (
  cluster: string,
  namespace: string,
  from: ReferenceFrom,
  to: ReferenceTo,
  read: Reader,
) => boolean;

export function deriveCertificates(
  graph: Graph,
  scope: MeshScope,
  { nowMs, due }: CertificateTime,
): DerivedCertificates {
  const { gateways, secrets, configMaps } = scope;
  const grantsOf = graph.index('reference grants by namespace', scope.referenceGrants, ({ metadata }, key) => [
    `${clusterOfKey(key)}/${metadata.namespace}`,
  ]);
  const isGranted: IsGranted = (cluster, namespace, from, to, read) =>
    permits(read.lookup(grantsOf, `${cluster}/${namespace}`).values(), from, to);
  const users = graph.index('gateways by certificate', gateways, secretKeysOf);
  const good = graph.map('certificates of gateways', secrets, (secret, key, read): Certificate | undefined => {
    if (read.lookup(users, key).size === 0) return undefined;
    read.get(due, key);
    const certificate = readCertificate(secret);
    const problem = certificateProblem(certificate, nowMs());
    if (problem === undefined) return certificate as Certificate;
    // Thrown, so that the last good one stays.
    throw new AmbitError(`Cannot use Secret ${key}: it ${problem}`, {
      code: 'discovery.bad-certificate',
      blame: 'downstream',
    });
  });
  const served = graph.map('certificates that serve', secrets, (secret, key, read) => {
    if (read.lookup(users, key).size === 0) return undefined;
    read.get(due, key);
    return servedCertificate(readCertificate(secret), read.get(good, key), nowMs());
  });
  // Thrown, so that the last good ones stay.
  const goodLists = (key: string, read: Revocations | Unusable | undefined): Revocations | undefined => {
    if (read?.kind !== 'unusable') return read;
    throw new AmbitError(`Cannot use ${key}: it ${read.problem}`, { code: 'discovery.bad-crl', blame: 'downstream' });
  };
  const goodListsOf = {
    Secret: graph.map('revocation lists in Secrets', secrets, ({ data }, key) =>
      goodLists(`Secret ${key}`, readRevocations({ kind: 'Secret', data })),
    ),
    ConfigMap: graph.map('revocation lists in ConfigMaps', configMaps, ({ data }, key) =>
      goodLists(`ConfigMap ${key}`, readRevocations({ kind: 'ConfigMap', data })),
    ),
  };
  const authorities: Authorities = {
    certificates(kind, key, read) {
      if (kind === 'ConfigMap') {
        const found = read.get(configMaps, key);
        return found && readCaOfConfigMap(found);
      }
      const found = read.get(secrets, key);
      return found && readCaOfSecret(found);
    },
    lists(kind, key, read) {
      const found = read.get(kind === 'Secret' ? secrets : configMaps, key);
      return found && readRevocations({ kind, data: found.data });
    },
    lastLists: (kind, key, read) => read.get(goodListsOf[kind], key),
  };
  return {
    isGranted,
    authorities,
    served,
    scopeOf(gateway, cluster, read) {
      const namespace = gateway.metadata.namespace ?? '';
      return {
        from: { group: gatewayGroup, kind: 'Gateway', namespace },
        isGranted: (from, toNamespace, to) => isGranted(cluster, toNamespace, from, to, read),
        certificate: (of, name) => read.get(served, `${cluster}/${of}/${name}`),
        ca: (kind, of, name) => authorities.certificates(kind, `${cluster}/${of}/${name}`, read),
        revocations: (kind, of, name) => authorities.lists(kind, `${cluster}/${of}/${name}`, read),
        lastRevocations: (kind, of, name) => authorities.lastLists(kind, `${cluster}/${of}/${name}`, read),
      };
    },
    ofGateways: (views) =>
      graph.flatMap('TLS secrets of gateways', views, (view, key, read) => {
        const gateway = `${view.namespace}/${view.name}`;
        const told = view.listeners.filter(({ isTold }) => isTold);
        const secretsByName = new Map<string, TlsSecret>();
        for (const { tls, clientCertificates, clientRevocations } of told) {
          for (const name of tls?.certificates ?? []) {
            const of = read.get(served, `${clusterOfKey(key)}/${name}`);
            if (of) secretsByName.set(name, secretOf(name, of));
          }
          const name = tls?.clientCa?.secret;
          if (name !== undefined && clientCertificates !== undefined) {
            secretsByName.set(name, {
              kind: 'secret',
              name,
              caCertificates: clientCertificates,
              ...(clientRevocations ? { revocations: clientRevocations } : {}),
            });
          }
        }
        return [...secretsByName].map(
          ([name, resource]) => [`${gateway}|secret/${name}`, { gateway, resource }] as const,
        );
      }),
  };
}

function secretOf(name: string, { certificate, keepsLast }: ServedCertificate): TlsSecret {
  return {
    kind: 'secret',
    name,
    ...(certificate ? { certificateChain: certificate.chain, privateKey: certificate.key } : {}),
    ...(keepsLast ? { keepsLast } : {}),
  };
}

function secretKeysOf({ metadata, spec }: Gateway, key: string): string[] {
  const refs = spec.listeners.flatMap(({ tls }) => tls?.certificateRefs ?? []);
  return refs.map(({ namespace = metadata.namespace, name }) => `${clusterOfKey(key)}/${namespace}/${name}`);
}
