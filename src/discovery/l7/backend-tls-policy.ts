/** BackendTLSPolicy -> TLS towards a backend (ambient-l7, 2.3). Pure. */
import type { BackendTLSPolicy } from '../../api/gateway.ts';
import type { UpstreamTls } from '../../api/l7/index.ts';
import type { ServiceKey } from '../../api/names.ts';
import type { ListsInForce } from './authority-lists.ts';
import type { CaCertificates, Unusable } from './secrets.ts';

export interface BackendTls {
  readonly tls: UpstreamTls;
  /** PEM of the secret that `tls.ca` names, if it names one. */
  readonly caCertificates?: string;
  /** PEM of the revocation lists of those authorities; absent: there are none. */
  readonly revocations?: string;
}

/** Faults of the references to CA certificates: conditions Accepted and ResolvedRefs tell of them. */
export interface CaProblem {
  readonly reason: 'InvalidCACertificateRef' | 'InvalidKind';
  readonly message: string;
}

export interface ReadBackendTls {
  /** Absent: nothing can be trusted, and nobody may connect without. */
  readonly backendTls?: BackendTls;
  readonly problems: readonly CaProblem[];
}

/** One policy, read. */
export interface PolicyState {
  readonly namespace: string;
  readonly name: string;
  readonly generation: number | undefined;
  readonly createdAt: string;
  /** By annotation: Istio's way of leaving the backend to a DestinationRule. */
  readonly isIgnored: boolean;
  readonly targets: readonly PolicyTargetState[];
  readonly read: ReadBackendTls;
}

export interface PolicyTargetState {
  readonly ref: BackendTLSPolicy['spec']['targetRefs'][number];
  /** Empty: it does not exist, or has no such port. */
  readonly services: readonly ServiceKey[];
}

export interface FoundCa {
  readonly ca: CaCertificates | Unusable;
  readonly lists: ListsInForce;
}

/** Undefined: the object does not exist. */
export type CaLookup = (kind: 'ConfigMap' | 'Secret', name: string) => FoundCa | undefined;

/** Name of the secret with what the policy trusts. */
export function caSecretName(namespace: string, name: string): string {
  return `${namespace}/${name}.backend-tls-policy`;
}

export function readBackendTls(policy: BackendTLSPolicy, findCa: CaLookup): ReadBackendTls {
  const { name = '', namespace = '' } = policy.metadata;
  const { caCertificateRefs = [], wellKnownCACertificates } = policy.spec.validation;
  if (wellKnownCACertificates !== undefined && wellKnownCACertificates !== '') {
    if (wellKnownCACertificates !== 'System') {
      const message = `wellKnownCACertificates ${JSON.stringify(wellKnownCACertificates)} is not known`;
      return { problems: [{ reason: 'InvalidCACertificateRef', message }] };
    }
    return { backendTls: { tls: tlsOf(policy, { kind: 'system' }) }, problems: [] };
  }
  const problems: CaProblem[] = [];
  const authorities = caCertificateRefs.flatMap((ref) => {
    const { authority, problem } = readRef(ref, namespace, findCa);
    if (problem) problems.push(problem);
    return authority ? [authority] : [];
  });
  if (authorities.length === 0) return { problems };
  const revocations = authorities.map((one) => one.revocations).join('');
  return {
    backendTls: {
      tls: tlsOf(policy, { kind: 'secret', secret: caSecretName(namespace, name) }),
      caCertificates: authorities.map(({ certificates }) => certificates.trimEnd()).join('\n') + '\n',
      ...(revocations === '' ? {} : { revocations }),
    },
    problems,
  };
}

interface ReadRef {
  readonly authority?: { readonly certificates: string; readonly revocations: string };
  readonly problem?: CaProblem;
}

function readRef(
  ref: NonNullable<BackendTLSPolicy['spec']['validation']['caCertificateRefs']>[number],
  namespace: string,
  findCa: CaLookup,
): ReadRef {
  const { group, kind, name } = ref;
  if (group !== '' || (kind !== 'ConfigMap' && kind !== 'Secret')) {
    const message = `CA certificates are in a ConfigMap or a Secret, not in a ${kind}${group === '' ? '' : `.${group}`}`;
    return { problem: { reason: 'InvalidKind', message } };
  }
  const invalid = (what: string): { readonly problem: CaProblem } => ({
    problem: { reason: 'InvalidCACertificateRef', message: `${kind} ${namespace}/${name} ${what}` },
  });
  const found = findCa(kind, name);
  if (!found) return invalid('does not exist');
  const { ca, lists } = found;
  if (ca.kind !== 'ca') return invalid(ca.problem);
  const { certificates } = ca;
  const faulty = lists.problem === undefined ? {} : invalid(lists.problem);
  return lists.pem === undefined ? faulty : { authority: { certificates, revocations: lists.pem }, ...faulty };
}

/** The host name is what is asked for; what the certificate must show are the alternatives, if there are any, instead. */
function tlsOf({ spec }: BackendTLSPolicy, ca: UpstreamTls['ca']): UpstreamTls {
  const { hostname, subjectAltNames = [] } = spec.validation;
  return {
    mode: 'simple',
    sni: hostname,
    subjectAltNames: subjectAltNames.flatMap(({ type, hostname: host, uri }) => (type === 'URI' ? uri : host) ?? []),
    ca,
  };
}

export function textOf(problems: readonly CaProblem[]): string {
  return problems.map(({ message }) => message).join('; ');
}
