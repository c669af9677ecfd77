import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { writeResult } from '../../net/channel.ts';
import { HeaderList } from '../header-list.ts';
import { attach, testServer, turns, type SeenRequest } from './support.ts';

const list = (fields: Record<string, string> = {}): HeaderList => HeaderList.from(fields);

/** Answers at once with the body of the request. */
function echo({ exchange }: SeenRequest): void {
  exchange.respond({ status: 200, headers: list({ 'content-length': '2' }) }, false);
  exchange.write(Buffer.from('ok'));
  exchange.end();
}

/** Behind method and target. */
const rest = 'HTTP/1.1\r\nHost: a\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const paths = (requests: readonly SeenRequest[]): string[] => requests.map(({ exchange }) => exchange.request.path);

describe('HTTP/1.1 server', () => {
  it('gives the parts of a request, and sends head and body of the answer in one write', async () => {
    const { peer, requests } = testServer({ onRequest: echo });
    peer.send(
      'GET /a/b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nX-One: 1\r\nX-one:\t2 \r\nConnection: X-Two\r\nX-Two: no\r\n\r\n',
    );
    await turns();
    const [seen] = requests;
    assert.deepEqual(
      { ...seen?.exchange.request, headers: seen?.exchange.request.headers.fields },
      {
        method: 'GET',
        scheme: 'http',
        authority: 'example.com:8080',
        path: '/a/b?c=d',
        headers: ['x-one', '1', 'x-one', '2'],
        version: 'http/1.1',
      },
    );
    assert.equal(seen?.exchange.bodyLength, 0);
    assert.equal(peer.text, 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    assert.deepEqual(seen?.events, ['close']);
    assert.equal(seen?.error, undefined);
  });

  it('reads bodies by length and by chunks, with trailers, on one connection', async () => {
    const { peer, requests } = testServer({ onEvent: (seen, event) => event === 'end' && echo(seen) });
    peer.send('POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
    await turns();
    peer.send('POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n');
    await turns();
    peer.send('00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n');
    await turns();
    assert.deepEqual(
      requests.map((seen) => seen.body),
      ['hello', 'abc0123456789'],
    );
    assert.deepEqual(requests[1]?.trailers?.fields, ['x-sum', '1']);
    assert.deepEqual(
      requests.map((seen) => seen.events),
      [
        ['data', 'end', 'close'],
        ['data', 'end', 'close'],
      ],
    );
    assert.equal(peer.text, 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'.repeat(2));
  });

  it('answers pipelined requests in order, and gives the next one only when the one before is answered', async () => {
    const { peer, requests } = testServer();
    peer.send(`GET /1 ${rest}POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /3 ${rest}GET /`);
    await turns();
    assert.deepEqual(paths(requests), ['/1']);
    echo(requests[0] as SeenRequest);
    await turns();
    assert.deepEqual(paths(requests), ['/1', '/2']);
    assert.deepEqual(requests[0]?.events, ['close']);
    assert.equal(requests[1]?.body, 'abc');
    peer.send(`4 ${rest}`);
    echo(requests[1] as SeenRequest);
    await turns();
    echo(requests[2] as SeenRequest);
    await turns();
    assert.deepEqual(paths(requests), ['/1', '/2', '/3', '/4']);
    assert.equal(peer.text, ok.repeat(3));
    peer.reset();
  });

  it('stops a client that pipelines without end', async () => {
    const { peer, requests } = testServer();
    let sent = 0;
    const [many] = [`GET / ${rest}`.repeat(500)];
    for (let i = 0; i < 200; i++) {
      sent += many.length;
      peer.send(many);
    }
    await turns();
    assert.equal(requests.length, 1);
    // What was read is a small part of it: the channel is paused.
    assert.ok(peer.unread > sent / 2, `${peer.unread} of ${sent}`);
    peer.reset();
  });

  it('reads nothing of a body beyond a small buffer before there is a reader', async () => {
    const { peer, requests } = testServer({ attach: false });
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n');
    for (let i = 0; i < 30; i++) peer.send('x'.repeat(10_000));
    await turns();
    assert.ok(peer.unread > 200_000);
    const [seen] = requests as [SeenRequest];
    attach(seen);
    assert.equal(seen.body.length, 0);
    await turns(60);
    assert.equal(seen.body.length, 300_000);
    assert.deepEqual(seen.events, ['data', 'end']);
    peer.reset();
  });

  it('pauses a client whose body is not credited, and goes on when it is', async () => {
    const { peer, requests } = testServer({ credits: false });
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    for (let i = 0; i < 100; i++) peer.send('x'.repeat(10_000));
    await turns(30);
    const [seen] = requests as [SeenRequest];
    const first = seen.body.length;
    assert.ok(first > 128 * 1024 && first < 160 * 1024, String(first));
    seen.exchange.credit(10_000);
    await turns();
    assert.equal(seen.body.length, first);
    seen.exchange.credit(first - 10_000);
    await turns(30);
    assert.ok(seen.body.length > first + 128 * 1024);
    peer.reset();
  });

  it('says full to who writes faster than the client reads, and tells when it may go on', async () => {
    const { peer, requests } = testServer();
    peer.send(`GET / ${rest}`);
    await turns();
    const [seen] = requests as [SeenRequest];
    peer.pause();
    seen.exchange.respond({ status: 200, headers: list() }, false);
    let written = 0;
    while (seen.exchange.write(Buffer.alloc(20_000, 'x')) === writeResult.done) written += 20_000;
    assert.ok(written < 500_000);
    await turns();
    assert.equal(seen.drains, 0);
    peer.resume();
    await turns();
    assert.equal(seen.drains, 1);
    seen.exchange.end();
    await turns();
    assert.ok(peer.text.endsWith('\r\n0\r\n\r\n'));
    peer.reset();
  });

  it('frames answers by what their heads and requests say', async () => {
    const cases: readonly (readonly [string, number, Record<string, string>, string | undefined, string])[] = [
      ['GET', 200, {}, 'body', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n'],
      ['GET', 200, {}, '', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
      ['GET', 200, {}, undefined, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
      ['GET', 299, { a: 'b' }, undefined, 'HTTP/1.1 299 Unknown\r\na: b\r\ncontent-length: 0\r\n\r\n'],
      ['GET', 204, { 'content-length': '4' }, 'body', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['GET', 304, { 'content-length': '4' }, 'body', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\n'],
      ['HEAD', 200, { 'content-length': '4' }, undefined, 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n'],
      ['HEAD', 200, {}, 'body', 'HTTP/1.1 200 OK\r\n\r\n'],
      [
        'GET',
        200,
        { connection: 'close', 'transfer-encoding': 'x', 'keep-alive': 'y', upgrade: 'z', te: 'trailers', host: 'h' },
        undefined,
        'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
      ],
      [
        'GET',
        200,
        { 'content-length': 'many' },
        'body',
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n',
      ],
    ];
    for (const [method, status, headers, body, expected] of cases) {
      const { peer, requests } = testServer();
      peer.send(`${method} / ${rest}`);
      await turns(4);
      const { exchange } = requests[0] as SeenRequest;
      exchange.respond({ status, headers: list(headers) }, body === undefined);
      if (body !== undefined) {
        exchange.write(Buffer.from(body));
        exchange.end();
      }
      await turns(4);
      assert.equal(peer.take(), expected);
      // The next one gets its own answer.
      peer.send(`GET / ${rest}`);
      await turns(4);
      echo(requests[1] as SeenRequest);
      await turns(4);
      assert.equal(peer.take(), ok);
      peer.reset();
    }
  });

  it('sends trailers behind a chunked answer, but those that may not be there', async () => {
    const { peer } = testServer({
      onRequest({ exchange }) {
        exchange.respond({ status: 200, headers: list() }, false);
        exchange.write(Buffer.from('a'));
        exchange.end(
          list({ 'x-sum': '1', 'content-length': '5', 'set-cookie': 'x', 'x-bad': 'a\r\nb: c', 'b ad': 'x' }),
        );
      },
    });
    peer.send(`GET / ${rest}`);
    await turns();
    assert.equal(peer.text, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n');
    peer.reset();
  });

  it('leaves out fields that would be more than one', async () => {
    const { peer } = testServer({
      onRequest({ exchange }) {
        const headers = new HeaderList([
          'a',
          '1\r\nx: y',
          'b',
          '2',
          'c: d',
          '3',
          'e',
          '\u010d\u010ax: y',
          'f',
          'a\0',
          'g',
          '\u00e9',
          '',
          'h',
        ]);
        exchange.respond({ status: 200, headers }, true);
      },
    });
    peer.send(`GET / ${rest}`);
    await turns();
    assert.equal(peer.text, 'HTTP/1.1 200 OK\r\nb: 2\r\ng: \xe9\r\ncontent-length: 0\r\n\r\n');
    peer.reset();
  });

  it('cuts the connection when a body is not as long as was promised', async () => {
    for (const body of ['abc', 'abcdef']) {
      const { peer, requests } = testServer();
      peer.send(`GET / ${rest}`);
      await turns();
      const { exchange } = requests[0] as SeenRequest;
      exchange.respond({ status: 200, headers: list({ 'content-length': '5' }) }, false);
      exchange.write(Buffer.from(body));
      await turns();
      exchange.end();
      await turns();
      assert.ok(peer.error);
      assert.ok(!peer.text.includes('abcdef'));
      assert.deepEqual(requests[0]?.events, ['close']);
      assert.ok(requests[0]?.error);
    }
  });

  it('ends after an answer to a client that asked for it, and drops what comes behind', async () => {
    const { peer, requests, closes } = testServer({ onRequest: echo });
    peer.send(`GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\nGET /2 ${rest}`);
    await turns();
    assert.equal(peer.text, 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok');
    assert.equal(peer.ended, true);
    assert.deepEqual(paths(requests), ['/']);
    peer.end();
    await turns();
    assert.deepEqual(closes, [undefined]);
  });

  it('answers a client that has ended its side behind the request', async () => {
    const { peer, requests } = testServer();
    peer.send(`GET / ${rest}`);
    peer.end();
    await turns();
    echo(requests[0] as SeenRequest);
    await turns();
    assert.equal(peer.text, 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok');
    assert.deepEqual([peer.ended, peer.closed, peer.error], [true, true, undefined]);
    assert.deepEqual(requests[0]?.events, ['close']);
    assert.equal(requests[0]?.error, undefined);
  });

  it('gives up the request of a client that has ended its side, when nothing can be sent for long', async () => {
    const clock = createFakeClock();
    const { peer, requests } = testServer({ clock });
    peer.send(`GET / ${rest}`);
    peer.end();
    await turns();
    const [seen] = requests as [SeenRequest];
    clock.advance(59_999);
    seen.exchange.respond({ status: 200, headers: list() }, false);
    seen.exchange.write(Buffer.from('a'));
    await turns();
    clock.advance(60_000);
    await turns();
    assert.deepEqual(seen.events, []);
    clock.advance(60_000);
    await turns();
    assert.deepEqual(seen.events, ['close']);
    assert.ok(seen.error);
    assert.ok(peer.error);
    assert.equal(clock.pending, 0);
  });

  it('answers all that a client has pipelined before it ended its side', async () => {
    const { peer, requests } = testServer();
    peer.send(`GET /1 ${rest}GET /2 ${rest}`);
    peer.end();
    await turns();
    echo(requests[0] as SeenRequest);
    await turns();
    echo(requests[1] as SeenRequest);
    await turns();
    assert.equal(requests.length, 2);
    assert.equal(peer.text.split('ok').length, 3);
    assert.equal(peer.closed, true);
  });

  it('tells the reader of a client that ends within its body, or is reset', async () => {
    for (const leave of ['end', 'reset'] as const) {
      const { peer, requests, closes } = testServer();
      peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc');
      await turns();
      peer[leave]();
      await turns();
      assert.deepEqual(requests[0]?.events, ['data', 'close']);
      assert.ok(requests[0]?.error);
      assert.equal(closes.length, 1);
    }
  });

  it('tells a reader that comes after the client has gone', async () => {
    const { peer, requests } = testServer({ attach: false });
    peer.send(`GET / ${rest}`);
    await turns();
    peer.reset();
    await turns();
    const [seen] = requests as [SeenRequest];
    attach(seen);
    assert.deepEqual(seen.events, []);
    await turns();
    assert.deepEqual(seen.events, ['close']);
    assert.ok(seen.error);
  });

  it('sends informational answers at once, but not to HTTP/1.0', async () => {
    const { peer, requests } = testServer();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
    await turns();
    const { exchange } = requests[0] as SeenRequest;
    exchange.sendInformational({ status: 103, headers: list({ link: 'x' }) });
    exchange.sendInformational({ status: 100, headers: list() });
    await turns();
    assert.equal(peer.take(), 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n');
    peer.send('ab');
    await turns();
    assert.equal(requests[0]?.body, 'ab');
    echo(requests[0] as SeenRequest);
    await turns();
    assert.equal(peer.take(), ok);
    const old = testServer({ allowHttp10: true });
    old.peer.send('GET / HTTP/1.0\r\n\r\n');
    await turns();
    old.requests[0]?.exchange.sendInformational({ status: 103, headers: list() });
    await turns();
    assert.equal(old.peer.text, '');
    peer.reset();
    old.peer.reset();
  });

  it('ends the connection when it answers a client that still waits for 100', async () => {
    const { peer, requests } = testServer();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
    await turns();
    requests[0]?.exchange.respond({ status: 403, headers: list() }, true);
    await turns();
    assert.equal(peer.text, 'HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    peer.send(`GET /smuggled ${rest}`);
    peer.end();
    await turns();
    assert.deepEqual(paths(requests), ['/']);
    assert.deepEqual(requests[0]?.events, ['close']);
  });

  it('drops the rest of a small body that was answered early, and goes on', async () => {
    for (const body of [
      'Content-Length: 10\r\n\r\nabc|defghij',
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n7|\r\ndefghij\r\n0\r\n\r\n',
    ]) {
      const [now, later] = body.split('|');
      const { peer, requests } = testServer();
      peer.send(`POST / HTTP/1.1\r\nHost: a\r\n${now}`);
      await turns();
      echo(requests[0] as SeenRequest);
      await turns();
      assert.deepEqual(requests[0]?.events, ['data', 'close']);
      assert.equal(peer.take(), ok);
      peer.send(`${later}GET /2 ${rest}`);
      await turns();
      assert.deepEqual(paths(requests), ['/', '/2']);
      assert.equal(requests[0]?.body, 'abc');
      peer.reset();
    }
  });

  it('tells nobody what is wrong with a body that was answered already', async () => {
    const { peer, requests, refusals } = testServer();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    await turns();
    echo(requests[0] as SeenRequest);
    await turns();
    peer.send('x\r\n');
    await turns();
    assert.equal(peer.text, ok);
    assert.deepEqual(
      refusals.map(({ status }) => status),
      [0],
    );
    assert.ok(peer.error);
  });

  it('ends the connection when too much of a body is left, or when it takes too long', async () => {
    const clock = createFakeClock();
    const large = testServer({ clock });
    large.peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n');
    await turns();
    echo(large.requests[0] as SeenRequest);
    await turns();
    assert.equal(large.peer.ended, true);
    const endless = testServer({ clock });
    endless.peer.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    await turns();
    echo(endless.requests[0] as SeenRequest);
    await turns();
    assert.equal(endless.peer.ended, false);
    endless.peer.send(`8000\r\n${'x'.repeat(0x8000)}\r\n8001\r\n${'x'.repeat(0x8001)}\r\n`);
    await turns();
    assert.equal(endless.peer.ended, true);
    const slow = testServer({ clock });
    slow.peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n');
    await turns();
    echo(slow.requests[0] as SeenRequest);
    await turns();
    clock.advance(60_000);
    await turns();
    assert.equal(slow.peer.ended, true);
    for (const { peer } of [large, endless, slow]) peer.reset();
  });

  it('becomes a tunnel after 101, with bytes that came early', async () => {
    const { peer, requests } = testServer();
    peer.send('GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nearly');
    await turns();
    const [seen] = requests as [SeenRequest];
    assert.equal(seen.exchange.bodyLength, 0);
    assert.deepEqual(seen.events, []);
    seen.exchange.respond({ status: 101, headers: list({ 'sec-websocket-accept': 'x' }) }, false);
    seen.exchange.write(Buffer.from('down'));
    await turns();
    assert.equal(
      peer.take(),
      'HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\ndown',
    );
    peer.send(' GET / HTTP/1.1\r\n\r\n');
    await turns();
    assert.equal(seen.body, 'early GET / HTTP/1.1\r\n\r\n');
    peer.end();
    await turns();
    assert.deepEqual(seen.events, ['data', 'end']);
    seen.exchange.write(Buffer.from('last'));
    seen.exchange.end();
    await turns();
    assert.equal(peer.text, 'last');
    assert.deepEqual(seen.events, ['data', 'end', 'close']);
    assert.equal(seen.error, undefined);
    assert.equal(peer.closed, true);
  });

  it('becomes a tunnel after 200 to CONNECT, and closes after a refusal', async () => {
    const { peer, requests } = testServer();
    peer.send('CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n');
    await turns();
    const [seen] = requests as [SeenRequest];
    seen.exchange.respond({ status: 200, headers: list({ 'content-length': '3' }) }, false);
    await turns();
    assert.equal(peer.take(), 'HTTP/1.1 200 OK\r\n\r\n');
    peer.send('up');
    await turns();
    assert.equal(seen.body, 'up');
    peer.reset();
    await turns();
    assert.ok(seen.error);
    const refused = testServer();
    refused.peer.send(`CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nGET /smuggled ${rest}`);
    await turns();
    refused.requests[0]?.exchange.respond({ status: 403, headers: list() }, true);
    await turns();
    assert.match(refused.peer.text, /^HTTP\/1.1 403 Forbidden\r\n.*connection: close\r\n\r\n$/s);
    assert.equal(refused.requests.length, 1);
    refused.peer.reset();
  });

  it('takes no request behind a refused upgrade whose client went on as if', async () => {
    const { peer, requests } = testServer();
    peer.send(`GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nGET /smuggled ${rest}`);
    await turns();
    requests[0]?.exchange.respond({ status: 403, headers: list() }, true);
    await turns();
    assert.equal(requests.length, 1);
    assert.equal(peer.ended, true);
    peer.reset();
  });

  it('ends idle connections, and only those', async () => {
    const clock = createFakeClock();
    const { peer, requests } = testServer({ clock, limits: { idleTimeoutMs: 10_000 } });
    clock.advance(9_000);
    peer.send(`GET / ${rest}`);
    await turns();
    clock.advance(20_000);
    echo(requests[0] as SeenRequest);
    await turns();
    clock.advance(9_999);
    await turns();
    assert.equal(peer.ended, false);
    clock.advance(1);
    await turns();
    assert.equal(peer.ended, true);
    peer.end();
    await turns();
    assert.equal(clock.pending, 0);
  });

  it('answers 408 to a head that takes too long, however it dribbles', async () => {
    const clock = createFakeClock();
    const { peer, refusals } = testServer({ clock, limits: { headTimeoutMs: 10_000 } });
    peer.send('GET / HTTP/1.1\r\n');
    for (let i = 0; i < 9; i++) {
      await turns(3);
      clock.advance(1_000);
      peer.send('A: b\r\n');
    }
    await turns();
    assert.equal(peer.text, '');
    clock.advance(1_000);
    await turns();
    assert.equal(peer.text, 'HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    assert.equal(refusals[0]?.status, 408);
    clock.advance(1_000);
    await turns();
    assert.equal(peer.closed, true);
    assert.equal(clock.pending, 0);
  });

  it('drains: the next answer closes, quiet connections end, those that were busy wait a moment', async () => {
    const clock = createFakeClock();
    const busy = testServer({ clock });
    busy.peer.send(`GET / ${rest}`);
    await turns();
    busy.server.drain();
    echo(busy.requests[0] as SeenRequest);
    await turns();
    assert.match(busy.peer.text, /connection: close/);
    assert.equal(busy.peer.ended, true);

    const lately = testServer({ clock, onRequest: echo });
    lately.peer.send(`GET / ${rest}`);
    await turns();
    lately.server.drain();
    await turns();
    assert.equal(lately.peer.ended, false);
    lately.peer.send(`GET /2 ${rest}`);
    await turns();
    assert.match(lately.peer.text, /connection: close\r\n\r\nok$/);

    const quiet = testServer({ clock });
    clock.advance(5_000);
    quiet.server.drain();
    await turns();
    assert.equal(quiet.peer.ended, true);

    const between = testServer({ clock, onRequest: echo });
    between.peer.send(`GET / ${rest}`);
    await turns();
    between.server.drain();
    clock.advance(999);
    await turns();
    assert.equal(between.peer.ended, false);
    clock.advance(1);
    await turns();
    assert.equal(between.peer.ended, true);
    for (const { peer } of [busy, lately, quiet, between]) peer.end();
    await turns();
    assert.equal(clock.pending, 0);
  });

  it('cuts an answer that is given up', async () => {
    const { peer, requests } = testServer();
    peer.send(`GET / ${rest}`);
    await turns();
    const { exchange } = requests[0] as SeenRequest;
    exchange.respond({ status: 200, headers: list() }, false);
    exchange.write(Buffer.from('abc'));
    exchange.reset();
    exchange.reset();
    exchange.write(Buffer.from('def'));
    exchange.end();
    await turns();
    assert.ok(peer.error);
    assert.deepEqual(requests[0]?.events, ['close']);
  });
});
