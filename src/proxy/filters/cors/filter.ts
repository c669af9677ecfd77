/** Cross-origin requests as a route allows them (Fetch standard, "CORS protocol"): preflights answered, answers marked. */
import type { CorsPolicy } from '../../../api/l7/index.ts';
import { HeaderList } from '../../../http/header-list.ts';
import { compileText, type TextTest } from '../../../policy/text-match.ts';
import type { FilterKind, LocalReply } from '../../engine/filter.ts';
import { requestedMethod } from './preflight.ts';

const name = 'cors';

export const corsFilter: FilterKind = {
  name,
  reads: [],
  build() {
    const origins = new WeakMap<CorsPolicy, TextTest>();
    const isAllowed = (cors: CorsPolicy, origin: string): boolean => {
      let test = origins.get(cors);
      if (!test) origins.set(cors, (test = compileOrigins(cors)));
      return test(origin);
    };
    return {
      name,
      onRequest({ route, request }) {
        const cors = route?.cors;
        const origin = cors && request.headers.get('origin');
        if (!cors || origin === undefined) return undefined;
        const method = requestedMethod(request);
        if (isAllowed(cors, origin)) return method === undefined ? undefined : preflight(cors, request.headers, method);
        // The browser keeps the page from the answer, which has no mark. A preflight may be the application's to answer.
        return method !== undefined && cors.unmatchedPreflights === 'ignore' ? unmarked : undefined;
      },
      onResponse({ route, request }, { headers }) {
        const cors = route?.cors;
        if (!cors) return;
        // What is cached for one origin is not for another; nor is an answer to nobody in particular.
        addToken(headers, 'vary', 'origin');
        const origin = request.headers.get('origin');
        if (origin === undefined || !isAllowed(cors, origin)) return;
        headers.set('access-control-allow-origin', origin);
        if (cors.allowCredentials) headers.set('access-control-allow-credentials', 'true');
        if (cors.exposeHeaders.length > 0) headers.set('access-control-expose-headers', exposed(cors, headers));
      },
    };
  },
};

const unmarked: LocalReply = {
  status: 200,
  flag: '',
  details: 'cors_response',
  reason: 'the route allows no cross-origin requests from this origin',
};

/** Origin and credentials are added as to all answers. */
function preflight(cors: CorsPolicy, requested: HeaderList, method: string): LocalReply {
  const headers = new HeaderList();
  const { allowMethods, allowHeaders, maxAgeSeconds } = cors;
  if (allowMethods.length > 0) {
    headers.add(
      'access-control-allow-methods',
      allowMethods.includes('*') ? any(cors, method) : allowMethods.join(', '),
    );
  }
  const wanted = requested.get('access-control-request-headers');
  if (allowHeaders.includes('*')) {
    if (wanted !== undefined) headers.add('access-control-allow-headers', any(cors, wanted));
  } else if (allowHeaders.length > 0) headers.add('access-control-allow-headers', allowHeaders.join(', '));
  if (maxAgeSeconds !== undefined) headers.add('access-control-max-age', String(maxAgeSeconds));
  return { status: 200, headers, flag: '', details: 'cors_response', reason: '' };
}

/** `*` is only a name to browsers that send credentials: they are told what they asked for. */
function any(cors: CorsPolicy, asked: string): string {
  return cors.allowCredentials ? asked : '*';
}

function exposed({ exposeHeaders, allowCredentials }: CorsPolicy, headers: HeaderList): string {
  if (!exposeHeaders.includes('*')) return exposeHeaders.join(', ');
  if (!allowCredentials) return '*';
  return [...new Set([...headers].map(([field]) => field))].join(', ');
}

function compileOrigins({ allowOrigins }: CorsPolicy): TextTest {
  const tests = allowOrigins.map((match) => compileText(match));
  return (origin) => tests.some((test) => test(origin));
}

/** Of a list such as `vary`. */
function addToken(headers: HeaderList, field: string, token: string): void {
  const has = headers
    .getAll(field)
    .some((value) => value.split(',').some((each) => ['*', token].includes(each.trim().toLowerCase())));
  if (!has) headers.add(field, token);
}
