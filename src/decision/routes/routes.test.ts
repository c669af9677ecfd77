import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HttpMatch, HttpRule, RouteTable, TlsRule, VirtualHost } from '../../api/l7/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import {
  compileRoutes,
  drawDestination,
  pickTcpRule,
  pickTlsRule,
  redirectLocation,
  rewritePath,
  type RouteRequest,
} from './index.ts';

const origin = { kind: 'VirtualService', namespace: 'shop', name: 'web', generation: 1 };

function rule(name: string, ...matches: HttpMatch[]): HttpRule {
  return { name, origin, matches, action: { kind: 'forward', destinations: [] } };
}

function table(...hosts: VirtualHost[]): RouteTable {
  return { kind: 'routes', name: 'test', hosts, tls: [], tcp: [] };
}

function request(path: string, more: Partial<RouteRequest> & { fields?: Record<string, string> } = {}): RouteRequest {
  const { fields = {}, ...rest } = more;
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'web',
    path,
    headers: HeaderList.from(fields),
    port: 80,
    sourceNamespace: 'front',
    claims: undefined,
    ...rest,
  };
}

function picks(match: HttpMatch, candidate: RouteRequest): boolean {
  return compileRoutes(table({ domains: ['*'], rules: [rule('r', match)] })).pick(candidate) !== undefined;
}

