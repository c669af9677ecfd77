/**
 * Which clients a listener lets in: those with a certificate of the authorities that the Gateway names for HTTPS (GEP-91), or, by
 * Istio's option, of those in the Secret of the listener's own certificate. Pure.
 */
import type { Gateway } from '../../api/gateway.ts';
import type { EdgeTls } from '../../api/l7/index.ts';
import { listsInForce } from './authority-lists.ts';
import { modeOption, type CertificateScope } from './gateway-listeners-tls.ts';

type Frontend = NonNullable<NonNullable<Gateway['spec']['tls']>['frontend']>['default'];
type CaRef = NonNullable<Frontend['validation']>['caCertificateRefs'][number];

/** What is wrong with the references to authorities: reasons of the listener's condition `ResolvedRefs`. */
export interface ClientCaProblem {
  readonly reason: 'InvalidCACertificateRef' | 'InvalidCACertificateKind' | 'RefNotPermitted';
  readonly message: string;
}

export interface ClientValidation {
  /** Absent: no authority is left, and nobody may be let in. */
  readonly clientCa?: NonNullable<EdgeTls['clientCa']>;
  /** PEM of the secret that `clientCa` names. */
  readonly certificates: string;
  /** PEM of the lists that come with them; "": none. */
  readonly revocations: string;
  readonly problem?: ClientCaProblem;
}

/** An authority: its certificates, and whose it revoked. */
interface ClientCa {
  readonly kind: 'ca';
  readonly certificates: string;
  readonly revocations: string;
  /** Lists cannot be used: the last good ones are here. */
  readonly problem?: ClientCaProblem;
}

/** Undefined: clients are not asked for a certificate. */
export function clientValidation(
  gateway: Gateway,
  listener: Gateway['spec']['listeners'][number],
  scope: CertificateScope,
): ClientValidation | undefined {
  const { protocol, port } = listener;
  const ofFrontend = protocol === 'HTTPS' ? frontendValidation(gateway, port, scope) : undefined;
  return ofFrontend ?? optionValidation(gateway, listener, scope);
}

/** `ca.crt` of the first certificate's Secret, or of the Secret of the same name with `-cacert`. */
function optionValidation(
  { metadata }: Gateway,
  { name, tls }: Gateway['spec']['listeners'][number],
  scope: CertificateScope,
): ClientValidation | undefined {
  const mode = tls?.options?.[modeOption];
  if (mode !== 'MUTUAL' && mode !== 'OPTIONAL_MUTUAL') return undefined;
  const [ref] = tls?.certificateRefs ?? [];
  if (!ref) return { certificates: '', revocations: '' };
  const { namespace } = ref;
  const secret = { group: '', kind: 'Secret', ...(namespace === undefined ? {} : { namespace }) };
  const own = readRef({ ...secret, name: ref.name }, scope);
  const hasOwn = scope.ca('Secret', namespace ?? scope.from.namespace, ref.name)?.kind === 'ca';
  const found = hasOwn ? own : readRef({ ...secret, name: `${ref.name}-cacert` }, scope);
  if (!('kind' in found)) return { certificates: '', revocations: '', problem: found };
  const required = mode === 'MUTUAL';
  return {
    clientCa: { secret: `${metadata.namespace}/${metadata.name}.client-ca.${name}`, required },
    certificates: found.certificates,
    revocations: found.revocations,
    ...(found.problem ? { problem: found.problem } : {}),
  };
}

function frontendValidation(
  { metadata, spec }: Gateway,
  port: number,
  scope: CertificateScope,
): ClientValidation | undefined {
  const { frontend } = spec.tls ?? {};
  if (!frontend) return undefined;
  const ofPort = frontend.perPort?.find((one) => one.port === port);
  const { validation } = ofPort ? ofPort.tls : frontend.default;
  if (!validation) return undefined;
  let problem: ClientCaProblem | undefined;
  const authorities = validation.caCertificateRefs.flatMap((ref) => {
    const found = readRef(ref, scope);
    const isThere = 'kind' in found;
    problem ??= isThere ? found.problem : found;
    return isThere ? [found] : [];
  });
  const secret = `${metadata.namespace}/${metadata.name}.client-ca${ofPort ? `.${port}` : ''}`;
  return {
    ...(authorities.length > 0
      ? { clientCa: { secret, required: (validation.mode ?? 'AllowValidOnly') === 'AllowValidOnly' } }
      : {}),
    certificates: authorities.map(({ certificates }) => certificates).join(''),
    revocations: authorities.map(({ revocations }) => revocations).join(''),
    ...(problem ? { problem } : {}),
  };
}

function readRef({ group, kind, name, namespace }: CaRef, scope: CertificateScope): ClientCa | ClientCaProblem {
  const { from } = scope;
  const of = namespace ?? from.namespace;
  if (group !== '' || (kind !== 'ConfigMap' && kind !== 'Secret')) {
    const message = `CA certificates are in a ConfigMap or a Secret, not in a ${kind}`;
    return { reason: 'InvalidCACertificateKind', message };
  }
  // Before existence: who may not name it does not learn whether it is there.
  if (of !== from.namespace && !scope.isGranted(from, of, { group, kind, name })) {
    const message = `${kind} ${of}/${name} is in another namespace, where no ReferenceGrant allows to name it`;
    return { reason: 'RefNotPermitted', message };
  }
  const found = scope.ca(kind, of, name);
  if (found?.kind !== 'ca') {
    return invalid(`${kind} ${of}/${name} ${found ? found.problem : 'does not exist'}`);
  }
  const certificates = `${found.certificates.trimEnd()}\n`;
  const lists = listsInForce(scope.revocations(kind, of, name), () => scope.lastRevocations(kind, of, name));
  const problem = lists.problem === undefined ? undefined : invalid(`${kind} ${of}/${name} ${lists.problem}`);
  if (lists.pem === undefined && problem) return problem;
  return { kind: 'ca', certificates, revocations: lists.pem ?? '', ...(problem ? { problem } : {}) };
}

function invalid(message: string): ClientCaProblem {
  return { reason: 'InvalidCACertificateRef', message };
}
