/** Resources as the admin port shows them: never keys, nor tokens that providers are called with. */
import { createHash, X509Certificate } from 'node:crypto';
import type { JwtRule, Provider, ProxyResource, TlsSecret } from '../../api/l7/index.ts';
import { dumpPem, splitCertificates, type DumpedCertificate } from '../../identity/index.ts';
import { formatCidr } from '../../lib/ip.ts';
import { shownUrl } from '../../lib/shown-url.ts';

const hidden = '[hidden]';

/** A value for JSON. */
export function shownResource(resource: ProxyResource): unknown {
  switch (resource.kind) {
    case 'secret':
      return shownSecret(resource);
    case 'provider':
      return shownProvider(resource);
    case 'authentication':
      return { ...resource, rules: resource.rules.map(shownRule) };
    case 'extension':
      return { ...resource, source: `${resource.source.length} characters`, config: hidden };
    case 'settings':
    case 'listener':
    case 'service':
    case 'routes':
    case 'backend':
    case 'authorization':
    case 'rate-limit':
    case 'telemetry':
      return resource;
  }
}

/** JSON text; blocks of addresses are text. */
export function jsonOf(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_, one: unknown) => (isBlock(one) ? formatCidr(one) : one), indent);
}

export interface ShownSecret {
  readonly kind: 'secret';
  readonly name: string;
  readonly hasPrivateKey: boolean;
  /** Of the certificate chain, leaf first; or why it cannot be read. */
  readonly certificates: readonly ShownCertificate[] | string;
  readonly caCertificates: readonly ShownCertificate[] | string;
}

export interface ShownCertificate extends Omit<DumpedCertificate, 'pem'> {
  readonly subject: string;
  readonly names: string;
}

export function shownSecret({ kind, name, certificateChain, privateKey, caCertificates }: TlsSecret): ShownSecret {
  return {
    kind,
    name,
    hasPrivateKey: privateKey !== undefined,
    certificates: shownChain(certificateChain),
    caCertificates: shownChain(caCertificates),
  };
}

function shownChain(pem: string | undefined): ShownSecret['certificates'] {
  if (pem === undefined) return [];
  try {
    return splitCertificates(pem).map((one) => {
      const { pem: _, ...dumped } = dumpPem(one);
      const { subject, subjectAltName } = new X509Certificate(one);
      return { ...dumped, subject: subject?.replaceAll('\n', ', ') ?? '', names: subjectAltName ?? '' };
    });
  } catch {
    return 'it cannot be read';
  }
}

function shownProvider(provider: Provider): unknown {
  const { use } = provider;
  if ('headers' in use) return { ...provider, use: { ...use, headers: use.headers.map(([name]) => [name, hidden]) } };
  if (!('addHeaders' in use)) return provider;
  return { ...provider, use: { ...use, addHeaders: use.addHeaders.map(([name]) => [name, hidden]) } };
}

function shownRule(rule: JwtRule): unknown {
  const { keys, keySet } = rule;
  return { ...rule, keys: shownKeys(keys), ...(keySet === undefined ? {} : { keySet: shownUrl(keySet) }) };
}

/** Names of keys alone: a set may hold symmetric ones. */
function shownKeys(keys: JwtRule['keys']): unknown {
  if (keys.kind === 'unavailable') return keys;
  const sha256 = createHash('sha256').update(keys.json).digest('hex');
  try {
    const { keys: set } = JSON.parse(keys.json) as { keys: Record<string, unknown>[] };
    return { kind: 'jwks', sha256, keys: set.map(({ kid, kty, alg, use }) => ({ kid, kty, alg, use })) };
  } catch {
    return { kind: 'jwks', sha256, keys: 'they cannot be read' };
  }
}

function isBlock(value: unknown): value is Parameters<typeof formatCidr>[0] {
  return typeof value === 'object' && value !== null && 'address' in value && value.address instanceof Uint8Array;
}
