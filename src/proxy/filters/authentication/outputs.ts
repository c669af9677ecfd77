/** What backends are told of a verified token, in headers that nobody else can set. */
import type { JwtRule } from '../../../api/l7/index.ts';
import type { RequestHead } from '../../../http/message.ts';
import type { VerifiedJwt } from '../../../policy/jwt-rule.ts';

/** Names, in lower case, of the headers that rules give out. A client's own are removed, with a token or without. */
export function outputHeaders(rules: readonly JwtRule[]): string[] {
  const names = rules.flatMap(({ outputPayloadToHeader, outputClaimToHeaders }) => [
    ...(outputPayloadToHeader === undefined ? [] : [outputPayloadToHeader]),
    ...outputClaimToHeaders.map(({ header }) => header),
  ]);
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

export function writeOutputs(request: RequestHead, rule: JwtRule, token: VerifiedJwt): void {
  const { outputPayloadToHeader, outputClaimToHeaders } = rule;
  if (outputPayloadToHeader !== undefined) request.headers.set(outputPayloadToHeader.toLowerCase(), token.payload);
  for (const { header, claim } of outputClaimToHeaders) {
    const value = headerValue(claimAt(token.written, claim));
    if (value !== undefined) request.headers.set(header.toLowerCase(), value);
  }
}

function claimAt(claims: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

/** Text as it is; lists and objects as base64url of JSON. Undefined: nothing, or what a header cannot hold. */
function headerValue(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'object') return Buffer.from(JSON.stringify(value)).toString('base64url');
  if (typeof value !== 'string')
    return typeof value === 'number' || typeof value === 'boolean' ? `${value}` : undefined;
  // Fields are bytes: others than ASCII go as UTF-8. Control characters could begin another field.
  return /\p{Cc}/u.test(value) ? undefined : Buffer.from(value, 'utf8').toString('latin1').trim();
}
