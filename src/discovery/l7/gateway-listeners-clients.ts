/** Which clients an HTTPS listener lets in: those with a certificate of the authorities that the Gateway names (GEP-91). Pure. */
import type { Gateway } from '../../api/gateway.ts';
import type { EdgeTls } from '../../api/l7/index.ts';
import type { CertificateScope } from './gateway-listeners-tls.ts';

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
  readonly problem?: ClientCaProblem;
}

/** Undefined: clients are not asked for a certificate on this port. */
export function clientValidation(
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
  const certificates = validation.caCertificateRefs.flatMap((ref) => {
    const found = readRef(ref, scope);
    if (typeof found === 'string') return [found];
    problem ??= found;
    return [];
  });
  const secret = `${metadata.namespace}/${metadata.name}.client-ca${ofPort ? `.${port}` : ''}`;
  return {
    ...(certificates.length > 0
      ? { clientCa: { secret, required: (validation.mode ?? 'AllowValidOnly') === 'AllowValidOnly' } }
      : {}),
    certificates: certificates.map((pem) => `${pem.trimEnd()}\n`).join(''),
    ...(problem ? { problem } : {}),
  };
}

function readRef({ group, kind, name, namespace }: CaRef, scope: CertificateScope): string | ClientCaProblem {
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
  if (found?.kind === 'ca') return found.certificates;
  const message = `${kind} ${of}/${name} ${found ? found.problem : 'does not exist'}`;
  return { reason: 'InvalidCACertificateRef', message };
}
