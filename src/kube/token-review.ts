/** What a TokenReview found, read so that doubt authenticates nobody. */
import type { TokenReviewResult } from './client.ts';

export interface TokenReviewAnswer {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly error?: string;
    readonly audiences?: readonly string[];
    readonly user?: {
      readonly username?: string;
      readonly groups?: readonly string[];
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

/** Fails closed: an answer without user, or for other audiences than asked, authenticates nobody. */
export function readTokenReview(answer: TokenReviewAnswer, wanted: readonly string[]): TokenReviewResult {
  const { authenticated, error, audiences = [], user } = answer.status ?? {};
  if (authenticated !== true || !user?.username)
    return { authenticated: false, reason: error ?? 'the token is not valid' };
  if (wanted.length > 0 && !wanted.some((audience) => audiences.includes(audience))) {
    return {
      authenticated: false,
      reason: `the token is not for audience ${wanted.map((a) => `"${a}"`).join(' or ')}`,
    };
  }
  const name = user.extra?.['authentication.kubernetes.io/pod-name']?.[0];
  const uid = user.extra?.['authentication.kubernetes.io/pod-uid']?.[0];
  return {
    authenticated: true,
    username: user.username,
    groups: user.groups ?? [],
    audiences,
    ...(name && uid ? { pod: { name, uid } } : {}),
  };
}
