import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { testServer, turns } from './support.ts';

const line = 'POST /p HTTP/1.1\r\n';
const host = 'Host: a\r\n';
const chunked = `${line}${host}Transfer-Encoding: chunked\r\n\r\n`;

/** What is refused, and how. Each has a good request behind it, which must never be seen. */
const refused: Readonly<Record<string, readonly (readonly [string, string, number?])[]>> = {
  'line structure': [
    ['a folded line', `${line}${host}X: a\r\n b\r\n\r\n`],
    ['a folded line with a tab', `${line}${host}X: a\r\n\tb\r\n\r\n`],
    ['a fold before the first field', `${line} ${host}\r\n`],
    ['bare line feeds', 'GET / HTTP/1.1\nHost: a\n\n'],
    ['a bare line feed after the request line', `GET / HTTP/1.1\n${host}\r\n`],
    ['a bare line feed after a field', `${line}Host: a\nX: b\r\n\r\n`],
    ['a bare line feed at the end', `${line}${host}\n`],
    ['a bare carriage return in a value', `${line}${host}X: a\rb\r\n\r\n`],
    ['a bare carriage return at the end of a value', `${line}${host}X: a\r\r\n\r\n`],
    ['a bare carriage return in a name', `${line}${host}X\r: a\r\n\r\n`],
    ['two empty lines before the request', `\r\n\r\n${line}${host}\r\n`],
    ['white space before the request', ` ${line}${host}\r\n`],
    ['a line with white space alone', `${line}${host} \r\n\r\n`],
  ],
  fields: [
    ['a NUL in a value', `${line}${host}X: a\0b\r\n\r\n`],
    ['a NUL in a name', `${line}${host}X\0: a\r\n\r\n`],
    ['a control character in a value', `${line}${host}X: a\x01b\r\n\r\n`],
    ['a DEL in a value', `${line}${host}X: a\x7fb\r\n\r\n`],
    ['a vertical tab in a value', `${line}${host}X: a\x0bb\r\n\r\n`],
    ['a space before the colon', `${line}${host}X : a\r\n\r\n`],
    ['a tab before the colon', `${line}${host}X\t: a\r\n\r\n`],
    ['a space in a name', `${line}${host}X Y: a\r\n\r\n`],
    ['an empty name', `${line}${host}: a\r\n\r\n`],
    ['no colon', `${line}${host}X\r\n\r\n`],
    ['a name that is no token', `${line}${host}X(: a\r\n\r\n`],
    ['a name with a byte above ASCII', `${line}${host}\xe9: a\r\n\r\n`],
    ['more than 100 fields', `${line}${host}${'X: a\r\n'.repeat(100)}\r\n`, 431],
    ['a head of more than 60 KiB', `${line}${host}X: ${'a'.repeat(62_000)}\r\n\r\n`, 431],
    ['a head without end', `${line}${host}${`X: ${'a'.repeat(1000)}\r\n`.repeat(62)}`, 431],
    ['Connection that names Host', `${line}${host}Connection: close, Host\r\n\r\n`],
    ['Connection that names Content-Length', `${line}${host}Content-Length: 1\r\nConnection: content-length\r\n\r\na`],
    [
      'Connection that names Transfer-Encoding',
      `${line}${host}Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n\r\n0\r\n\r\n`,
    ],
    ['Connection that is no list', `${line}${host}Connection: a b\r\n\r\n`],
    ['an unknown expectation', `${line}${host}Expect: 200-maybe\r\n\r\n`, 417],
    ['a hidden expectation', `${line}${host}Expect: x 100-continue\r\n\r\n`, 417],
    ['two expectations', `${line}${host}Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n`, 417],
  ],
  'request line': [
    ['no version', `GET /\r\n${host}\r\n`],
    ['no target', `GET HTTP/1.1\r\n${host}\r\n`],
    ['an empty target', `GET  HTTP/1.1\r\n${host}\r\n`],
    ['two spaces before the version', `GET /  HTTP/1.1\r\n${host}\r\n`],
    ['a tab instead of a space', `GET\t/ HTTP/1.1\r\n${host}\r\n`],
    ['a space in the target', `GET /a b HTTP/1.1\r\n${host}\r\n`],
    ['a space behind the version', `GET / HTTP/1.1 \r\n${host}\r\n`],
    ['more behind the version', `GET / HTTP/1.1 x\r\n${host}\r\n`],
    ['a byte above ASCII in the target', `GET /\xe9 HTTP/1.1\r\n${host}\r\n`],
    ['a DEL in the target', `GET /\x7f HTTP/1.1\r\n${host}\r\n`],
    ['a control character in the target', `GET /\x01 HTTP/1.1\r\n${host}\r\n`],
    ['a method that is no token', `GE(T / HTTP/1.1\r\n${host}\r\n`],
    ['a version in lower case', `GET / http/1.1\r\n${host}\r\n`],
    ['a version of many digits', `GET / HTTP/1.10\r\n${host}\r\n`],
    ['a version with another separator', `GET / HTTP-1.1\r\n${host}\r\n`],
    ['HTTP/1.2', `GET / HTTP/1.2\r\n${host}\r\n`, 505],
    ['HTTP/2.0', `GET / HTTP/2.0\r\n${host}\r\n`, 505],
    ['HTTP/0.9', `GET / HTTP/0.9\r\n${host}\r\n`, 505],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    ['HTTP/1.0', `GET / HTTP/1.0\r\n${host}\r\n`, 426],
    ['a request line of more than 60 KiB', `GET /${'a'.repeat(62_000)} HTTP/1.1\r\n${host}\r\n`, 414],
    ['a request line without end', `GET /${'a'.repeat(62_000)}`, 414],
    ['another protocol', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
  ],
  'target and host': [
    ['no Host', `${line}X: a\r\n\r\n`],
    ['two Hosts', `${line}${host}Host: b\r\n\r\n`],
    ['the same Host twice', `${line}${host}${host}\r\n`],
    ['an empty Host', `${line}Host:\r\n\r\n`],
    ['a Host with a space', `${line}Host: a b\r\n\r\n`],
    ['a Host with a path', `${line}Host: a/b\r\n\r\n`],
    ['a Host with user information', `${line}Host: u@a\r\n\r\n`],
    ['a Host with an empty port', `${line}Host: a:\r\n\r\n`],
    ['a Host with a bad port', `${line}Host: a:8x\r\n\r\n`],
    ['a Host with two ports', `${line}Host: a:80:80\r\n\r\n`],
    ['a Host with a query', `${line}Host: a?b\r\n\r\n`],
    ['a Host with a byte above ASCII', `${line}Host: \xe9\r\n\r\n`],
    ['a target that is a name', `GET index.html HTTP/1.1\r\n${host}\r\n`],
    ['an asterisk for GET', `GET * HTTP/1.1\r\n${host}\r\n`],
    ['an asterisk and more', `OPTIONS *a HTTP/1.1\r\n${host}\r\n`],
    ['an authority for GET', `GET a:80 HTTP/1.1\r\n${host}\r\n`],
    ['a path for CONNECT', `CONNECT /a HTTP/1.1\r\n${host}\r\n`],
    ['CONNECT without a port', `CONNECT a HTTP/1.1\r\n${host}\r\n`],
    ['CONNECT with a URL', `CONNECT http://a:80/ HTTP/1.1\r\n${host}\r\n`],
    ['CONNECT with user information', `CONNECT u@a:80 HTTP/1.1\r\n${host}\r\n`],
    ['CONNECT with a length', `CONNECT a:80 HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx`],
    ['CONNECT with a coding', `CONNECT a:80 HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a URL of another scheme', `GET ftp://a/ HTTP/1.1\r\n${host}\r\n`],
    ['a URL without a host', `GET http:///a HTTP/1.1\r\n${host}\r\n`],
    ['a URL with user information', `GET http://u@a/ HTTP/1.1\r\n${host}\r\n`],
    ['a URL and no Host', 'GET http://a/ HTTP/1.1\r\n\r\n'],
    ['a URL and two Hosts', `GET http://a/ HTTP/1.1\r\n${host}${host}\r\n`],
  ],
  'body length': [
    ['a length and a coding', `${line}${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a coding and a length', `${line}${host}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`],
    ['two lengths', `${line}${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`],
    ['the same length twice', `${line}${host}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
    ['a list of lengths', `${line}${host}Content-Length: 3, 3\r\n\r\nabc`],
    ['an empty length', `${line}${host}Content-Length:\r\n\r\n`],
    ['a length with a plus sign', `${line}${host}Content-Length: +3\r\n\r\nabc`],
    ['a negative length', `${line}${host}Content-Length: -3\r\n\r\nabc`],
    ['a hexadecimal length', `${line}${host}Content-Length: 0x3\r\n\r\nabc`],
    ['a length with a fraction', `${line}${host}Content-Length: 3.0\r\n\r\nabc`],
    ['a length with a space', `${line}${host}Content-Length: 3 3\r\n\r\nabc`],
    ['a length with an exponent', `${line}${host}Content-Length: 3e0\r\n\r\nabc`],
    ['a length in other digits', `${line}${host}Content-Length: \xb3\r\n\r\nabc`],
    ['a length that overflows', `${line}${host}Content-Length: 18446744073709551619\r\n\r\nabc`],
    ['a length beyond what is exact', `${line}${host}Content-Length: 9007199254740993\r\n\r\nabc`],
    ['an unknown coding', `${line}${host}Transfer-Encoding: x\r\n\r\n`, 501],
    ['identity', `${line}${host}Transfer-Encoding: identity\r\n\r\n`, 501],
    ['a coding before chunked', `${line}${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
    [
      'a coding in a field before chunked',
      `${line}${host}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      501,
    ],
    ['chunked that is not last', `${line}${host}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
    ['chunked twice', `${line}${host}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
    [
      'chunked in two fields',
      `${line}${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['an empty coding', `${line}${host}Transfer-Encoding:\r\n\r\n`],
    ['an empty element of the list', `${line}${host}Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n`],
    ['chunked with a parameter', `${line}${host}Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n`],
    ['chunked in quotes', `${line}${host}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n`],
    ['chunked with a letter above ASCII', `${line}${host}Transfer-Encoding: chun\xe2\x84\xaaed\r\n\r\n0\r\n\r\n`],
  ],
  chunks: [
    ['a size without digits', `${chunked}\r\nabc\r\n0\r\n\r\n`],
    ['a size with 0x', `${chunked}0x3\r\nabc\r\n0\r\n\r\n`],
    ['a size with a sign', `${chunked}+3\r\nabc\r\n0\r\n\r\n`],
    ['a negative size', `${chunked}-3\r\nabc\r\n0\r\n\r\n`],
    ['a size with a letter', `${chunked}g\r\nabc\r\n0\r\n\r\n`],
    ['a space before the size', `${chunked} 3\r\nabc\r\n0\r\n\r\n`],
    ['a space behind the size', `${chunked}3 \r\nabc\r\n0\r\n\r\n`],
    ['a space before the extension', `${chunked}3 ;a=b\r\nabc\r\n0\r\n\r\n`],
    ['a tab behind the size', `${chunked}3\t\r\nabc\r\n0\r\n\r\n`],
    ['an underscore in the size', `${chunked}0_3\r\nabc\r\n0\r\n\r\n`],
    ['a size that overflows', `${chunked}10000000000000003\r\nabc\r\n0\r\n\r\n`],
    ['a size of many zeros', `${chunked}${'0'.repeat(20)}3\r\nabc\r\n0\r\n\r\n`],
    ['a bare line feed behind the size', `${chunked}3\nabc\r\n0\r\n\r\n`],
    ['a bare carriage return behind the size', `${chunked}3\rabc\r\n0\r\n\r\n`],
    ['a bare line feed in an extension', `${chunked}3;a\nabc\r\n0\r\n\r\n`],
    ['a bare carriage return in an extension', `${chunked}3;a\rb\r\nabc\r\n0\r\n\r\n`],
    ['another byte for the line feed behind the size', `${chunked}3\rXabc\r\n0\r\n\r\n`],
    ['another byte for the line feed behind a chunk', `${chunked}3\r\nabc\rX0\r\n\r\n`],
    ['a NUL in an extension', `${chunked}3;\0\r\nabc\r\n0\r\n\r\n`],
    ['a chunk that is longer than it says', `${chunked}3\r\nabcd\r\n0\r\n\r\n`],
    ['a chunk that is shorter than it says', `${chunked}4\r\nabc\r\n0\r\n\r\n`],
    ['a bare line feed behind a chunk', `${chunked}3\r\nabc\n0\r\n\r\n`],
    ['a bare carriage return behind a chunk', `${chunked}3\r\nabc\r0\r\n\r\n`],
    ['endless extensions', `${chunked}3;${'a'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`],
    ['many small chunks with long extensions', `${chunked}${`1;${'a'.repeat(100)}\r\na\r\n`.repeat(300)}0\r\n\r\n`],
    ['a folded trailer', `${chunked}0\r\nX: a\r\n b\r\n\r\n`],
    ['a trailer without a colon', `${chunked}0\r\nX\r\n\r\n`],
    ['a trailer with a space before the colon', `${chunked}0\r\nX : a\r\n\r\n`],
    ['a bare line feed in trailers', `${chunked}0\r\nX: a\n\r\n`],
    ['a bare line feed behind the last chunk', `${chunked}0\r\n\n`],
    ['a control character in a trailer', `${chunked}0\r\nX: a\x02\r\n\r\n`],
    ['too many trailers', `${chunked}0\r\n${'X: a\r\n'.repeat(101)}\r\n`, 431],
    ['too long trailers', `${chunked}0\r\nX: ${'a'.repeat(62_000)}\r\n\r\n`, 431],
  ],
};

const good = `GET /smuggled HTTP/1.1\r\n${host}\r\n`;

for (const [group, cases] of Object.entries(refused)) {
  describe(`HTTP/1.1 server refuses, in ${group},`, () => {
    for (const [name, bytes, status = 400] of cases) {
      it(name, async () => {
        const { peer, requests, refusals } = testServer({ clock: createFakeClock() });
        peer.send(name.endsWith('without end') ? bytes : bytes + good);
        await turns(6);
        const { text } = peer;
        peer.end();
        await turns(4);
        assert.ok(text.startsWith(`HTTP/1.1 ${status} `), text.slice(0, 60));
        assert.match(text, /\r\nconnection: (upgrade, )?close\r\n/);
        assert.deepEqual(
          refusals.map((refusal) => refusal.status),
          [status],
        );
        assert.ok(!requests.some((seen) => seen.exchange.request.path === '/smuggled'));
        for (const seen of requests) assert.equal(seen.events.at(-1), 'close');
        assert.ok(requests.every((seen) => seen.error !== undefined));
        assert.ok(peer.ended || peer.closed);
      });
    }
  });
}

/** What is taken: the request line and fields that we see, and the body. */
const accepted: readonly (readonly [string, string, Record<string, unknown>])[] = [
  ['an empty line before the request', `\r\nGET / HTTP/1.1\r\n${host}\r\n`, { path: '/', authority: 'a' }],
  [
    'a URL, whose host wins',
    `GET http://b:81/c?d HTTP/1.1\r\n${host}\r\n`,
    { path: '/c?d', authority: 'b:81', scheme: 'http' },
  ],
  ['a URL without a path', `GET HTTP://b?d HTTP/1.1\r\n${host}\r\n`, { path: '/?d', authority: 'b' }],
  ['a URL of https on a plain connection', `GET https://b HTTP/1.1\r\n${host}\r\n`, { path: '/', scheme: 'http' }],
  ['a fragment, cut', `GET /a?b#c?d HTTP/1.1\r\n${host}\r\n`, { path: '/a?b' }],
  ['an asterisk for OPTIONS', `OPTIONS * HTTP/1.1\r\n${host}\r\n`, { path: '*' }],
  ['a URL without a path for OPTIONS', `OPTIONS http://b HTTP/1.1\r\n${host}\r\n`, { path: '*', authority: 'b' }],
  ['CONNECT', `CONNECT b:443 HTTP/1.1\r\n${host}\r\n`, { path: '', authority: 'b:443', method: 'CONNECT' }],
  ['CONNECT to an IPv6 address', `CONNECT [::1]:443 HTTP/1.1\r\n${host}\r\n`, { authority: '[::1]:443' }],
  ['CONNECT with length 0', `CONNECT b:443 HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`, { fields: [] }],
  ['an IPv6 host', `GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n`, { authority: '[::1]:80' }],
  ['a path of 30 KiB', `GET /${'a'.repeat(30_000)} HTTP/1.1\r\n${host}\r\n`, { path: `/${'a'.repeat(30_000)}` }],
  [
    '100 fields',
    `GET / HTTP/1.1\r\n${host}${'X: a\r\n'.repeat(99)}\r\n`,
    { fields: Array.from({ length: 99 }, () => ['x', 'a']).flat() },
  ],
  ['an unusual method', `M-SEARCH!~ / HTTP/1.1\r\n${host}\r\n`, { method: 'M-SEARCH!~' }],
  [
    'empty values and bytes above ASCII',
    `GET / HTTP/1.1\r\n${host}A:\r\nB: \t \r\nC: \xe9\xff\r\n\r\n`,
    { fields: ['a', '', 'b', '', 'c', '\xe9\xff'] },
  ],
  ['no space behind the colon', `GET / HTTP/1.1\r\nHOST:a\r\nA:b:c\r\n\r\n`, { authority: 'a', fields: ['a', 'b:c'] }],
  ['tabs inside of values', `GET / HTTP/1.1\r\n${host}A:\t\tb\tc \r\n\r\n`, { fields: ['a', 'b\tc'] }],
  [
    'hop-by-hop fields, which go',
    `GET / HTTP/1.1\r\n${host}Connection: keep-alive, A , b,\r\nKeep-Alive: x\r\nProxy-Connection: x\r\nUpgrade: x\r\nA: 1\r\nB: 2\r\nC: 3\r\nTE: gzip\r\nHTTP2-Settings: x\r\n\r\n`,
    { fields: ['c', '3'], upgrade: undefined },
  ],
  [
    'TE that takes trailers',
    `GET / HTTP/1.1\r\n${host}TE: gzip;q=0.5, Trailers\r\nConnection: te\r\n\r\n`,
    { fields: ['te', 'trailers'] },
  ],
  [
    'an upgrade',
    `GET / HTTP/1.1\r\n${host}Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n`,
    { upgrade: 'websocket' },
  ],
  [
    'an upgrade that Connection does not name, dropped',
    `GET / HTTP/1.1\r\n${host}Upgrade: websocket\r\n\r\n`,
    { upgrade: undefined },
  ],
  [
    'an upgrade to h2c, dropped',
    `GET / HTTP/1.1\r\n${host}Upgrade: h2c\r\nConnection: upgrade, http2-settings\r\nHTTP2-Settings: AAA\r\n\r\n`,
    { upgrade: undefined, fields: [] },
  ],
  [
    'an upgrade with a body, dropped',
    `POST / HTTP/1.1\r\n${host}Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\na`,
    { upgrade: undefined, body: 'a' },
  ],
  [
    '100-continue, passed on',
    `POST / HTTP/1.1\r\n${host}Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na`,
    { fields: ['content-length', '1', 'expect', '100-continue'], body: 'a' },
  ],
  [
    'leading zeros of a length',
    `POST / HTTP/1.1\r\n${host}Content-Length: 003\r\n\r\nabc`,
    { fields: ['content-length', '3'], body: 'abc' },
  ],
  ['a GET with a body', `GET / HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabc`, { method: 'GET', body: 'abc' }],
  [
    'an empty chunked body',
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    { fields: [], body: '', trailers: undefined },
  ],
  [
    'chunk extensions, dropped',
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding:chunked\r\n\r\n3;a="b;\xe9";c\r\nabc\r\n0;d\r\n\r\n`,
    { body: 'abc' },
  ],
  [
    'trailers without those that may not be there',
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\nHost: b\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nAuthorization: y\r\nCookie: z\r\nX-Envoy-A: b\r\nX-Forwarded-For: c\r\nGrpc-Status: 0\r\n\r\n`,
    { trailers: ['x-a', '1', 'grpc-status', '0'] },
  ],
];

describe('HTTP/1.1 server takes', () => {
  for (const [name, bytes, expected] of accepted) {
    it(name, async () => {
      const { peer, requests } = testServer();
      peer.send(bytes);
      await turns(6);
      assert.equal(requests.length, 1, peer.text);
      const [seen] = requests;
      const request = seen?.exchange.request;
      const actual: Record<string, unknown> = {
        ...request,
        fields: request?.headers.fields,
        body: seen?.body,
        trailers: seen?.trailers?.fields,
      };
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(actual[key], value, key);
      peer.reset();
    });
  }
});

describe('HTTP/1.1 server does not wait for the end', () => {
  for (const pieces of [
    ['GET / HT', 'TP/1.1\n'],
    ['GET / HTTP/1.1\r\nHos', 't: a\nX'],
    ['GET / HTTP/1.1\r\nHos', 't: a\rX'],
    ['GET / HTTP/1.1\r\nHos', 't: \0'],
  ]) {
    it(`of ${JSON.stringify(pieces.join('|'))} before it refuses`, async () => {
      const { peer, refusals } = testServer({ clock: createFakeClock() });
      for (const piece of pieces) {
        assert.equal(refusals.length, 0);
        peer.send(piece);
        await turns(4);
      }
      assert.equal(refusals.length, 1);
      assert.match(peer.text, /^HTTP\/1\.1 400 /);
      peer.end();
    });
  }
});

describe('HTTP/1.0', () => {
  it('is served where it is allowed, one request a connection unless the client asks for more', async () => {
    const { peer, requests } = testServer({
      allowHttp10: true,
      onRequest: ({ exchange }) => {
        exchange.respond({ status: 200, headers: exchange.request.headers }, false);
        exchange.write(Buffer.from('x'));
        exchange.end();
      },
    });
    peer.send('GET /1 HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\ny');
    await turns();
    assert.equal(peer.take(), 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\nx');
    peer.send('GET /2 HTTP/1.0\r\n\r\n');
    await turns();
    assert.equal(peer.take(), 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nx');
    assert.equal(peer.ended, true);
    assert.deepEqual(
      requests.map(({ exchange: { request } }) => [request.path, request.authority, request.version]),
      [
        ['/1', '', 'http/1.0'],
        ['/2', '', 'http/1.0'],
      ],
    );
    peer.end();
  });

  it('has no transfer codings and no upgrades', async () => {
    const { peer, requests, refusals } = testServer({ allowHttp10: true });
    peer.send('GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\nExpect: 100-continue\r\n\r\n');
    await turns();
    assert.equal(requests[0]?.exchange.request.upgrade, undefined);
    assert.deepEqual(requests[0]?.exchange.request.headers.fields, []);
    peer.reset();
    const other = testServer({ allowHttp10: true });
    other.peer.send('POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
    await turns();
    assert.equal(refusals.length, 0);
    assert.equal(other.refusals[0]?.status, 400);
    other.peer.end();
  });
});
