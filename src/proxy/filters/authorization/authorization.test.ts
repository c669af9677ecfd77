import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpAuthorization } from '../../../api/l7/index.ts';
import { createFakeClock } from '../../../lib/fake-clock.ts';
import type { LogFields } from '../../../lib/log.ts';
import { connectionFor, placeFor, runFor } from '../filter-fixtures.ts';
import { authorizationFilter } from './filter.ts';

const policy = (name: string, more: Partial<HttpAuthorization>): HttpAuthorization => ({
  kind: 'authorization',
  name: `shop/${name}`,
  origin: { kind: 'AuthorizationPolicy', namespace: 'shop', name, generation: 1 },
  action: 'deny',
  dryRun: false,
  rules: [{ from: [], to: [], when: [] }],
  ...more,
});

const writes = {
  from: [],
  to: [
    [
      {
        attribute: { kind: 'method' },
        values: [{ kind: 'text', match: { kind: 'exact', value: 'POST' } }],
        notValues: [],
      },
    ],
  ],
  when: [],
} as const;

test('a place without policies has no authorization filter, nor one whose policies ask somebody else', () => {
  assert.equal(authorizationFilter.build(placeFor({})), undefined);
  assert.equal(
    authorizationFilter.build(placeFor({ authorization: [policy('ask', { action: 'custom', provider: 'x' })] })),
    undefined,
  );
});

test('a refusal is 403 with the words of Envoy, and names the rule in its details', async () => {
  const place = placeFor({ authorization: [policy('no-writes', { rules: [writes] })] });
  const filter = authorizationFilter.build(place);
  assert.equal(await filter?.onRequest?.(runFor({ method: 'GET' })), undefined);
  assert.deepEqual(await filter?.onRequest?.(runFor({ method: 'POST' })), {
    status: 403,
    body: 'RBAC: access denied',
    flag: '',
    details: 'rbac_access_denied_matched_policy[ns[shop]-policy[no-writes]-rule[0]]',
    reason: 'policy shop/no-writes denies it, by rule 0',
  });
});

test('a refusal because nothing allows names no rule', async () => {
  const place = placeFor({ authorization: [policy('writers', { action: 'allow', rules: [writes] })] });
  const reply = await authorizationFilter.build(place)?.onRequest?.(runFor({ method: 'GET' }));
  assert.equal(reply?.details, 'rbac_access_denied_matched_policy[none]');
  assert.match(reply?.reason ?? '', /shop\/writers/);
});

test('a policy that is not in the snapshot keeps the configuration from being used', () => {
  const place = placeFor({});
  const attached = { ...place, policies: { ...place.policies, authorization: ['shop/gone'] } };
  assert.throws(() => authorizationFilter.build(attached), {
    code: 'proxy.unresolved-policy',
    message: /"shop\/gone"/,
  });
});

test('what a dry run would have done is counted each time, and logged once in ten seconds', async () => {
  const clock = createFakeClock();
  const lines: [string, LogFields | undefined][] = [];
  const place = placeFor(
    { authorization: [policy('trial', { dryRun: true, rules: [writes] })] },
    { clock, onInfo: (message, fields) => lines.push([message, fields]) },
  );
  const filter = authorizationFilter.build(place);
  for (let i = 0; i < 5; i++) assert.equal(await filter?.onRequest?.(runFor({ method: 'POST' })), undefined);
  await filter?.onRequest?.(runFor({ method: 'GET' }));
  assert.deepEqual(
    lines.map(([message, fields]) => [message, fields?.['policy'], fields?.['rule']]),
    [['dry-run policy would deny', 'shop/trial', 'ns[shop]-policy[trial]-rule[0]']],
  );
  clock.advance(10_000);
  await filter?.onRequest?.(runFor({ method: 'POST' }));
  assert.equal(lines[1]?.[1]?.['alsoSinceLastLine'], 4);
  assert.match(
    place.services.metrics.write('text'),
    /ambit_authorization_findings_total\{policy="shop\/trial",action="deny",result="would_deny"\} 6/,
  );
});

test('a connection without HTTP is refused by what is left of a DENY', () => {
  const isRefused = (more: Partial<HttpAuthorization>): boolean =>
    authorizationFilter
      .buildTcp?.(placeFor({ authorization: [policy('p', more)] }))
      ?.onConnection?.(connectionFor({}), new AbortController().signal) !== undefined;
  assert.equal(authorizationFilter.buildTcp?.(placeFor({})), undefined);
  const asking = policy('ask', { action: 'custom', provider: 'x' });
  assert.equal(authorizationFilter.buildTcp?.(placeFor({ authorization: [asking] })), undefined);
  assert.equal(isRefused({ rules: [writes] }), true);
  assert.equal(isRefused({ action: 'allow', rules: [writes] }), true);
  assert.equal(isRefused({ action: 'allow' }), false);
});
