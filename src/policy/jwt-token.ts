/** A JSON Web Token in compact form (RFC 7515, 7.1; RFC 7519), taken apart strictly. Nothing of it is trusted yet. */

export interface ParsedJwt {
  readonly algorithm: string;
  /** "": none. */
  readonly keyId: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** As in the token: base64url. */
  readonly payload: string;
  /** Bytes that the signature is of. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** Longer ones are no tokens: a header that carries one would hardly pass. */
const maxLength = 16 * 1024;

/** What is wrong, in words, where it is no token. */
export function parseJwt(text: string): ParsedJwt | { readonly problem: string } {
  if (text.length > maxLength) return { problem: `it has more than ${maxLength} characters` };
  const [head = '', payload = '', signature = '', ...more] = text.split('.');
  if (more.length > 0 || !isBase64Url(head) || !isBase64Url(payload) || !isBase64Url(signature)) {
    return { problem: 'it does not consist of three parts in base64url' };
  }
  const header = parseObject(head);
  const claims = parseObject(payload);
  if (!header) return { problem: 'its header is no JSON object' };
  if (!claims) return { problem: 'its payload is no JSON object' };
  // RFC 7515, 4.1.11: who does not know an extension that is critical has to refuse. We know none.
  if ('crit' in header) return { problem: 'its header asks for extensions' };
  const { alg, kid } = header;
  if (typeof alg !== 'string') return { problem: 'its header names no algorithm' };
  return {
    algorithm: alg,
    keyId: typeof kid === 'string' ? kid : '',
    claims,
    payload,
    signed: Buffer.from(`${head}.${payload}`, 'latin1'),
    signature: Buffer.from(signature, 'base64url'),
  };
}

function isBase64Url(text: string): boolean {
  return /^[A-Za-z0-9_-]+$/.test(text) && text.length % 4 !== 1;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'base64url')));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
