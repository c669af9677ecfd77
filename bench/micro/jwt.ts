/** `node bench/micro/jwt.ts`: microseconds of CPU of a request's token: verified for the first time, and known already. Medians of several rounds. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { exportJWK, SignJWT } from 'jose';
import type { JwtRule, RequestAuthentication } from '../../src/api/l7/index.ts';
import { compileJwtRule } from '../../src/policy/jwt-rule.ts';
import { placeFor, runFor } from '../../src/proxy/filters/filter-fixtures.ts';
import { authenticationFilter } from '../../src/proxy/filters/authentication/filter.ts';

const rounds = 11;
const claims = { iss: 'https://issuer.example', sub: 'alice', aud: ['shop'], groups: ['dev', 'ops'], scope: 'a b c' };
const nowMs = Date.now();

await measureAlgorithm('RS256', generateKeyPairSync('rsa', { modulusLength: 2048 }));
await measureAlgorithm('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }));
await measureAlgorithm('EdDSA', generateKeyPairSync('ed25519'));

async function measureAlgorithm(
  alg: string,
  { publicKey, privateKey }: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
): Promise<void> {
  const rule: JwtRule = {
    issuer: claims.iss,
    audiences: ['shop'],
    keys: { kind: 'jwks', json: JSON.stringify({ keys: [await exportJWK(publicKey)] }) },
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    outputClaimToHeaders: [{ header: 'x-user', claim: ['sub'] }],
    forwardOriginalToken: true,
    spaceDelimitedClaims: [],
  };
  const token = await new SignJWT(claims).setProtectedHeader({ alg }).sign(privateKey);
  const compiled = compileJwtRule(rule);
  measure(`${alg}, verified`, 500, () => compiled.verify(token, nowMs).kind === 'verified');

  const origin = { kind: 'RequestAuthentication', namespace: 'shop', name: 'jwt', generation: 1 };
  const policy: RequestAuthentication = { kind: 'authentication', name: 'shop/jwt', origin, rules: [rule] };
  const filter = authenticationFilter.build(placeFor({ authentication: [policy] }));
  const run = runFor({ headers: ['accept', '*/*', 'authorization', `Bearer ${token}`] });
  measure(`${alg}, known, through the filter`, 20_000, () => filter?.onRequest?.(run) === undefined);
}

function measure(name: string, count: number, work: () => boolean): void {
  const perCall: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) if (!work()) throw new Error(`Cannot measure ${name}: the token was refused`);
    const { user, system } = process.cpuUsage(before);
    if (round >= 0) perCall.push((user + system) / count);
  }
  const median = perCall.toSorted((a, b) => a - b)[rounds >> 1] ?? 0;
  console.log(`${name.padEnd(40)} ${median.toFixed(2)} us`);
}
