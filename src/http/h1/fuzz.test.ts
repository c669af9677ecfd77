import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HeaderList } from '../header-list.ts';
import { ChunkedDecoder } from './chunked-decoder.ts';
import { Http1Error } from './errors.ts';
import { defaultHttp1Limits } from './limits.ts';
import { parseRequest } from './request-head.ts';
import { attach, testClient, testServer, turns, type SeenRequest } from './support.ts';

/** A message in pieces: whole, then cut at each place, then byte by byte. */
function cuts(text: string): string[][] {
  const all: string[][] = [[text], Array.from(text)];
  for (let at = 1; at < text.length; at++) all.push([text.slice(0, at), text.slice(at)]);
  return all;
}

function echo({ exchange }: SeenRequest): void {
  exchange.respond({ status: 200, headers: new HeaderList(['content-length', '0']) }, true);
}

interface Outcome {
  readonly requests: unknown[];
  readonly isRefused: boolean;
}

/** What a server makes of a connection that sends these pieces, a turn apart, and then ends. */
async function serve(pieces: readonly string[]): Promise<Outcome> {
  const { peer, requests, refusals } = testServer({
    onEvent: (seen, event) => event === 'end' && echo(seen),
    onRequest: (seen) => seen.exchange.bodyLength === 0 && echo(seen),
  });
  for (const piece of pieces) {
    peer.send(piece);
    await turns(1);
  }
  await turns(3);
  peer.end();
  await turns(4);
  const outcome = {
    requests: requests.map(({ exchange: { request }, events, body, trailers }) => ({
      ...request,
      headers: request.headers.fields,
      isWhole: events.includes('end') || events.length === 1,
      body: events.includes('end') ? body : undefined,
      trailers: trailers?.fields,
    })),
    isRefused: refusals.length > 0,
  };
  peer.reset();
  return outcome;
}

const messages = [
  'GET /a?b HTTP/1.1\r\nHost: a\r\nX: \t y \r\n\r\n',
  '\r\nPOST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcdGET /b HTTP/1.1\r\nHost: b\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: a\nX: y\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n',
];

describe('HTTP/1.1 in pieces', () => {
  for (const message of messages) {
    it(`is the same wherever ${JSON.stringify(message.slice(0, 60))}... is cut`, async () => {
      const [whole, ...others] = cuts(message);
      const expected = await serve(whole as string[]);
      const outcomes = await Promise.all(others.map((pieces) => serve(pieces)));
      outcomes.forEach((outcome, i) => assert.deepEqual(outcome, expected, `cut ${JSON.stringify(others[i])}`));
    });
  }

  it('is the same for random messages and cuts', async () => {
    const piece = fc.constantFrom(
      'GET / HTTP/1.1\r\n',
      'POST /x HTTP/1.1\r\n',
      'Host: a\r\n',
      'Host: a\r\n',
      'Content-Length: 3\r\n',
      'Transfer-Encoding: chunked\r\n',
      'X: y\r\n',
      '\r\n',
      '\r\n',
      'abc',
      '3\r\nabc\r\n',
      '0\r\n\r\n',
      '0\r\nT: u\r\n\r\n',
      ' ',
      '\n',
      '\r',
      ':',
      '\0',
      ';a=b\r\n',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(200), { maxLength: 4 }),
        async (parts, at) => {
          // A head that never ends is refused sooner or later.
          const text = `${parts.join('')}\r\n\r\n`;
          const places = [...new Set([0, ...at.map((place) => place % text.length), text.length])].toSorted(
            (a, b) => a - b,
          );
          const cut = places.slice(1).map((end, i) => text.slice(places[i], end));
          const [whole, split, bytes] = await Promise.all([serve([text]), serve(cut), serve(Array.from(text))]);
          assert.deepEqual(split, whole);
          assert.deepEqual(bytes, whole);
        },
      ),
      { seed: 11, numRuns: 400 },
    );
  });

  it('gives the same answer to a client wherever it is cut', async () => {
    const answers = [
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n',
      'HTTP/1.1 200 OK\r\nX: y\r\n\r\nabc',
      'HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na',
    ];
    const ask = async (pieces: readonly string[]): Promise<unknown> => {
      const { peer, request } = testClient();
      const seen = request({});
      await turns(2);
      for (const part of pieces) {
        peer.send(part);
        await turns(1);
      }
      await turns(3);
      peer.end();
      await turns(4);
      peer.reset();
      const { events, body, head, trailers, error, informational } = seen;
      return {
        events,
        body,
        status: head?.status,
        fields: head?.headers.fields,
        trailers,
        error: error?.message,
        informational,
      };
    };
    for (const answer of answers) {
      const [whole, ...others] = cuts(answer);
      const expected = await ask(whole as string[]);
      for (const outcome of await Promise.all(others.map((pieces) => ask(pieces)))) assert.deepEqual(outcome, expected);
    }
  });
});

