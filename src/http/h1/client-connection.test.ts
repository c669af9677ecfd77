import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HeaderList } from '../header-list.ts';
import { testClient, turns } from './support.ts';

describe('HTTP/1.1 client', () => {
  it('sends a request in one write, and is free again once its answer is whole', async () => {
    const { peer, client, request } = testClient();
    const first = request({
      path: '/1',
      headers: HeaderList.from({ accept: '*/*', connection: 'x', 'keep-alive': '1' }),
    });
    assert.equal(client.canOpen, false);
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
  });
});