describe('routes', () => {
  test('the first rule that fits takes the request, and one without matches takes all', () => {
    const routes = compileRoutes(
      table({
        domains: ['*'],
        rules: [
          rule('exact', { path: { kind: 'exact', value: '/a' } }),
          rule('either', { path: { kind: 'prefix', value: '/b' } }, { method: { kind: 'exact', value: 'PUT' } }),
          rule('rest'),
        ],
      }),
    );
    const name = (path: string, method = 'GET'): string | undefined =>
      routes.pick(request(path, { method }))?.rule.name;
    assert.equal(name('/a?x=1'), 'exact');
    assert.equal(name('/bc'), 'either');
    assert.equal(name('/x', 'PUT'), 'either');
    assert.equal(name('/ab'), 'rest');
  });

  test('the most specific host wins: exact before the longest wildcard, with the port before without', () => {
    const host = (name: string, ...domains: string[]): VirtualHost => ({ domains, rules: [rule(name)] });
    const routes = compileRoutes(
      table(
        host('any', '*'),
        host('wide', '*.example.com'),
        host('narrow', '*.api.example.com'),
        host('exact', 'WWW.example.com'),
        host('port', 'www.example.com:8080'),
      ),
    );
    const of = (authority: string): string | undefined => routes.pick(request('/', { authority }))?.rule.name;
    assert.equal(of('www.EXAMPLE.com'), 'exact');
    assert.equal(of('www.example.com:9090'), 'exact');
    assert.equal(of('www.example.com:8080'), 'port');
    assert.equal(of('x.api.example.com:1'), 'narrow');
    assert.equal(of('x.example.com'), 'wide');
    assert.equal(of('example.com'), 'any');
    assert.equal(of('[::1]:80'), 'any');
    const only = compileRoutes(table(host('one', 'a.b')));
    assert.equal(only.pick(request('/', { authority: 'c.d' })), undefined);
  });

  test('path prefixes are text in VirtualServices and segments in Gateway API routes', () => {
    const text: HttpMatch = { path: { kind: 'prefix', value: '/foo' } };
    const segments: HttpMatch = { path: { kind: 'path-prefix', value: '/foo/' } };
    assert.ok(picks(text, request('/foobar')));
    assert.equal(picks(segments, request('/foobar')), false);
    assert.ok(picks(segments, request('/foo')));
    assert.ok(picks(segments, request('/foo/bar?q')));
    assert.ok(picks({ path: { kind: 'path-prefix', value: '/' } }, request('/x')));
  });

  test('regular expressions match the whole path without its query', () => {
    const match: HttpMatch = { path: { kind: 'regex', value: '/v[0-9]+/.*' } };
    assert.ok(picks(match, request('/v12/x?y')));
    assert.equal(picks(match, request('/a/v12/x')), false);
    assert.ok(picks({ path: { kind: 'exact', value: '/A', ignoreCase: true } }, request('/a')));
  });

  test('headers of one name count as one, and an absent one fits only what is inverted', () => {
    const exact: HttpMatch = { headers: [{ name: 'x', match: { kind: 'exact', value: 'a,b' }, invert: false }] };
    const headers = new HeaderList(['x', 'a', 'x', 'b']);
    assert.ok(picks(exact, request('/', { headers })));
    const without: HttpMatch = { headers: [{ name: 'x', match: { kind: 'exact', value: 'a' }, invert: true }] };
    assert.ok(picks(without, request('/')));
    assert.equal(picks(without, request('/', { fields: { x: 'a' } })), false);
    const absent: HttpMatch = { headers: [{ name: 'x', match: { kind: 'present' }, invert: true }] };
    assert.ok(picks(absent, request('/')));
    assert.equal(picks(absent, request('/', { fields: { x: '' } })), false);
  });

  test('query parameters are decoded and the first of a name counts', () => {
    const match: HttpMatch = { query: [{ name: 'q', match: { kind: 'exact', value: 'a b' }, invert: false }] };
    assert.ok(picks(match, request('/?q=a%20b&q=c')));
    assert.equal(picks(match, request('/?q=c&q=a%20b')), false);
    assert.equal(picks(match, request('/')), false);
  });

  test('claims match texts and members of lists, and nothing inherited', () => {
    const match = (path: string[], value: string): HttpMatch => ({
      claims: [{ path, match: { kind: 'exact', value }, invert: false }],
    });
    const claims = { groups: ['a', 'b'], nested: { role: 'admin' } };
    assert.ok(picks(match(['groups'], 'b'), request('/', { claims })));
    assert.ok(picks(match(['nested', 'role'], 'admin'), request('/', { claims })));
    assert.equal(picks(match(['constructor', 'name'], 'Object'), request('/', { claims })), false);
    assert.equal(picks(match(['groups'], 'b'), request('/')), false);
  });

  test('an explanation lists the rules that were tried', () => {
    const routes = compileRoutes(
      table({ domains: ['*'], rules: [rule('no', { port: 81 }), rule('yes'), rule('never')] }),
    );
    const { picked, steps } = routes.explain(request('/'));
    assert.equal(picked?.rule.name, 'yes');
    assert.deepEqual(
      steps.map((step) => (step.kind === 'rule' ? [step.rule.name, step.matched] : step.kind)),
      ['host', ['no', false], ['yes', true]],
    );
  });

  test('a bad regular expression is named', () => {
    assert.throws(
      () => picks({ path: { kind: 'regex', value: '(' } }, request('/')),
      /Cannot compile the regular expression "\("/,
    );
  });
});

