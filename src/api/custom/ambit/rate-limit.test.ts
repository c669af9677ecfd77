import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { linesOf } from '../../validation/istio/validator-table.ts';
import { validateRateLimit } from '../../validation/ambit/rate-limit.ts';
import { checkCustomObject } from '../check-object.ts';
import { rateLimit } from './rate-limit.ts';

const target = { group: '', kind: 'Service', name: 'web' };
const local = { requests: 10, unit: 'Second' };
const global = { provider: 'limits', domain: 'shop' };

function check(spec: object): { readonly problems: string[]; readonly stored: unknown } {
  const object = { apiVersion: 'policy.ambit.dev/v1alpha1', kind: 'RateLimit', metadata: { name: 'x' }, spec };
  const { errors, unknown, object: stored } = checkCustomObject(rateLimit, object);
  assert.deepEqual(unknown, []);
  return {
    problems: errors.map(({ path, message }) => `${path}: ${message}`),
    stored: (stored as unknown as { spec: unknown }).spec,
  };
}

const limit = (more: object = { local }): object => ({ targetRefs: [target], limits: [{ name: 'all', ...more }] });

describe('a RateLimit', () => {
  it('says with its defaults what it does', () => {
    assert.deepEqual(check(limit({ global })), {
      problems: [],
      stored: {
        targetRefs: [target],
        limits: [
          {
            name: 'all',
            global: { ...global, timeout: '100ms', failureMode: 'FailOpen' },
            statusCode: 429,
            dryRun: false,
          },
        ],
      },
    });
  });

  it('may demand something of requests, and tell them apart', () => {
    const matches = [
      {
        path: { type: 'PathPrefix', value: '/api' },
        method: 'POST',
        headers: [{ name: 'x-plan', value: 'free' }],
        queryParams: [{ type: 'RegularExpression', name: 'q', value: 'a.*' }],
        claims: [{ path: ['realm', 'role'], value: 'guest' }],
      },
    ];
    const by = [
      { type: 'Header', name: 'x-user' },
      { type: 'QueryParam', name: 'tenant', key: 'tenant' },
      { type: 'Claim', path: ['sub'] },
      { type: 'RemoteIP' },
      { type: 'Value', key: 'kind', value: 'api' },
    ];
    assert.deepEqual(check(limit({ local: { requests: 5, interval: '10s', burst: 20 }, matches, by })).problems, []);
  });

  it('names each limit once, and a target of a kind that has proxies', () => {
    const two = {
      targetRefs: [target],
      limits: [
        { name: 'a', local },
        { name: 'a', local },
      ],
    };
    assert.match(check(two).problems[0] ?? '', /spec\.limits\[1\]/);
    for (const ref of [
      { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'x' },
      { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'x' },
      { group: 'gateway.networking.k8s.io', kind: 'GatewayClass', name: 'x' },
    ]) {
      assert.deepEqual(check({ targetRefs: [ref], limits: [{ name: 'a', local }] }).problems, []);
    }
    const pod = { targetRefs: [{ group: '', kind: 'Pod', name: 'x' }], limits: [{ name: 'a', local }] };
    assert.match(check(pod).problems[0] ?? '', /must be a Service/);
  });

  const refused: [string, object, RegExp][] = [
    ['neither local nor global', {}, /exactly one of local and global/],
    ['both local and global', { local, global }, /exactly one of local and global/],
    ['neither unit nor interval', { local: { requests: 1 } }, /exactly one of unit and interval/],
    ['both unit and interval', { local: { ...local, interval: '1s' } }, /exactly one of unit and interval/],
    ['an interval of nothing', { local: { requests: 1, interval: '0s' } }, /1ms to 24h/],
    ['an interval of days', { local: { requests: 1, interval: '25h' } }, /1ms to 24h/],
    ['no requests', { local: { requests: 0, unit: 'Second' } }, /requests/],
    ['a header without a name', { local, by: [{ type: 'Header' }] }, /name must be set for Header and QueryParam/],
    ['a name that nothing needs', { local, by: [{ type: 'RemoteIP', name: 'x' }] }, /and for no other type/],
    ['a claim without a path', { local, by: [{ type: 'Claim' }] }, /path must be set for Claim/],
    ['a value without a key', { local, by: [{ type: 'Value', value: 'x' }] }, /key must be set for Value/],
    ['a status that is none', { local, statusCode: 200 }, /statusCode/],
    ['a timeout of minutes', { global: { ...global, timeout: '2m' } }, /1ms to 60s/],
    ['a path that is none', { local, matches: [{ path: { type: 'Exact', value: 'x' } }] }, /absolute path/],
  ];
  for (const [what, fields, message] of refused) {
    it(`is refused with ${what}`, () => assert.match(check(limit(fields)).problems.join('\n'), message));
  }

  it('is refused with an expression that no proxy can run', () => {
    const matches = [
      {
        path: { type: 'RegularExpression', value: '/(?=x)' },
        claims: [{ path: ['a'], type: 'RegularExpression', value: '(' }],
      },
      { path: { type: 'Exact', value: '/(' } },
    ];
    const lines = linesOf(validateRateLimit, limit({ local, matches }));
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /^spec\.limits\[0\]\.matches\[0\]\.path\.value: .*RE2/);
    assert.deepEqual(linesOf(validateRateLimit, limit()), []);
  });
});