/** The plain version of the head parser: one pattern for the whole, one for each line. */
function plainParse(text: string): readonly [string, string, ...string[]] | 'bad' | 'incomplete' {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 'incomplete';
  const head = text.slice(0, end + 2);
  // oxlint-disable-next-line no-control-regex
  const whole =
    /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP\/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/;
  if (!whole.test(head)) return 'bad';
  const [line = '', ...lines] = head.split('\r\n').slice(0, -1);
  const [method = '', target = ''] = line.split(' ');
  const fields = lines.flatMap((field) => {
    const colon = field.indexOf(':');
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).replaceAll(/^[ \t]+|[ \t]+$/g, '')];
  });
  return [method, target, ...fields];
}

describe('HTTP/1.1 head scanner', () => {
  it('agrees with the plain parser on random heads', () => {
    const name = fc.oneof(
      fc.constantFrom('accept', 'User-Agent', 'X-A', 'x-request-id', 'COOKIE', 'a', "!#$%&'*+.^_`|~-", 'x'.repeat(80)),
      fc.string({
        unit: fc.constantFrom('a', 'B', '-', '1', ' ', ':', '\t', '(', '\xe9', '_'),
        minLength: 0,
        maxLength: 6,
      }),
    );
    const value = fc.string({
      unit: fc.constantFrom('a', ' ', '\t', ':', '\xe9', '"', ',', '\x7f', '\r', '\n', '\0', 'b', 'c', 'd', 'e'),
      maxLength: 8,
    });
    const field = fc
      .tuple(
        name,
        fc.constantFrom(': ', ':', ':\t ', ' :'),
        value,
        fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r'),
      )
      .map((parts) => parts.join(''));
    const start = fc.constantFrom(
      'GET / HTTP/1.1\r\n',
      'GET /a?b%00 HTTP/1.1\r\n',
      'G / HTTP/1.1\r\n',
      'GET  / HTTP/1.1\r\n',
      'GET / HTTP/1.1\n',
    );
    const head = fc
      .tuple(start, fc.array(field, { maxLength: 5 }))
      .map(([line, fields]) => `${line}Host: a\r\n${fields.join('')}\r\n`);
    fc.assert(
      fc.property(head, (text) => {
        const expected = plainParse(text);
        const bytes = Buffer.from(text, 'latin1');
        let actual: unknown;
        try {
          const parsed = parseRequest(bytes, 0, bytes.length, {
            scheme: 'http',
            allowHttp10: false,
            maxHeadBytes: 60_000,
            maxFields: 100,
          });
          actual =
            parsed === undefined
              ? 'incomplete'
              : [parsed.head.method, parsed.head.path, 'host', parsed.head.authority, ...parsed.head.headers.fields];
        } catch (error) {
          assert.ok(error instanceof Http1Error);
          actual = 'bad';
        }
        // What can never become a head may be told before it ends.
        if (expected === 'incomplete' && actual === 'bad') return;
        assert.deepEqual(actual, expected);
      }),
      { seed: 12, numRuns: 20_000 },
    );
  });
});

