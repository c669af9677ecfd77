/**
 * Differential test of how answers are framed. A backend gives hostile bytes to the first of two requests: what the client gets of them
 * must be what nginx and haproxy make of them, or an error; and the second request must get its own answer, or an error.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { dial } from '../../src/net/dial.ts';
import { tcpChannel } from '../../src/net/tcp-channel.ts';
import { createRelay, listenRelay } from '../support/http1-relay.ts';
import { startHaproxy, startNginx, type RunningProxy } from './http-framing-peers.ts';

interface AnswerCase {
  readonly name: string;
  readonly method: 'GET' | 'HEAD';
  readonly bytes: string;
}

/** What the first request would get of who reads one answer as two. */
const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
const second = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond';

function answerCorpus(): AnswerCase[] {
  const cases: AnswerCase[] = [];
  const add = (name: string, bytes: string, method: 'GET' | 'HEAD' = 'GET'): void =>
    void cases.push({ name: `${cases.length}: ${name}`, bytes, method });
  const bodies = ['abc', '3\r\nabc\r\n0\r\n\r\n', '0\r\n\r\n', ''];
  const fields = [
    '',
    'Content-Length: 3',
    'Content-Length: 0',
    'Content-Length: 3\r\nContent-Length: 3',
    'Content-Length: 3\r\nContent-Length: 9',
    'Content-Length: 3, 3',
    'Content-Length: +3',
    'Content-Length: -3',
    'Content-Length: 0x3',
    'Content-Length: 3 ',
    'Content-Length : 3',
    'Content-Length: 3\r\n 3',
    'Content-Length: 18446744073709551619',
    'Content-Length:',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: Chunked',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding:\x0bchunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 3',
    'Content-Length: 3\r\nTransfer-Encoding: chunked',
    'Content-Length: 50\r\nTransfer-Encoding: chunked',
    'Content-Length: 3\r\nTransfer-Encoding: identity',
    'X: y\nContent-Length: 3',
    'X: y\rContent-Length: 3',
    'X: y\0\r\nContent-Length: 3',
    ' X: y\r\nContent-Length: 3',
    'X: y\r\n z\r\nContent-Length: 3',
    'Connection: close\r\nContent-Length: 3',
    'Connection: content-length\r\nContent-Length: 3',
    'Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3',
  ];
  for (const field of fields) {
    for (const body of bodies) {
      const head = `HTTP/1.1 200 OK\r\n${field === '' ? '' : `${field}\r\n`}\r\n`;
      add(`${JSON.stringify(field)} with ${JSON.stringify(body)}`, `${head}${body}`);
      add(`${JSON.stringify(field)} with ${JSON.stringify(body)} and more`, `${head}${body}${poison}`);
    }
    add(`${JSON.stringify(field)} to HEAD`, `HTTP/1.1 200 OK\r\n${field === '' ? '' : `${field}\r\n`}\r\n`, 'HEAD');
    add(
      `${JSON.stringify(field)} to HEAD with a body`,
      `HTTP/1.1 200 OK\r\n${field === '' ? '' : `${field}\r\n`}\r\nabc${poison}`,
      'HEAD',
    );
  }
  for (const status of [
    '204 No Content',
    '304 Not Modified',
    '100 Continue',
    '103 Early Hints',
    '101 Switching Protocols',
    '205 Reset Content',
    '099 x',
    '99 x',
    '600 x',
    '999 x',
    '2000 x',
    '20 x',
    '+20 x',
    '200',
    '200 ',
    '200\tOK',
    ' 200 OK',
    '200 O\0K',
  ]) {
    add(`status ${JSON.stringify(status)}`, `HTTP/1.1 ${status}\r\n\r\n`);
    add(`status ${JSON.stringify(status)} with a length`, `HTTP/1.1 ${status}\r\nContent-Length: 3\r\n\r\nabc`);
    add(
      `status ${JSON.stringify(status)} with chunks`,
      `HTTP/1.1 ${status}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    );
    add(
      `status ${JSON.stringify(status)} and another answer`,
      `HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n${poison}`,
    );
  }
  for (const version of [
    'HTTP/1.0',
    'HTTP/2.0',
    'HTTP/1.2',
    'http/1.1',
    'HTTP/1.10',
    'ICY',
    'HTTP/0.9',
    'HTTPS/1.1',
    'HTTP 1.1',
  ]) {
    add(`version ${version}`, `${version} 200 OK\r\nContent-Length: 3\r\n\r\nabc`);
    add(
      `version ${version} with chunks`,
      `${version} 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    );
  }
  for (const body of [
    '03\r\nabc\r\n0\r\n\r\n',
    '3;a=b\r\nabc\r\n0\r\n\r\n',
    '3 \r\nabc\r\n0\r\n\r\n',
    '3\nabc\n0\n\n',
    '0x3\r\nabc\r\n0\r\n\r\n',
    '3\r\nabcd\r\n0\r\n\r\n',
    '3\r\nabc0\r\n\r\n',
    '-3\r\nabc\r\n0\r\n\r\n',
    '3\rXabc\r\n0\r\n\r\n',
    '10000000000000003\r\nabc\r\n0\r\n\r\n',
    '3\r\nabc\r\n0\r\nA: b\r\n\r\n',
    '3\r\nabc\r\n0\r\nA : b\r\n\r\n',
    '3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n',
    '3;\nabc\r\n0\r\n\r\n',
    '3\r\nabc\r\n',
    '\r\n',
  ]) {
    add(`chunks ${JSON.stringify(body)}`, `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
    add(
      `chunks ${JSON.stringify(body)} and more`,
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}${poison}`,
    );
  }
  add('bare line feeds', 'HTTP/1.1 200 OK\nContent-Length: 3\n\nabc');
  add('no head', 'hello');
  add('an empty line before', '\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc');
  add('an informational answer before', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc');
  add('two answers', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc'.concat(poison));
  return cases;
}

/** Answers a request for `/first` with the bytes of the case, others well; the first connection of a case ends soon after. */
class HostileBackend {
  readonly #server: Server = createServer((socket) => this.#serve(socket));
  bytes = '';

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const isFirst = text.slice(0, end).includes(' /first ');
        text = text.slice(end + 4);
        socket.write(isFirst ? this.bytes : second, 'latin1');
        // Who waits for more is told that there is none.
        if (isFirst) setTimeout(() => socket.end(), 60);
      }
    });
  }
}