describe('rewrites', () => {
  const byText = { path: { kind: 'prefix', value: '/foo' } } as const;
  const bySegment = { path: { kind: 'path-prefix', value: '/foo' } } as const;

  test('replace a prefix as text or by segments, and keep the query', () => {
    assert.equal(rewritePath('/foobar?x', { kind: 'prefix', value: '/v', bySegments: false }, byText), '/vbar?x');
    const segments = (value: string, path: string): string =>
      rewritePath(path, { kind: 'prefix', value, bySegments: true }, bySegment);
    assert.equal(segments('/xyz', '/foo/bar'), '/xyz/bar');
    assert.equal(segments('/xyz/', '/foo/bar'), '/xyz/bar');
    assert.equal(segments('/xyz', '/foo'), '/xyz');
    assert.equal(segments('/', '/foo/bar'), '/bar');
    assert.equal(segments('/', '/foo'), '/');
    assert.equal(segments('/', '/foo/'), '/');
    assert.equal(rewritePath('/a?q', { kind: 'prefix', value: '/v', bySegments: true }, undefined), '/v/a?q');
    assert.equal(rewritePath('/a?q', { kind: 'full', value: '/b' }, undefined), '/b?q');
  });

  test('regular expressions put groups in, and dollars are themselves', () => {
    const rewrite = { kind: 'regex', pattern: '/(\\w+)/(\\w+)', value: '/$/\\2/\\1' } as const;
    assert.equal(rewritePath('/a/b?q=/c/d', rewrite, undefined), '/$/b/a?q=/c/d');
  });

  test('redirects name the port only where it is not the scheme’s own', () => {
    const at = { scheme: 'http', authority: 'a.com:8080', path: '/x?y', port: 8080 };
    const to = (redirect: object, request = at): string =>
      redirectLocation(request, { kind: 'redirect', status: 302, ...redirect }, bySegment);
    assert.equal(to({}), 'http://a.com:8080/x?y');
    assert.equal(to({ scheme: 'https' }), 'https://a.com/x?y');
    assert.equal(to({ scheme: 'https', port: 8443 }), 'https://a.com:8443/x?y');
    assert.equal(to({ hostname: 'b.com', port: 80 }), 'http://b.com/x?y');
    assert.equal(to({ port: 'from-request' }, { ...at, authority: 'a.com', port: 81 }), 'http://a.com:81/x?y');
    assert.equal(to({ port: 'from-request' }, { ...at, authority: 'a.com:82', port: 81 }), 'http://a.com:82/x?y');
    assert.equal(to({ hostname: 'b.com:99' }), 'http://b.com:99/x?y');
    assert.equal(to({ path: { kind: 'full', value: '/z' } }), 'http://a.com:8080/z?y');
    assert.equal(to({}, { ...at, authority: '[::1]' }), 'http://[::1]/x?y');
  });
});

describe('destinations', () => {
  const to = (backend: string, weight: number) => ({ weight, target: { kind: 'backend' as const, backend } });

  test('are drawn by weight, and none when all weights are zero', () => {
    const destinations = [to('a', 1), to('zero', 0), to('b', 3)];
    const name = (draw: number): string | undefined => {
      const target = drawDestination(destinations, draw)?.target;
      return target?.kind === 'backend' ? target.backend : undefined;
    };
    assert.deepEqual([0, 0.24, 0.25, 0.999].map(name), ['a', 'a', 'b', 'b']);
    assert.equal(drawDestination([to('a', 0), to('b', 0)], 0.5), undefined);
    assert.equal(drawDestination([to('a', 0)], 0.5), undefined);
    assert.ok(drawDestination([to('a', 7)], 0.99));
  });

  test('of TLS go by the most specific server name, of TCP by the first rule', () => {
    const tls = (name: string, ...sniHosts: string[]): TlsRule => ({
      name,
      origin,
      sniHosts,
      destinationSubnets: [],
      destinations: [],
    });
    const connection = { destinationAddress: '10.0.0.1', port: 443, sourceNamespace: undefined, sni: 'A.example.com' };
    const rules = [tls('any', '*'), tls('wide', '*.example.com'), tls('exact', 'a.example.com')];
    assert.equal(pickTlsRule(rules, connection)?.name, 'exact');
    assert.equal(pickTlsRule(rules, { ...connection, sni: 'b.example.com' })?.name, 'wide');
    assert.equal(pickTlsRule(rules, { ...connection, sni: undefined }), undefined);
    const tcp = { name: 't', origin, destinationSubnets: ['10.0.0.0/24'], destinations: [] };
    assert.equal(pickTcpRule([tcp], connection)?.name, 't');
    assert.equal(pickTcpRule([tcp], { ...connection, destinationAddress: '10.0.1.1' }), undefined);
    assert.equal(pickTcpRule([{ ...tcp, port: 80 }], connection), undefined);
  });
});