/** The plain version of the chunked coding. */
function plainDecode(text: string): string {
  let rest = text;
  let body = '';
  for (;;) {
    const line = /^([0-9a-fA-F]{1,13})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n/.exec(rest);
    if (!line) return rest.includes('\n') ? 'bad' : 'incomplete';
    rest = rest.slice(line[0].length);
    const size = Number.parseInt(line[1] as string, 16);
    if (size === 0) break;
    if (rest.length < size + 2) return 'incomplete';
    if (rest.slice(size, size + 2) !== '\r\n') return 'bad';
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
  return rest.startsWith('\r\n') ? body : 'incomplete';
}

describe('chunked decoder', () => {
  it('agrees with the plain decoder, in pieces of any size', () => {
    const chunk = fc
      .tuple(
        fc.constantFrom('3', '03', 'a', 'A', '1', '0', 'g', '', '3 ', '+3'),
        fc.constantFrom('', '', '', ';x', ';a="\xe9"'),
        fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '\rX'),
        fc.constantFrom('abc', '0123456789', 'x', 'ab', ''),
        fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '', '\rX'),
      )
      .map((parts) => parts.join(''));
    const coded = fc
      .tuple(fc.array(chunk, { maxLength: 5 }), fc.constantFrom('0\r\n\r\n', '0\r\n\r\n', '00;x\r\n\r\n', ''))
      .map(([chunks, last]) => chunks.join('') + last);
    fc.assert(
      fc.property(coded, fc.integer({ min: 1, max: 9 }), (text, size) => {
        const decoder = new ChunkedDecoder(defaultHttp1Limits);
        decoder.start();
        let body = '';
        let outcome = 'incomplete';
        const bytes = Buffer.from(text, 'latin1');
        try {
          for (let at = 0; at < bytes.length && !decoder.isOver; at += size) {
            decoder.decode(bytes.subarray(at, at + size), 0, {
              onChunkData: (data) => void (body += Buffer.from(data).toString('latin1')),
            });
          }
          if (decoder.isOver) outcome = body;
        } catch (error) {
          assert.ok(error instanceof Http1Error);
          outcome = 'bad';
        }
        const expected = plainDecode(text);
        // What can never become a chunk may be told before it ends.
        if (expected === 'incomplete' && outcome === 'bad') return;
        assert.equal(outcome, expected);
      }),
      { seed: 13, numRuns: 20_000 },
    );
  });
});

describe('HTTP/1.1 both ways', () => {
  it('carries any body, written and read in any pieces, over any number of requests', async () => {
    const bodies = fc.array(fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 5 }), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(bodies, fc.boolean(), async (requests, isSized) => {
        const { peer, client, request } = testClient();
        const server = testServer({
          onRequest: (seen) => seen.exchange.respond({ status: 200, headers: new HeaderList() }, false),
          attach: false,
        });
        assert.equal(client.canOpen, true);
        for (const [i, pieces] of requests.entries()) {
          const body = pieces.map((length, j) => String.fromCharCode(97 + ((i + j) % 26)).repeat(length));
          const length = body.join('').length;
          const headers = new HeaderList(isSized ? ['content-length', String(length)] : []);
          const seen = request({ method: 'POST', headers }, false);
          for (const piece of body) {
            seen.exchange?.write(Buffer.from(piece));
            await turns(1);
          }
          seen.exchange?.end();
          await turns(10);
          server.peer.send(peer.take());
          await turns(5);
          const received = server.requests[i] as SeenRequest;
          attach(received, { onEvent: (_seen, event) => event === 'end' && received.exchange.end() });
          if (received.exchange.bodyLength === 0) received.exchange.end();
          for (let round = 0; round < 100 && !received.events.includes('close'); round++) await turns(2);
          assert.equal(received.body, body.join(''));
          peer.send(server.peer.take());
          await turns(5);
          assert.deepEqual(seen.events, ['response', 'end', 'close']);
        }
        peer.reset();
        server.peer.reset();
      }),
      { seed: 14, numRuns: 40 },
    );
  });
});
