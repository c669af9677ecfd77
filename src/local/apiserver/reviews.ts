/** Reviews: questions to the API server that store nothing (TokenReview, SelfSubjectAccessReview, ...). */
import { messageOf } from '../../lib/errors.ts';
import type { ResourceAttributes } from './authorization.ts';
import { isJsonObject, type JsonObject } from './merge-patch.ts';
import { timestamp } from './object-rules.ts';
import type { RbacAuthorizer } from './rbac/authorizer.ts';
import { rulesReview } from './rbac/rules-review.ts';
import { tokenIssuer, type ServiceAccountTokens } from './service-account-tokens.ts';
import type { StaticTokens } from './static-tokens.ts';
import type { User } from './user.ts';

export interface ReviewContext {
  readonly authorizer: RbacAuthorizer;
  readonly serviceAccountTokens: ServiceAccountTokens;
  readonly staticTokens: StaticTokens;
}

export interface Review {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  /** Default false. */
  readonly namespaced?: boolean;
  /** The review with its status filled in. */
  answer(context: ReviewContext, user: User, review: JsonObject, nowMs: number): Promise<JsonObject>;
}

/** All are `v1`, and can only be created. */
export const reviews: readonly Review[] = [
  { group: 'authentication.k8s.io', kind: 'TokenReview', plural: 'tokenreviews', answer: reviewToken },
  {
    group: 'authentication.k8s.io',
    kind: 'SelfSubjectReview',
    plural: 'selfsubjectreviews',
    answer: async (_, user, review, nowMs) => ({
      ...review,
      metadata: { creationTimestamp: timestamp(nowMs) },
      status: { userInfo: userInfo(user) },
    }),
  },
  {
    group: 'authorization.k8s.io',
    kind: 'SelfSubjectAccessReview',
    plural: 'selfsubjectaccessreviews',
    answer: async (context, user, review) => ({ ...review, status: accessOf(context, user, specOf(review)) }),
  },
  {
    group: 'authorization.k8s.io',
    kind: 'SubjectAccessReview',
    plural: 'subjectaccessreviews',
    answer: async (context, _, review) => ({ ...review, status: accessOfSubject(context, specOf(review)) }),
  },
  {
    group: 'authorization.k8s.io',
    kind: 'LocalSubjectAccessReview',
    plural: 'localsubjectaccessreviews',
    namespaced: true,
    answer: async (context, _, review) => ({ ...review, status: accessOfSubject(context, specOf(review)) }),
  },
  {
    group: 'authorization.k8s.io',
    kind: 'SelfSubjectRulesReview',
    plural: 'selfsubjectrulesreviews',
    answer: async (context, user, review) => {
      const namespace = textOf(specOf(review)['namespace']);
      return { ...review, status: rulesReview(context.authorizer.rulesOf(user, namespace)) };
    },
  },
];

async function reviewToken(context: ReviewContext, _: User, review: JsonObject): Promise<JsonObject> {
  const spec = specOf(review);
  const token = textOf(spec['token']);
  const wanted = Array.isArray(spec['audiences'])
    ? spec['audiences'].filter((audience) => typeof audience === 'string')
    : [];
  const audiences = wanted.length > 0 ? wanted : [tokenIssuer];
  // A review that is answered or logged must not hand the token on.
  const echoed = { ...review, spec: { ...(wanted.length > 0 && { audiences: wanted }) } };
  const staticUser = audiences.includes(tokenIssuer) ? context.staticTokens.find(token) : undefined;
  if (staticUser)
    return { ...echoed, status: { authenticated: true, user: userInfo(staticUser), audiences: [tokenIssuer] } };
  try {
    const verified = await context.serviceAccountTokens.verify(token, audiences);
    return {
      ...echoed,
      status: { authenticated: true, user: userInfo(verified.user), audiences: [...verified.audiences] },
    };
  } catch (error) {
    return { ...echoed, status: { authenticated: false, error: `[invalid bearer token, ${messageOf(error)}]` } };
  }
}

function accessOfSubject(context: ReviewContext, spec: JsonObject): JsonObject {
  const groups = Array.isArray(spec['groups']) ? spec['groups'].filter((group) => typeof group === 'string') : [];
  return accessOf(context, { username: textOf(spec['user']), groups }, spec);
}

function accessOf({ authorizer }: ReviewContext, user: User, spec: JsonObject): JsonObject {
  const resource = spec['resourceAttributes'];
  const path = spec['nonResourceAttributes'];
  if (isJsonObject(resource)) {
    const attributes: ResourceAttributes = {
      verb: textOf(resource['verb']),
      group: textOf(resource['group']),
      resource: textOf(resource['resource']),
      subresource: textOf(resource['subresource']),
      namespace: textOf(resource['namespace']),
      name: textOf(resource['name']),
    };
    return { allowed: authorizer.isAllowed(user, attributes) };
  }
  return {
    allowed: isJsonObject(path) && authorizer.isPathAllowed(user, textOf(path['verb']), textOf(path['path'])),
  };
}

function userInfo(user: User): JsonObject {
  const extra = Object.entries(user.extra ?? {}).map(([key, values]): [string, string[]] => [key, [...values]]);
  return {
    username: user.username,
    ...(user.uid !== undefined && { uid: user.uid }),
    groups: [...user.groups],
    ...(extra.length > 0 && { extra: Object.fromEntries(extra) }),
  };
}

function specOf(review: JsonObject): JsonObject {
  return isJsonObject(review['spec']) ? review['spec'] : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
