import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { writeResult } from '../../net/channel.ts';
import { HeaderList } from '../header-list.ts';
import { ExchangeError } from '../message.ts';
import { testClient, turns } from './support.ts';

const list = (fields: Record<string, string> = {}): HeaderList => HeaderList.from(fields);
const sentRequest = 'GET / HTTP/1.1\r\nhost: host\r\n\r\n';

function failureOf(error: Error | undefined): readonly [string, string] {
  assert.ok(error instanceof ExchangeError, String(error));
  return [error.reason, error.sent];
}

describe('HTTP/1.1 client', () => {
  it('sends a request in one write, and is free again once its answer is whole', async () => {
    const { peer, client, request } = testClient();
    const first = request({ path: '/1', headers: list({ accept: '*/*', connection: 'x', 'keep-alive': '1' }) });
    assert.equal(client.canOpen, false);
    assert.equal(client.activeRequests, 1);
    await turns();
    assert.equal(peer.take(), 'GET /1 HTTP/1.1\r\nhost: host\r\naccept: */*\r\n\r\n');
    first.onEvent = (event) => event === 'close' && assert.equal(client.canOpen, true);
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello');
    await turns();
    assert.deepEqual(first.events, ['response', 'data', 'end', 'close']);
    assert.deepEqual(first.head?.headers.fields, ['x-a', 'b', 'content-length', '5']);
    assert.equal(first.body, 'hello');
    const second = request({ method: 'POST', path: '/2' }, false);
    second.exchange?.write(Buffer.from('body'));
    second.exchange?.end();
    await turns();
    assert.equal(
      peer.take(),
      'POST /2 HTTP/1.1\r\nhost: host\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n',
    );
    peer.send('HTTP/1.1 204 No Content\r\n\r\n');
    await turns();
    assert.deepEqual(second.events, ['response', 'close']);
    assert.equal(second.ends, true);
    peer.reset();
  });

  it('frames requests by what their heads say', async () => {
    const cases: readonly (readonly [
      Parameters<ReturnType<typeof testClient>['request']>[0],
      string | undefined,
      string,
    ])[] = [
      [{ method: 'POST' }, undefined, 'POST / HTTP/1.1\r\nhost: host\r\ncontent-length: 0\r\n\r\n'],
      [{ method: 'DELETE' }, undefined, 'DELETE / HTTP/1.1\r\nhost: host\r\n\r\n'],
      [
        { headers: list({ 'content-length': '0' }) },
        undefined,
        'GET / HTTP/1.1\r\nhost: host\r\ncontent-length: 0\r\n\r\n',
      ],
      [
        { headers: list({ 'content-length': '4' }) },
        'body',
        'GET / HTTP/1.1\r\nhost: host\r\ncontent-length: 4\r\n\r\nbody',
      ],
      [
        {
          headers: list({
            'transfer-encoding': 'chunked',
            upgrade: 'x',
            host: 'other',
            'proxy-connection': 'y',
            a: 'b',
          }),
        },
        undefined,
        'GET / HTTP/1.1\r\nhost: host\r\na: b\r\n\r\n',
      ],
      [
        { headers: list({ te: 'trailers' }) },
        undefined,
        'GET / HTTP/1.1\r\nhost: host\r\nte: trailers\r\nconnection: te\r\n\r\n',
      ],
      [{ headers: list({ te: 'gzip' }) }, undefined, 'GET / HTTP/1.1\r\nhost: host\r\n\r\n'],
      [
        { headers: list({ expect: '100-continue', 'content-length': '4' }) },
        'body',
        'GET / HTTP/1.1\r\nhost: host\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nbody',
      ],
      [{ method: 'OPTIONS', path: '*' }, undefined, 'OPTIONS * HTTP/1.1\r\nhost: host\r\n\r\n'],
      [{ version: 'http/2', path: '/a?b' }, undefined, 'GET /a?b HTTP/1.1\r\nhost: host\r\n\r\n'],
    ];
    for (const [head, body, expected] of cases) {
      const { peer, request } = testClient();
      const seen = request(head, body === undefined);
      if (body !== undefined) {
        seen.exchange?.write(Buffer.from(body));
        seen.exchange?.end();
      }
      await turns(4);
      assert.equal(peer.text, expected);
      peer.reset();
    }
  });

  it('sends nothing that could be read as something else', async () => {
    const { peer, client, request } = testClient();
    const cases = [
      { method: 'GET /x HTTP/1.1\r\nA:' },
      { method: 'GET ' },
      { method: '' },
      { path: '/a b' },
      { path: '/ HTTP/1.1\r\nA: b' },
      { path: '/\u010a' },
      { path: '/a#b' },
      { path: '' },
      { authority: 'a\r\nb: c' },
      { authority: 'a b' },
      { authority: 'a/b' },
      { authority: '' },
      { method: 'CONNECT', authority: 'a b:1', path: '' },
      { upgrade: 'websocket\r\na: b' },
      { upgrade: '' },
      { headers: list({ 'content-length': '5' }) },
      { headers: list({ 'content-length': 'x' }) },
      { headers: new HeaderList(['content-length', '0', 'content-length', '0']) },
    ];
    for (const head of cases) {
      const seen = request(head);
      assert.deepEqual(seen.events, []);
      await turns(4);
      assert.deepEqual(seen.events, ['close'], JSON.stringify(head));
      assert.deepEqual(failureOf(seen.error), ['protocol-error', 'no']);
      assert.equal(client.canOpen, true);
    }
    assert.equal(peer.text, '');
    request({ headers: new HeaderList(['a', 'b\r\nc: d', 'e f', 'g', 'h', 'i']) });
    await turns(4);
    assert.equal(peer.text, 'GET / HTTP/1.1\r\nhost: host\r\nh: i\r\n\r\n');
    peer.reset();
  });

  it('reads answers by length, chunks, or up to the end, and without a body where there is none', async () => {
    const cases: readonly (readonly [string, string, string, boolean])[] = [
      ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc', 'abc', true],
      ['GET', 'HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc', 'abc', true],
      ['GET', 'HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc', 'abc', true],
      ['GET', 'HTTP/1.1 200 Gr\xfc\xdf\tGott\r\nContent-Length: 3\r\n\r\nabc', 'abc', true],
      ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', '', true],
      ['GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-A: b\r\n\r\n', 'abc', true],
      ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc', 'abc', false],
      ['GET', 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc', 'abc', false],
      ['GET', 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc', 'abc', true],
      ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n', '', true],
      ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '', true],
      ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n', '', true],
      ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n', '', true],
      ['GET', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n', '', true],
    ];
    for (const [method, answer, body, isReusable] of cases) {
      const { peer, client, request } = testClient();
      const seen = request({ method });
      await turns(4);
      peer.send(answer);
      await turns(4);
      assert.deepEqual([seen.body, seen.events.at(-1), seen.error], [body, 'close', undefined], answer);
      assert.equal(seen.ends, !seen.events.includes('end'));
      assert.equal(client.canOpen, isReusable, answer);
      if (answer.includes('X-A')) assert.deepEqual(seen.trailers?.fields, ['x-a', 'b']);
      if (!isReusable) assert.equal(peer.ended, true);
      peer.reset();
    }
    const { peer, client, request, closes } = testClient();
    const seen = request({});
    await turns();
    peer.send('HTTP/1.1 200 OK\r\n\r\nabc');
    await turns();
    peer.send('def');
    await turns();
    assert.deepEqual(seen.events, ['response', 'data']);
    peer.end();
    await turns();
    assert.deepEqual(
      [seen.body, ...seen.events, seen.error],
      ['abcdef', 'response', 'data', 'end', 'close', undefined],
    );
    assert.equal(client.canOpen, false);
    assert.deepEqual(closes, [undefined]);
  });

  it('passes on informational answers, but not without end', async () => {
    const { peer, request } = testClient();
    const seen = request({ headers: list({ expect: '100-continue' }) }, false);
    await turns();
    peer.send('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 5\r\n\r\n');
    await turns();
    assert.deepEqual(
      seen.informational.map(({ status }) => status),
      [100, 103],
    );
    seen.exchange?.write(Buffer.from('x'));
    seen.exchange?.end();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await turns();
    assert.deepEqual(seen.events, ['informational', 'informational', 'response', 'close']);
    const endless = request({});
    await turns();
    peer.send('HTTP/1.1 100 Continue\r\n\r\n'.repeat(100));
    await turns();
    assert.deepEqual(failureOf(endless.error), ['protocol-error', 'maybe']);
    assert.equal(endless.informational.length, 32);
    assert.ok(peer.error);
  });

  const bad: readonly (readonly [string, string])[] = [
    ['another protocol', 'SSH-2.0-OpenSSH\r\n'],
    ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['HTTP/0.9', '<html>hello</html>'],
    ['a version in lower case', 'http/1.1 200 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['a status above 599', 'HTTP/1.1 600 OK\r\n\r\n'],
    ['a status with a sign', 'HTTP/1.1 +20 OK\r\n\r\n'],
    ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
    ['a control character in the reason', 'HTTP/1.1 200 O\0K\r\n\r\n'],
    ['bare line feeds', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n'],
    ['a space before a colon', 'HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na'],
    ['a length and a coding', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bad length', 'HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na'],
    ['an unknown coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['a coding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bad chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n'],
    [
      '101 that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
    ],
    ['too many fields', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(101)}\r\n`],
    ['a head that is too large', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(62_000)}\r\n\r\n`],
    ['a head without end', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(62_000)}`],
  ];
  for (const [name, answer] of bad) {
    it(`calls ${name} a protocol error, and cuts the connection`, async () => {
      const { peer, client, request } = testClient();
      const seen = request({});
      await turns(4);
      peer.send(answer);
      await turns(6);
      assert.deepEqual(failureOf(seen.error), ['protocol-error', 'maybe']);
      assert.equal(seen.events.at(-1), 'close');
      assert.equal(seen.events.filter((event) => event === 'close').length, 1);
      assert.ok(peer.error);
      assert.equal(client.canOpen, false);
    });
  }

  it('does not go on with a connection on which more came than the answer', async () => {
    for (const answer of [
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab',
      'HTTP/1.1 204 No Content\r\n\r\nx',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
    ]) {
      const { peer, client, request } = testClient();
      const seen = request({});
      seen.onEvent = (event) => event === 'close' && assert.equal(client.canOpen, false);
      await turns();
      peer.send(answer);
      await turns();
      assert.equal(seen.error, undefined);
      assert.equal(seen.events.at(-1), 'close');
      assert.equal(client.canOpen, false);
      assert.equal(peer.ended, true);
      peer.reset();
    }
  });

  it('cuts a connection that answers nobody', async () => {
    const { peer, client, changes, closes } = testClient();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await turns();
    assert.equal(client.canOpen, false);
    assert.ok(peer.error);
    assert.equal(closes.length, 1);
    assert.deepEqual(changes, []);
  });

  it('does not go on with a connection whose request was answered before it was whole', async () => {
    const { peer, client, request } = testClient();
    const seen = request({ method: 'POST', headers: list({ 'content-length': '10' }) }, false);
    seen.exchange?.write(Buffer.from('abc'));
    seen.onEvent = (event) => event === 'close' && assert.equal(client.canOpen, false);
    await turns();
    peer.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno');
    await turns();
    assert.deepEqual([seen.head?.status, seen.body, seen.error], [413, 'no', undefined]);
    assert.deepEqual(seen.events, ['response', 'data', 'end', 'close']);
    assert.equal(client.canOpen, false);
    seen.exchange?.write(Buffer.from('defghij'));
    seen.exchange?.end();
    await turns();
    assert.equal(peer.text.slice(-3), 'abc');
    assert.ok(peer.error);
  });

  it('cuts the connection of a body that is not as long as was promised', async () => {
    for (const body of ['abc', 'abcdef']) {
      const { peer, request } = testClient();
      const seen = request({ method: 'POST', headers: list({ 'content-length': '5' }) }, false);
      seen.exchange?.write(Buffer.from(body));
      await turns();
      seen.exchange?.end();
      await turns();
      assert.deepEqual(failureOf(seen.error), ['local-reset', 'maybe']);
      assert.ok(peer.error);
      assert.ok(!peer.text.includes('abcdef'));
    }
  });

  it('tells of a connection that ends before the answer is whole', async () => {
    const starts = [
      '',
      'HTTP/1.1 200 OK\r\nContent-',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc',
    ];
    for (const start of starts) {
      for (const leave of ['end', 'reset'] as const) {
        const { peer, request, closes } = testClient();
        const seen = request({});
        await turns(4);
        if (start !== '') peer.send(start);
        await turns(4);
        peer[leave]();
        await turns(4);
        assert.deepEqual(failureOf(seen.error), ['connection-termination', 'maybe']);
        assert.equal(closes.length, 1);
      }
    }
    const { peer, request } = testClient();
    const seen = request({});
    await turns();
    peer.send('HTTP/1.1 200 OK\r\n\r\nabc');
    await turns();
    peer.reset();
    await turns();
    // Only an orderly end is the end of a body without a length.
    assert.deepEqual(failureOf(seen.error), ['connection-termination', 'maybe']);
  });

  it('refuses requests once the server has ended an idle connection, and says that nothing was sent', async () => {
    const { peer, client, request, changes, closes } = testClient();
    peer.end();
    await turns();
    assert.equal(client.canOpen, false);
    assert.deepEqual([changes, closes], [[false], [undefined]]);
    const seen = request({});
    assert.deepEqual(seen.events, []);
    await turns();
    assert.deepEqual(failureOf(seen.error), ['connection-termination', 'no']);
    seen.exchange?.reset();
    seen.exchange?.end();
    await turns();
    assert.deepEqual(seen.events, ['close']);
  });

  it('can be given the next request from inside the end of the one before', async () => {
    const { peer, request } = testClient();
    const first = request({ path: '/1' });
    let second: typeof first | undefined;
    first.onEvent = (event) => {
      if (event === 'close') second = request({ path: '/2' });
    };
    await turns();
    peer.take();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na');
    await turns();
    assert.equal(peer.take(), 'GET /2 HTTP/1.1\r\nhost: host\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb');
    await turns();
    assert.deepEqual([first.body, second?.body], ['a', 'b']);
    peer.reset();
  });

  it('gives a request up by cutting the connection', async () => {
    const { peer, request, client } = testClient();
    const seen = request({});
    await turns();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc');
    await turns();
    const reason = new Error('no longer wanted');
    seen.exchange?.reset(reason);
    seen.exchange?.reset();
    assert.equal(client.canOpen, false);
    assert.deepEqual(seen.events, ['response', 'data']);
    await turns();
    assert.deepEqual(failureOf(seen.error), ['local-reset', 'maybe']);
    assert.equal(seen.error?.cause, reason);
    assert.ok(peer.error);
  });

  it('pauses a server whose body is not credited, and goes on when it is', async () => {
    const { peer, request } = testClient();
    const seen = request({}, true, false);
    await turns();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
    for (let i = 0; i < 100; i++) peer.send('x'.repeat(10_000));
    await turns(30);
    const first = seen.body.length;
    assert.ok(first > 128 * 1024 && first < 160 * 1024, String(first));
    seen.exchange?.credit(first);
    await turns(30);
    assert.ok(seen.body.length > first + 128 * 1024);
    peer.reset();
  });

  it('credits what a reader has left when its answer is whole, so that the next one flows', async () => {
    const { peer, request } = testClient();
    const first = request({}, true, false);
    await turns();
    peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`);
    await turns(30);
    assert.equal(first.events.at(-1), 'close');
    const second = request({});
    await turns();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na');
    await turns();
    assert.equal(second.body, 'a');
    peer.reset();
  });

  it('says full to who writes faster than the server reads, and tells when it may go on', async () => {
    const { peer, request } = testClient();
    const seen = request({ method: 'POST' }, false);
    await turns();
    peer.pause();
    let written = 0;
    while (seen.exchange?.write(Buffer.alloc(20_000, 'x')) === writeResult.done) written += 20_000;
    assert.ok(written < 500_000);
    await turns();
    assert.equal(seen.drains, 0);
    peer.resume();
    await turns();
    assert.equal(seen.drains, 1);
    seen.exchange?.end(list({ 'x-sum': '1' }));
    await turns();
    assert.ok(peer.text.endsWith('\r\n0\r\nx-sum: 1\r\n\r\n'));
    peer.reset();
  });

  it('becomes a tunnel by an upgrade', async () => {
    const { peer, client, request } = testClient();
    const seen = request({ upgrade: 'websocket', headers: list({ 'sec-websocket-key': 'k' }) });
    await turns();
    assert.equal(
      peer.take(),
      'GET / HTTP/1.1\r\nhost: host\r\nsec-websocket-key: k\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    );
    peer.send(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst',
    );
    await turns();
    assert.deepEqual(
      [seen.head?.status, seen.head?.headers.fields, seen.body],
      [101, ['sec-websocket-accept', 'x'], 'first'],
    );
    seen.exchange?.write(Buffer.from('up'));
    await turns();
    assert.equal(peer.take(), 'up');
    peer.send('HTTP/1.1 200 OK\r\n\r\n');
    peer.end();
    await turns();
    assert.equal(seen.body, 'firstHTTP/1.1 200 OK\r\n\r\n');
    assert.deepEqual(seen.events, ['response', 'data', 'end']);
    seen.exchange?.end();
    await turns();
    assert.deepEqual(seen.events, ['response', 'data', 'end', 'close']);
    assert.equal(seen.error, undefined);
    assert.equal(client.canOpen, false);
  });

  it('refuses 101 for another protocol', async () => {
    const { peer, request } = testClient();
    const seen = request({ upgrade: 'websocket' }, false);
    await turns();
    peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
    await turns();
    assert.deepEqual(failureOf(seen.error), ['protocol-error', 'maybe']);
  });

  it('reads a refusal of an upgrade as an ordinary answer', async () => {
    const { peer, client, request } = testClient();
    const seen = request({ upgrade: 'websocket' });
    await turns();
    peer.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    await turns();
    assert.deepEqual([seen.head?.status, seen.body, seen.error], [403, 'no', undefined]);
    assert.equal(client.canOpen, true);
    peer.reset();
  });

  it('becomes a tunnel by CONNECT', async () => {
    const { peer, request } = testClient();
    const seen = request({ method: 'CONNECT', authority: 'b:443', path: '' }, false);
    await turns();
    assert.equal(peer.take(), 'CONNECT b:443 HTTP/1.1\r\nhost: b:443\r\n\r\n');
    peer.send('HTTP/1.1 200 Connected\r\nContent-Length: 3\r\n\r\nabcdef');
    await turns();
    assert.deepEqual([seen.head?.status, seen.body], [200, 'abcdef']);
    peer.reset();
    await turns();
    assert.deepEqual(failureOf(seen.error), ['connection-termination', 'maybe']);
  });

  it('drains: closes when the running request has ended, or at once, and does not wait for ever', async () => {
    const clock = createFakeClock();
    const busy = testClient({ clock });
    const seen = busy.request({});
    busy.client.drain();
    assert.equal(busy.client.canOpen, false);
    await turns();
    assert.equal(busy.peer.take(), sentRequest);
    busy.peer.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await turns();
    assert.equal(seen.error, undefined);
    assert.equal(busy.peer.ended, true);
    const idle = testClient({ clock });
    idle.client.drain();
    await turns();
    assert.equal(idle.peer.ended, true);
    idle.peer.end();
    await turns();
    assert.deepEqual(idle.closes, [undefined]);
    clock.advance(1_000);
    await turns();
    assert.equal(busy.closes.length, 1);
    assert.equal(clock.pending, 0);
  });
});