/** Status and body as node:http's client reads them; or that there was none. */
function ask(port: number, agent: Agent, method: string, path: string): Promise<string> {
  return new Promise((resolve) => {
    const asked = request({ port, host: '127.0.0.1', method, path, agent, timeout: 5_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve('cut'));
      response.on('aborted', () => resolve('cut'));
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString('latin1');
        const status = response.statusCode ?? 0;
        resolve(status >= 500 ? 'error' : `${status} ${JSON.stringify(body)}`);
      });
    });
    asked.on('error', () => resolve('error'));
    asked.on('timeout', () => asked.destroy());
    asked.end();
  });
}

async function askTwice(port: number, method: string): Promise<readonly [string, string]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const answers = [await ask(port, agent, method, '/first'), await ask(port, agent, 'GET', '/second')] as const;
  agent.destroy();
  return answers;
}

const isFailure = (answer: string): boolean => answer === 'cut' || answer === 'error';

describe('answers of hostile backends', { timeout: 170_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'ambit-answers-'));
  const corpus = answerCorpus();
  const backend = new HostileBackend();
  const ours: (readonly [string, string])[] = [];
  const proxies: RunningProxy[] = [];

  before(async () => {
    const backendPort = await backend.listen();
    const relay = createRelay({
      connect: async () => tcpChannel(await dial({ host: '127.0.0.1', port: backendPort, timeoutMs: 5_000 })),
      limits: { lingerMs: 50 },
    });
    const front = await listenRelay(relay);
    for (const { bytes, method } of corpus) {
      backend.bytes = bytes;
      ours.push(await askTwice((front.address() as AddressInfo).port, method));
    }
    relay.close();
    await new Promise((resolve) => front.close(resolve));
    for (const proxy of [await startNginx(dir, backendPort), await startHaproxy(dir, backendPort)]) {
      if (proxy) proxies.push(proxy);
    }
  });

  after(async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await backend.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test('no request gets what was meant for another, or for nobody', () => {
    const wrong = corpus.flatMap(({ name }, i) => {
      const [first, next] = ours[i] as (typeof ours)[number];
      const isPoisoned = next !== '200 "second"' && !isFailure(next);
      return isPoisoned ? [`${name}: ${first}, then ${next}`] : [];
    });
    assert.deepEqual(wrong, []);
    assert.ok(ours.filter(([first]) => !isFailure(first)).length > 50);
    assert.ok(ours.filter(([first]) => isFailure(first)).length > 50);
  });

  for (const name of ['nginx', 'haproxy']) {
    test(`${name} makes the same of what we pass on, or fails`, async (t) => {
      const proxy = proxies.find((one) => one.name === name);
      if (!proxy) return t.skip(`${name} is not installed (apt-get install ${name})`);
      const wrong: string[] = [];
      for (const [i, { name: caseName, bytes, method }] of corpus.entries()) {
        const [we] = ours[i] as (typeof ours)[number];
        if (isFailure(we)) continue;
        backend.bytes = bytes;
        const [they] = await askTwice(proxy.port, method);
        if (they !== we && !isFailure(they)) wrong.push(`${caseName}: we ${we}, they ${they}`);
      }
      assert.deepEqual(wrong, []);
    });
  }
});
