/** One HTTP route of a VirtualService. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';
import { checkDestination, checkWeights } from './destination.ts';
import { authoritiesOf, checkHeaderOperations } from './header-operations.ts';
import { checkDirectResponse, checkRedirect, checkRewrite } from './http-answer.ts';
import { checkCors, checkFault, checkRetries } from './http-policy.ts';
import { checkHttpMatch } from './route-match.ts';
import { checkDuration, checkFraction, checkPercent } from './values.ts';

/** What a route can do with a request; of these, one. */
const actions = ['route', 'redirect', 'directResponse'] as const;

/** `isDelegate`: the VirtualService has no hosts of its own. */
export function checkHttpRoute(route: FieldView, isDelegate: boolean, found: Findings): void {
  checkActions(route, isDelegate, found);
  for (const match of route.at('match').items()) checkHttpMatch(match, found);
  checkRedirect(route, found);
  checkDirectResponse(route.at('directResponse'), found);
  checkRewrite(route.at('rewrite'), found);
  checkHeaderOperations(route.at('headers'), found);
  const authorities = [route.at('rewrite').at('authority'), ...authoritiesOf(route.at('headers'))].filter(
    ({ text }) => text,
  );
  checkAuthority(authorities, found);
  for (const item of route.at('route').items()) {
    checkDestination(item.at('destination'), found);
    checkHeaderOperations(item.at('headers'), found);
    checkAuthority([...authorities.slice(0, 1), ...authoritiesOf(item.at('headers'))], found);
  }
  checkWeights(route.at('route'), found);
  checkMirrors(route, found);
  checkFault(route.at('fault'), found);
  checkRetries(route.at('retries'), found);
  checkCors(route.at('corsPolicy'), found);
  checkDuration(route.at('timeout'), found);
}

function checkActions(route: FieldView, isDelegate: boolean, found: Findings): void {
  const given = actions.filter((field) =>
    field === 'route' ? route.at(field).items().length > 0 : route.at(field).exists,
  );
  const delegate = route.at('delegate');
  if (delegate.exists) {
    if (isDelegate) found.forbidden(delegate, 'delegates go one step: this VirtualService is a delegate itself');
    if (!delegate.at('name').text) found.required(delegate.at('name'));
    for (const field of given)
      found.forbidden(route.at(field), 'may not be set together with `delegate`, which decides it');
    return;
  }
  const [first, ...more] = given;
  if (first === undefined) {
    found.required(route, 'one of `route`, `redirect` and `directResponse` must be set');
    return;
  }
  for (const field of more) found.forbidden(route.at(field), `may not be set together with \`${first}\``);
  if (given.includes('redirect') || given.includes('directResponse')) {
    const action = given.find((field) => field !== 'route');
    for (const field of ['fault', 'rewrite']) {
      if (route.at(field).exists)
        found.forbidden(route.at(field), `may not be set together with \`${action}\`: the request goes nowhere`);
    }
  }
}

/** The host of a request is what one place says; two places would contradict each other. */
function checkAuthority(places: readonly FieldView[], found: Findings): void {
  for (const place of places.slice(1)) {
    found.forbidden(place, 'the host of the request is set at more than one place: keep one');
  }
}

function checkMirrors(route: FieldView, found: Findings): void {
  const mirror = route.at('mirror');
  const mirrors = route.at('mirrors');
  if (mirror.exists && mirrors.items().length > 0) found.forbidden(mirrors, 'may not be set together with `mirror`');
  checkDestination(mirror, found);
  checkPercent(route.at('mirrorPercentage').at('value'), found);
  for (const field of ['mirrorPercent', 'mirror_percent']) {
    checkPercent(route.at(field), found);
    if (route.at(field).exists) found.warn(route.at(field), 'is deprecated: use mirrorPercentage');
  }
  for (const item of mirrors.items()) {
    checkDestination(item.at('destination'), found);
    checkFraction(item.at('percentage'), found);
  }
}
