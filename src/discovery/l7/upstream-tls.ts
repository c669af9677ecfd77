/** `tls` of a traffic policy: TLS to the application, inside of any tunnel (ambient-l7, 1.6 item 5 and 2.2). Pure. */
import type { DestinationRule } from '../../api/istio.ts';
import type { UpstreamTls } from '../../api/l7/index.ts';
import type { TrafficPolicy } from './locality-policy.ts';
import type { RuleProblems } from './rule-problems.ts';

type TlsSettings = NonNullable<TrafficPolicy['tls']>;

export interface UpstreamTlsContext {
  /** Of the proxy: Secrets are read there alone. */
  readonly namespace: string;
  /** Of the ServiceEntry. */
  readonly subjectAltNames: readonly string[];
}

/** Undefined: none of our own; the mesh's identities are proven by the tunnel. */
export function upstreamTlsOf(settings: TlsSettings, context: UpstreamTlsContext): UpstreamTls | undefined {
  const { mode, credentialName, insecureSkipVerify, sni, subjectAltNames = [] } = settings;
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL') return undefined;
  const secret = credentialName ? `${context.namespace}/${secretName(credentialName)}` : undefined;
  // Files that we do not read: a Secret that is not there. Nobody is to be trusted without what was asked for.
  const files = `${context.namespace}/files-of-the-proxy`;
  return {
    mode: mode === 'SIMPLE' ? 'simple' : 'mutual',
    ...(sni ? { sni } : {}),
    subjectAltNames: subjectAltNames.length > 0 ? subjectAltNames : context.subjectAltNames,
    ca: insecureSkipVerify
      ? { kind: 'none' }
      : secret === undefined && !namesAuthorities(settings)
        ? { kind: 'system' }
        : { kind: 'secret', secret: caSecretName(secret ?? files) },
    // Without one that can be read, handshakes fail: nobody is to think that we proved who we are.
    ...(mode === 'MUTUAL' ? { clientCertificate: secret ?? files } : {}),
  };
}

/** Files, which we do not read: of authorities, or of whom they have revoked. */
function namesAuthorities({ caCertificates, caCrl }: TlsSettings): boolean {
  return Boolean(caCrl) || (Boolean(caCertificates) && caCertificates !== 'system');
}

/** Istio lets the kind of a credential be said in front. */
function secretName(credential: string): string {
  return credential.replace(/^kubernetes(?:-gateway)?:\/\/(?:[^/]+\/)?/, '');
}

/** What a proxy calls the CA certificates of a credential: they may be in a Secret of their own, `<name>-cacert`. */
function caSecretName(secret: string): string {
  return `${secret}${ofCa}`;
}

const ofCa = '/ca';

/** `<namespace>/<name>` of the credential behind a name of `upstreamTlsOf`, and what of it is meant. */
export function credentialOf(name: string): { readonly secret: string; readonly part: 'ca' | 'certificate' } {
  return name.endsWith(ofCa)
    ? { secret: name.slice(0, -ofCa.length), part: 'ca' }
    : { secret: name, part: 'certificate' };
}

/** Bare names of the Secrets that a rule names. */
export function credentialNames(rule: DestinationRule): string[] {
  return credentialUses(rule).map(({ secret }) => secret);
}

export interface CredentialUse {
  readonly secret: string;
  readonly part: 'ca' | 'certificate';
  readonly path: string;
}

export function credentialUses({ spec }: DestinationRule): CredentialUse[] {
  const policies = [
    ['spec.trafficPolicy', spec?.trafficPolicy] as const,
    ...(spec?.subsets ?? []).map((one, index) => [`spec.subsets[${index}].trafficPolicy`, one.trafficPolicy] as const),
  ];
  const blocks = policies.flatMap(([path, policy]) => [
    [`${path}.tls`, policy?.tls] as const,
    ...(policy?.portLevelSettings ?? []).map(
      (one, index) => [`${path}.portLevelSettings[${index}].tls`, one.tls] as const,
    ),
  ]);
  return blocks.flatMap(([path, tls]): CredentialUse[] => {
    if (!tls?.credentialName || (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL')) return [];
    const use = { secret: secretName(tls.credentialName), path: `${path}.credentialName` };
    return [
      ...(tls.insecureSkipVerify ? [] : [{ ...use, part: 'ca' as const }]),
      ...(tls.mode === 'MUTUAL' ? [{ ...use, part: 'certificate' as const }] : []),
    ];
  });
}

export function faultTls(settings: TlsSettings, path: string, problems: RuleProblems): void {
  const { mode, caCertificates, clientCertificate, privateKey, caCrl } = settings;
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL') {
    if (mode === 'ISTIO_MUTUAL' || mode === 'DISABLE')
      problems.note(`${path}.mode`, 'between workloads the mesh decides: it has no effect');
    return;
  }
  const files = 'files of proxies are not read: name a Secret by credentialName';
  if (caCertificates && caCertificates !== 'system')
    problems.fault(`${path}.caCertificates`, 'UnsupportedValue', `${files}; connections fail`);
  if (mode === 'MUTUAL' && (clientCertificate || privateKey))
    problems.fault(`${path}.clientCertificate`, 'UnsupportedValue', `${files}; connections fail`);
  if (caCrl) {
    const instead = 'files of proxies are not read: lists go into ca.crl of the Secret that credentialName names';
    problems.fault(`${path}.caCrl`, 'UnsupportedValue', `${instead}; connections fail`);
  }
}
