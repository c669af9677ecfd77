import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HeaderList } from '../header-list.ts';
import { testServer, turns, type SeenRequest } from './support.ts';

const list = (fields: Record<string, string> = {}): HeaderList => HeaderList.from(fields);

/** Answers at once with the body of the request. */
function echo({ exchange }: SeenRequest): void {
  exchange.respond({ status: 200, headers: list({ 'content-length': '2' }) }, false);
  exchange.write(Buffer.from('ok'));
  exchange.end();
}

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
});
