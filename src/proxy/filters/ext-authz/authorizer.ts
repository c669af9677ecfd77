/** An external authorizer, whatever it speaks: what it is asked, and what it may answer. */
import type { Backend, Provider, ProviderUse } from '../../../api/l7/index.ts';
import type { Call } from '../../../http/call.ts';
import type { HeaderList } from '../../../http/header-list.ts';
import type { HeaderMutation } from '../../../wire/ext-authz.ts';
import type { FilterPlace } from '../../engine/filter.ts';
import type { DownstreamConnection, HttpRun } from '../../engine/http-run.ts';
import { createGrpcAuthorizer } from './grpc-authorizer.ts';
import { createHttpAuthorizer } from './http-authorizer.ts';

export type AuthorizerUse = Extract<ProviderUse, { readonly kind: 'ext-authz-http' | 'ext-authz-grpc' }>;

/** The body of a request as far as it was read; `partial`: there is more. */
export interface CheckedBody {
  readonly bytes: Uint8Array;
  readonly partial: boolean;
}

/** What an authorizer is told of. */
export type CheckedRequest = Pick<HttpRun, 'connection' | 'request' | 'remoteAddress' | 'requestId' | 'times'>;

export interface Authorizer {
  readonly name: string;
  /** Of who is asked: it changes when the provider is led to another service. */
  readonly id: string;
  readonly use: AuthorizerUse;
  /** The answer does not reject: what goes wrong is `failed`. */
  ask(run: CheckedRequest, body: CheckedBody | undefined): Call<AuthorizerAnswer>;
  /** About a connection that is no HTTP; absent: it can be asked about requests alone. Answers as `ask` does. */
  readonly askConnection?: (connection: DownstreamConnection) => Call<AuthorizerAnswer>;
}

export type AuthorizerAnswer =
  | {
      readonly kind: 'allowed';
      readonly requestHeaders: readonly HeaderMutation[];
      readonly requestHeadersToRemove: readonly string[];
      readonly responseHeaders: readonly HeaderMutation[];
      readonly query?: {
        readonly set: readonly (readonly [name: string, value: string])[];
        readonly remove: readonly string[];
      };
    }
  | {
      readonly kind: 'denied';
      readonly status: number;
      readonly headers: HeaderList;
      readonly body: string | Uint8Array;
      /** For people. */
      readonly message: string;
    }
  | { readonly kind: 'failed'; readonly message: string };

/** The authorizer of that name; or why there is none, in words. */
export function authorizerOf(
  { snapshot, services }: FilterPlace,
  providerName: string | undefined,
): Authorizer | { readonly missing: string } {
  if (providerName === undefined) return { missing: 'it names no provider' };
  const provider: Provider | undefined = snapshot.providers.get(providerName);
  if (!provider) return { missing: `there is no provider "${providerName}"` };
  const { use } = provider;
  if (use.kind !== 'ext-authz-http' && use.kind !== 'ext-authz-grpc') {
    return { missing: `provider "${providerName}" is no external authorizer` };
  }
  const backend = provider.backend === undefined ? undefined : snapshot.backends.get(provider.backend);
  if (!backend) return { missing: `the service of provider "${providerName}" is not known` };
  const options = { name: providerName, use, backend, services };
  return use.kind === 'ext-authz-grpc' ? createGrpcAuthorizer(options) : createHttpAuthorizer(options);
}

export interface AuthorizerOptions {
  readonly name: string;
  readonly use: AuthorizerUse;
  readonly backend: Backend;
  readonly services: FilterPlace['services'];
}
