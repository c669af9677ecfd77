/** ServiceAccount tokens: signed JWTs with the claims of Kubernetes, bound to a ServiceAccount and possibly to a Pod. */
import { createPublicKey, randomUUID, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, errors, exportJWK, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import type { KubeObject } from '../../api/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { authenticatedGroup, serviceAccountUsername, type User } from './user.ts';

export const tokenIssuer = 'https://kubernetes.default.svc.cluster.local';

interface ObjectIdentity {
  readonly name: string;
  readonly uid: string;
}

/** The private claim `kubernetes.io`. */
interface KubernetesClaim {
  readonly namespace: string;
  readonly serviceaccount: ObjectIdentity;
  readonly pod?: ObjectIdentity;
  readonly node?: ObjectIdentity;
}

export interface TokenSpec extends KubernetesClaim {
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
}

export interface ServiceAccountTokensOptions {
  readonly key: KeyObject;
  readonly clock: Clock;
  /** Finds live objects, to check what a token is bound to. */
  readonly find: (kind: 'Pod' | 'ServiceAccount', namespace: string, name: string) => KubeObject | undefined;
}

export interface VerifiedToken {
  readonly user: User;
  /** The token's audiences that were asked for. */
  readonly audiences: readonly string[];
}

export interface ServiceAccountTokens {
  sign(spec: TokenSpec): Promise<{ token: string; expiresAtMs: number }>;
  /**
   * Checks signature, issuer, times, audience, and that the bound objects live with the same uid.
   * Throws `apiserver.invalid-token` with the reason.
   */
  verify(token: string, audiences: readonly string[]): Promise<VerifiedToken>;
}

const maxVerifiedTokens = 2048;

export async function createServiceAccountTokens(options: ServiceAccountTokensOptions): Promise<ServiceAccountTokens> {
  const { key, clock, find } = options;
  const publicKey = createPublicKey(key);
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
  /** Payloads whose signature was right: the signature is the expensive part, all else is checked each time. */
  const verified = new Map<string, JWTPayload>();

  return {
    async sign(spec) {
      const now = Math.floor(clock.nowMs() / 1000);
      const exp = now + spec.expirationSeconds;
      const { audiences, expirationSeconds: _, ...claim } = spec;
      const token = await new SignJWT({ 'kubernetes.io': claim })
        .setProtectedHeader({ alg: 'ES256', kid })
        .setIssuer(tokenIssuer)
        .setSubject(serviceAccountUsername(spec.namespace, spec.serviceaccount.name))
        .setAudience([...audiences])
        .setIssuedAt(now)
        .setNotBefore(now)
        .setExpirationTime(exp)
        .setJti(randomUUID())
        .sign(key);
      return { token, expiresAtMs: exp * 1000 };
    },

    async verify(token, audiences) {
      const payload = verified.get(token) ?? (await checkSignature(token, publicKey, clock));
      if (!verified.has(token)) {
        if (verified.size >= maxVerifiedTokens) verified.delete(verified.keys().next().value ?? '');
        verified.set(token, payload);
      }
      if ((payload.exp ?? 0) * 1000 <= clock.nowMs()) throw invalidToken('token has expired');
      const own = typeof payload.aud === 'string' ? [payload.aud] : (payload.aud ?? []);
      const matching = own.filter((audience) => audiences.includes(audience));
      if (matching.length === 0) {
        throw invalidToken(
          `token audiences ${JSON.stringify(own)} is invalid for the target audiences ${JSON.stringify(audiences)}`,
        );
      }
      const claim = payload['kubernetes.io'] as KubernetesClaim | undefined;
      if (claim === undefined) throw invalidToken('the claim kubernetes.io is missing');
      checkLive('ServiceAccount', claim.namespace, claim.serviceaccount, find);
      if (claim.pod) checkLive('Pod', claim.namespace, claim.pod, find);
      return { user: userOf(claim, payload.jti), audiences: matching };
    },
  };
}

async function checkSignature(token: string, publicKey: KeyObject, clock: Clock): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, publicKey, {
      algorithms: ['ES256'],
      issuer: tokenIssuer,
      currentDate: new Date(clock.nowMs()),
      requiredClaims: ['exp', 'sub', 'aud'],
    });
    return payload;
  } catch (error) {
    throw invalidToken(error instanceof errors.JOSEError ? error.message : messageOf(error));
  }
}

function checkLive(
  kind: 'Pod' | 'ServiceAccount',
  namespace: string,
  bound: ObjectIdentity,
  find: ServiceAccountTokensOptions['find'],
): void {
  const object = find(kind, namespace, bound.name);
  if (object?.metadata.uid !== bound.uid)
    throw invalidToken(`${kind} ${namespace}/${bound.name} with uid ${bound.uid} is gone`);
}

function userOf(claim: KubernetesClaim, jti: string | undefined): User {
  return {
    username: serviceAccountUsername(claim.namespace, claim.serviceaccount.name),
    uid: claim.serviceaccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${claim.namespace}`, authenticatedGroup],
    extra: {
      ...(jti !== undefined && { 'authentication.kubernetes.io/credential-id': [`JTI=${jti}`] }),
      ...(claim.pod && {
        'authentication.kubernetes.io/pod-name': [claim.pod.name],
        'authentication.kubernetes.io/pod-uid': [claim.pod.uid],
      }),
      ...(claim.node && {
        'authentication.kubernetes.io/node-name': [claim.node.name],
        'authentication.kubernetes.io/node-uid': [claim.node.uid],
      }),
    },
  };
}

function invalidToken(reason: string): AmbitError {
  return new AmbitError(reason, { code: 'apiserver.invalid-token', blame: 'downstream' });
}
