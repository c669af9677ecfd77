/** How a listener ends TLS: its certificates, from Secrets that it may name, and its options (ambient-l7, 2.3). Pure. */
import { getCiphers } from 'node:tls';
import type { Gateway } from '../../api/gateway.ts';
import type { EdgeTls } from '../../api/l7/index.ts';
import type { ReferenceFrom, ReferenceTo } from './reference-grant.ts';
import type { CaCertificates, Certificate, Revocations, Unusable } from './secrets.ts';
import type { ServedCertificate } from './served-certificate.ts';

type GatewayListener = Gateway['spec']['listeners'][number];
type CertificateRef = NonNullable<NonNullable<GatewayListener['tls']>['certificateRefs']>[number];

export interface CertificateScope {
  /** Of the Gateway. */
  readonly from: ReferenceFrom;
  readonly isGranted: (from: ReferenceFrom, namespace: string, to: ReferenceTo) => boolean;
  /** What serves of the Secret; undefined: it does not exist. */
  readonly certificate: (namespace: string, name: string) => ServedCertificate | undefined;
  /** CA certificates; undefined: the object does not exist. */
  readonly ca: (kind: 'ConfigMap' | 'Secret', namespace: string, name: string) => CaCertificates | Unusable | undefined;
  /** Revocation lists beside them; undefined: there are none. */
  readonly revocations: (
    kind: 'ConfigMap' | 'Secret',
    namespace: string,
    name: string,
  ) => Revocations | Unusable | undefined;
  /** The last lists of the object that could be used, if it had any. */
  readonly lastRevocations: (kind: 'ConfigMap' | 'Secret', namespace: string, name: string) => Revocations | undefined;
}

export interface ListenerTls {
  readonly tls?: EdgeTls;
  /** The first fault, for the condition `ResolvedRefs`. */
  readonly problem?: { readonly reason: 'InvalidCertificateRef' | 'RefNotPermitted'; readonly message: string };
  /** What is asked for and cannot be done, in words: the listener is not accepted. */
  readonly refusal?: string;
  /** Without a certificate nothing can be served. */
  readonly isBroken: boolean;
  /** It is broken, and `tls` is for proxies that hold the last good certificate of a Secret. */
  readonly isKept?: true;
}

const maxCertificates = 2;

export function listenerTls(listener: GatewayListener, scope: CertificateScope): ListenerTls {
  const { protocol, tls } = listener;
  if (protocol !== 'HTTPS' && protocol !== 'TLS') return { isBroken: false };
  const refusal = optionProblem(tls?.options);
  if (refusal !== undefined) return { refusal, isBroken: true };
  const options = { ...versions(tls?.options), cipherSuites: ciphers(tls?.options) };
  if (protocol === 'TLS' && tls?.mode === 'Passthrough') {
    return { tls: { mode: 'passthrough', certificates: [], ...options }, isBroken: false };
  }
  const refs = tls?.certificateRefs ?? [];
  const certificates: string[] = [];
  const kept: string[] = [];
  const keyTypes = new Set<string>();
  let problem: ListenerTls['problem'];
  for (const ref of refs) {
    const resolved = resolveCertificate(ref, scope);
    if (resolved.problem) problem ??= resolved.problem;
    if (resolved.keeps !== undefined) kept.push(resolved.keeps);
    if (resolved.certificate === undefined) continue;
    const { name, keyType } = resolved.certificate;
    if (keyTypes.has(keyType) || certificates.length === maxCertificates) {
      problem ??= {
        reason: 'InvalidCertificateRef',
        message: `Secret ${name} is a second ${keyType.toUpperCase()} certificate: there may be one of each kind`,
      };
      continue;
    }
    keyTypes.add(keyType);
    certificates.push(name);
  }
  if (refs.length === 0) problem = { reason: 'InvalidCertificateRef', message: 'no certificate is named' };
  const isBroken = certificates.length === 0;
  const named = isBroken ? kept.slice(0, maxCertificates) : certificates;
  return {
    ...(named.length > 0 ? { tls: { mode: 'terminate', certificates: named, ...options } } : {}),
    ...(problem ? { problem } : {}),
    isBroken,
    ...(isBroken && named.length > 0 ? { isKept: true } : {}),
  };
}

interface ResolvedCertificate {
  readonly certificate?: { readonly name: string; readonly keyType: Certificate['keyType'] };
  /** Name of a Secret of which only proxies may hold something. */
  readonly keeps?: string;
  readonly problem?: NonNullable<ListenerTls['problem']>;
}

function resolveCertificate(ref: CertificateRef, scope: CertificateScope): ResolvedCertificate {
  const { group = '', kind = 'Secret', name, namespace = scope.from.namespace } = ref;
  const full = `${namespace}/${name}`;
  if (group !== '' || kind !== 'Secret') {
    return { problem: { reason: 'InvalidCertificateRef', message: `a certificate is a Secret, not a ${kind}` } };
  }
  // Before existence: who may not name it does not learn whether it is there.
  if (namespace !== scope.from.namespace && !scope.isGranted(scope.from, namespace, { group, kind, name })) {
    const message = `Secret ${full} is in another namespace, where no ReferenceGrant allows to name it`;
    return { problem: { reason: 'RefNotPermitted', message } };
  }
  const served = scope.certificate(namespace, name);
  if (!served) return { problem: invalid(`Secret ${full} does not exist`) };
  const { certificate, problem, keepsLast } = served;
  return {
    ...(certificate ? { certificate: { name: full, keyType: certificate.keyType } } : {}),
    ...(!certificate && keepsLast ? { keeps: full } : {}),
    ...(problem === undefined ? {} : { problem: invalid(`Secret ${full} ${problem}`) }),
  };
}

function invalid(message: string): NonNullable<ListenerTls['problem']> {
  return { reason: 'InvalidCertificateRef', message };
}

const minVersionOption = 'gateway.ambit.dev/tls-min-version';
const ciphersOption = 'gateway.istio.io/tls-cipher-suites';
/** Whether clients must, or may, show certificates of the authorities in the listener's own Secret. */
export const modeOption = 'gateway.istio.io/tls-terminate-mode';
const modes: ReadonlySet<string> = new Set(['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL']);

function versions(options: Readonly<Record<string, string>> = {}): Pick<EdgeTls, 'minVersion'> {
  return { minVersion: options[minVersionOption] === '1.3' ? 'TLSv1.3' : 'TLSv1.2' };
}

function ciphers(options: Readonly<Record<string, string>> = {}): string[] {
  return (options[ciphersOption] ?? '')
    .split(',')
    .map((suite) => suite.trim())
    .filter((suite) => suite !== '');
}

/** An option is never passed over: a listener that is open to more than was asked for is worse than none. */
function optionProblem(options: Readonly<Record<string, string>> = {}): string | undefined {
  const version = options[minVersionOption] ?? '1.2';
  if (version !== '1.2' && version !== '1.3') return `option ${minVersionOption} is 1.2 or 1.3`;
  const known = getCiphers();
  const unknown = ciphers(options).find((suite) => !known.includes(suite.toLowerCase()));
  if (unknown !== undefined) return `option ${ciphersOption} names ${JSON.stringify(unknown)}, which is not known`;
  const mode = options[modeOption];
  if (mode !== undefined && !modes.has(mode)) return `option ${modeOption}: ${mode} is not supported`;
  return undefined;
}
