import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RequestHead } from '../../http/message.ts';
import { serviceKey } from '../../api/names.ts';
import { meshService } from '../../mesh/fixtures.ts';
import { silentLog } from '../../lib/log.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import type { FoundAddress } from '../../net/index.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import { settled } from './fake-hosts.ts';
import { fakeUpstreams } from './fake-upstreams.ts';
import { Host } from './host.ts';
import { RequestedHosts } from './requested-hosts.ts';
import { backendOf, Heard, requestHead, testUpstreams, upstreamRequest, web } from './upstream-fixtures.ts';

const requestedHosts = { pattern: '*.example.com', port: 8443 };
const to = (authority: string, more: Partial<RequestHead> = {}): { readonly head: RequestHead } => ({
  head: requestHead('/', { authority, ...more }),
});
const signal = new AbortController().signal;

describe('hosts that clients name', () => {
  test('have connections of their own, by name and the port of the backend', async () => {
    const { hosts, send } = fakeUpstreams({ requestedHosts }, [web]);
    send(to('a.example.com'));
    send(to('B.example.com'));
    await settled();
    assert.deepEqual(
      hosts.dials.map(({ request: { host } }) => `${host.spec.requestedName} ${host.spec.port}`),
      ['a.example.com 8443', 'b.example.com 8443'],
    );
    for (const exchange of hosts.exchanges) exchange.answer();
    const again = send(to('a.example.com'));
    assert.equal(hosts.dials.length, 2, 'the connection serves again');
    assert.equal(again.hosts.at(-1)?.address, 'a.example.com');
  });

  test('are asked for by TLS under their own names', async () => {
    const tls = { mode: 'simple', subjectAltNames: [], ca: { kind: 'system' } } as const;
    const { hosts, send, upstreams } = fakeUpstreams({ requestedHosts, tls }, [web]);
    send(to('a.example.com'));
    await settled();
    assert.equal(hosts.dials[0]?.request.serverName, 'a.example.com');
    const client = { ...upstreamRequest().client, sni: 'b.example.com' };
    await upstreams.connect('web', client, signal);
    assert.equal(hosts.dials[1]?.request.serverName, 'b.example.com');
  });

  test('are refused at once when they are outside of the wildcard, for requests and for bytes, and counted', async () => {
    const metrics = new MetricsRegistry({ clock: createFakeClock(), log: silentLog() });
    const { hosts, send, upstreams } = fakeUpstreams({ requestedHosts }, [web], { metrics });
    const request = send(to('evil.test'));
    await request.closed;
    assert.deepEqual([request.failure?.kind, request.failure?.flag], ['no-healthy-host', 'UH']);
    assert.match(request.failure?.message ?? '', /evil\.test is not under \*\.example\.com/);
    const { client } = upstreamRequest();
    const asked = [
      [undefined, /names no host/],
      ['evil.test', /is not under/],
      ['a.example.com.', /no name of a host/],
    ] as const;
    for (const [sni, reason] of asked) {
      const bytes = upstreams.connect('web', { ...client, ...(sni === undefined ? {} : { sni }) }, signal);
      await assert.rejects(bytes, { message: reason });
    }
    assert.equal(hosts.dials.length, 0);
    const text = metrics.write('openmetrics');
    assert.match(text, /ambit_proxy_requested_host_refusals_total\{cluster_name="web",reason="outside"\} 2/);
    assert.match(text, /ambit_proxy_requested_host_refusals_total\{cluster_name="web",reason="no-host"\} 1/);
  });

  test('are refused when a Service means them more specially, and guards them by a waypoint', async () => {
    const destination = { kind: 'hostname', namespace: 'shop', hostname: 'strict' } as const;
    const waypoint = { destination, hboneMtlsPort: 15008 };
    const wide = meshService({ hostname: '*.example.com' });
    const parts = [
      wide,
      meshService({ hostname: 'guarded.example.com', waypoint }),
      meshService({ hostname: '*.guarded.example.com', waypoint }),
      meshService({ hostname: 'plain.example.com' }),
      meshService({ hostname: 'hidden.example.com', namespace: 'other', visibility: 'namespace', waypoint }),
      meshService({ hostname: '*.com', waypoint }),
    ];
    const service = serviceKey(wide.namespace, wide.hostname);
    const { hosts, send } = fakeUpstreams({ requestedHosts, service }, parts);
    for (const name of ['guarded.example.com', 'deep.er.guarded.example.com']) {
      const { closed } = send(to(name));
      assert.match((await closed)?.message ?? '', /is one of .*guarded\.example\.com, which has a waypoint of its own/);
    }
    assert.equal(hosts.dials.length, 0);
    for (const name of ['plain.example.com', 'hidden.example.com', 'a.plain.example.com']) send(to(name));
    await settled();
    assert.equal(hosts.dials.length, 3);
  });

  test('are looked up and judged before they are dialled', async () => {
    const answers: Readonly<Record<string, string>> = {
      'meta.example.com': '169.254.169.254',
      'loop.example.com': '127.0.0.1',
    };
    const metrics = new MetricsRegistry({ clock: createFakeClock(), log: silentLog() });
    const { upstreams, configure } = testUpstreams([web], {
      metrics,
      address: '10.244.0.5',
      async *addressesOf(hostname): AsyncGenerator<FoundAddress, void> {
        yield { address: answers[hostname] ?? '10.244.0.5', left: 0 };
      },
    });
    configure(backendOf({ requestedHosts }));
    for (const [name, reason] of [
      ['meta.example.com', /169\.254\.169\.254: it is link-local/],
      ['loop.example.com', /127\.0\.0\.1: it is the loopback/],
      ['self.example.com', /10\.244\.0\.5: it is the proxy itself/],
    ] as const) {
      const heard = new Heard();
      upstreams.open('web', upstreamRequest(to(name)), heard);
      const failure = await heard.closed;
      assert.deepEqual([failure?.kind, failure?.sent], ['no-healthy-host', 'no']);
      assert.match(failure?.message ?? '', reason);
      const client = { ...upstreamRequest().client, sni: name };
      await assert.rejects(upstreams.connect('web', client, signal), { message: reason });
    }
    assert.match(
      metrics.write('openmetrics'),
      /requested_host_refusals_total\{cluster_name="web",reason="address"\} 6/,
    );
    assert.deepEqual(upstreams.describe()[0]?.hosts, [], 'nothing of them is kept');
    upstreams.close();
  });

  test('are as many as are in use: one that is idle gives way, and there is an end', () => {
    const evicted: string[] = [];
    const hosts = new RequestedHosts({
      nowMs: () => 0,
      meansOther: () => undefined,
      onEvicted: ({ key }) => void evicted.push(key),
      maxHosts: 2,
    });
    const choose = (name: string): Host | string => {
      const found = hosts.choose(requestedHosts, name, 80);
      return found instanceof Host ? found : found.reason;
    };
    const [a, b] = [choose('a.example.com'), choose('b.example.com')];
    assert.ok(a instanceof Host && b instanceof Host);
    assert.equal(choose('a.example.com'), a);
    const c = choose('c.example.com');
    assert.ok(c instanceof Host);
    assert.deepEqual(evicted, ['b.example.com:8443'], 'that was asked for least recently');
    a.activeRequests = 1;
    c.activeRequests = 1;
    const refused = choose('d.example.com');
    assert.ok(typeof refused === 'string');
    assert.match(refused, /one host too many: 2 others are in use/);
  });
});
