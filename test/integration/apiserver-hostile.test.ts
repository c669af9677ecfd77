/** What a hostile or broken client sends gets a clear refusal, while others are served. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/run.ts';
import { send, type Answer, type Call } from './apiserver-oracle.ts';
import { adminToken, createState, removeState, startServerProcess, type ServerProcess } from './apiserver-process.ts';

const maps = '/api/v1/namespaces/default/configmaps';
const watchers = 1000;

describe('a hostile client', { timeout: 170_000 }, () => {
  let stateDir: string;
  let server: ServerProcess;

  before(async () => {
    stateDir = createState({ nobody: ['nobodies'], other: ['system:masters'] });
    server = await startServerProcess(stateDir, { controllers: false });
  });
  after(async () => {
    await server.end('SIGKILL');
    removeState(stateDir);
  });

  const call = (method: string, path: string, options?: Call): Promise<Answer> =>
    send(server.port, method, path, options);
  /** Every refusal is a Status that says what it is; the server lives. */
  const refused = async (code: number, method: string, path: string, options?: Call): Promise<Answer> => {
    const answer = await call(method, path, options);
    const where = `${method} ${path.slice(0, 80)} ${answer.text.slice(0, 200)}`;
    equal(answer.status, code, where);
    deepEqual([answer.body['kind'], answer.body['status'], answer.body['code']], ['Status', 'Failure', code], where);
    ok(answer.text.length < 10_000, where);
    return answer;
  };
  const isServed = async (): Promise<void> => {
    equal((await call('GET', '/api/v1/namespaces/default')).status, 200);
  };
  /** Bytes on a TLS connection of their own; resolves with all that came back when the server ends it. */
  const raw = (text: string, headers = '', port = server.port): Promise<string> =>
    new Promise((resolve) => {
      const socket = openSocket(port);
      let answered = '';
      socket.on('data', (chunk) => (answered += chunk.toString()));
      socket.on('error', () => resolve(answered));
      socket.on('close', () => resolve(answered));
      socket.write(text + headers);
    });
  const openSocket = (port = server.port): TLSSocket =>
    connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });

  test('malformed bodies', async () => {
    const bodies = ['', ' ', '{', 'nonsense', '[]', '"x"', '1', '{"metadata":', '{"a":\u0000}', '\ufeff{}x'];
    for (const body of bodies) await refused(400, 'POST', maps, { body });
    for (const body of ['a: [1', '- x', '&a [*a', '\t', '!!js/function x']) {
      await refused(400, 'POST', maps, { body, type: 'application/yaml' });
    }
    for (const body of ['k8s', 'k8s\0', 'k8s\0\x0a\xff\xff\xff\xff\xff', 'x'.repeat(100)]) {
      const { status } = await call('POST', maps, { body, type: 'application/vnd.kubernetes.protobuf' });
      ok(status === 400 || status === 415, String(status));
    }
    for (const metadata of [1, 'x', [], { name: {} }, { labels: [] }, { ownerReferences: {} }, { finalizers: 'x' }]) {
      const { status } = await call('POST', maps, { body: { metadata } });
      ok(status === 400 || status === 422, `${JSON.stringify(metadata)}: ${status}`);
    }
    const polluting =
      '{"metadata":{"name":"p","labels":{"__proto__":"x"}},"__proto__":{"polluted":true},"data":{"__proto__":"y"}}';
    await call('POST', maps, { body: polluting });
    await refused(422, 'PATCH', `${maps}/kube-root-ca.crt`, {
      body: [{ op: 'add', path: '/__proto__/polluted', value: true }],
      type: 'application/json-patch+json',
    }).catch(() => undefined);
    const { body } = await call('POST', maps, { body: { metadata: { name: 'clean' } } });
    equal(body['polluted'], undefined);
    await isServed();
  });

  test('bodies that are nested without end, or expand', async () => {
    for (const depth of [1_000, 100_000, 1_400_000]) {
      await refused(400, 'POST', maps, { body: `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}` });
      await refused(400, 'POST', maps, { body: '{"a":'.repeat(Math.min(depth, 500_000)) });
    }
    await refused(400, 'POST', maps, { body: `a: ${'['.repeat(50_000)}`, type: 'application/yaml' });
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9).slice(0, -1)}]`);
    const bomb = ['l0: &l0 [x,x,x,x,x,x,x,x,x]', ...levels].join('\n');
    await refused(400, 'POST', maps, { body: bomb, type: 'application/yaml' });
    await refused(400, 'PATCH', `${maps}/x?fieldManager=x`, { body: bomb, type: 'application/apply-patch+yaml' });
    const operations = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/a', value: 1 }));
    await refused(413, 'PATCH', `${maps}/x`, { body: operations, type: 'application/json-patch+json' });
    await isServed();
  });

  test('bodies that are too large or too slow', async () => {
    const large = JSON.stringify({ metadata: { name: 'large' }, data: { a: 'x'.repeat(3 * 1024 * 1024) } });
    await refused(413, 'POST', maps, { body: large });
    await refused(413, 'PUT', `${maps}/large`, { body: large });
    const head = `POST ${maps} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${adminToken}\r\ncontent-type: application/json\r\n`;
    // A server of its own, as the others' clients may be slow.
    const hastyState = createState();
    const hasty = await startServerProcess(hastyState, { controllers: false, requestTimeoutMs: 1_000 });
    try {
      const slow = [`${head}content-length: 100\r\n\r\n{"a"`, `${head}x: `];
      const answers = await Promise.all(slow.map((text) => raw(text, '', hasty.port)));
      for (const answer of answers) match(answer, /^HTTP\/1\.1 4\d\d /);
    } finally {
      await hasty.end('SIGKILL');
      removeState(hastyState);
    }
    match(await raw(head, `x: ${'y'.repeat(100_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
    match(await raw('GARBAGE\r\n\r\n'), /^HTTP\/1\.1 400 /);
    match(await raw(`${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`), /^HTTP\/1\.1 400 /);
    await isServed();
  });

  test('bad tokens and users without rights', async () => {
    const tokens = ['', 'x', `${adminToken}x`, 'a.b.c', 'eyJhbGciOiJub25lIn0.e30.', '\u00ff', 'x'.repeat(20_000)];
    for (const token of tokens) {
      const answer = await refused(401, 'GET', maps, { headers: { authorization: `Bearer ${token}` } });
      equal(answer.body['message'], 'Unauthorized');
    }
    await refused(401, 'GET', maps, { headers: { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` } });
    const nobody = { headers: { authorization: 'Bearer token-of-user-nobody' } };
    for (const path of [maps, `${maps}/x`, '/api/v1/nothing', '/apis/x/v1/y', '/api/v1/secrets']) {
      await refused(403, 'GET', path, nobody);
    }
    await refused(403, 'POST', maps, { ...nobody, body: '{' });
    await isServed();
  });

  test('path tricks address nothing', async () => {
    const paths = [
      `${maps}/..`,
      `${maps}/../secrets`,
      `${maps}/%2e%2e/secrets`,
      `${maps}/..%2fsecrets`,
      `${maps}/a%2f..%2fb`,
      '/api/v1//namespaces',
      '//api/v1/namespaces',
      '/api/v1/namespaces/default/configmaps/a/b/c/d',
      '/api/v1/namespaces/%2e%2e/configmaps',
      '/api',
      '/apis/%00/v1',
      `/apis/${'x'.repeat(30_000)}/v1/y`,
      '/api/v1/namespaces/default/configmaps/%00',
      '/api/v1/namespaces/default/configmaps/%c0%ae%c0%ae',
      '/api/v1/namespaces/default/__proto__',
      '/apis/constructor/v1/prototype',
      '/openapi/v3/../../etc/passwd',
    ];
    for (const path of paths) {
      const { status, text } = await call('GET', path);
      ok(path === '/api' ? status === 200 : status === 404 || status === 400, `${path.slice(0, 60)}: ${status}`);
      ok(!text.includes('root:'), path);
    }
    await refused(405, 'BREW', maps).catch(() => undefined);
    await refused(405, 'PATCH', maps, { body: {}, type: 'application/merge-patch+json' });
    await isServed();
  });

  test('media types that are not spoken', async () => {
    for (const type of ['application/xml', 'text/plain', 'multipart/form-data', 'x', 'application/json-patch+json;x']) {
      ok([415, 400].includes((await call('POST', maps, { body: '<a/>', type })).status), type);
    }
    await refused(415, 'PATCH', `${maps}/x`, { body: {}, type: 'application/json' });
    await refused(406, 'GET', maps, { headers: { accept: 'text/html' } });
    await refused(406, 'GET', maps, { headers: { accept: 'application/xml, text/*' } });
    equal((await call('GET', maps, { headers: { accept: 'text/html, */*' } })).status, 200);
  });

  test('a flood of one user is turned away with Retry-After while another is served', async (t) => {
    // Requests whose bodies never come are under way for as long as we like.
    const head = `POST ${maps} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${adminToken}\r\ncontent-type: application/json\r\n`;
    const held: TLSSocket[] = [];
    t.after(() => held.forEach((socket) => socket.destroy()));
    for (let i = 0; i < 250; i++) {
      const socket = openSocket();
      // Some of them are turned away.
      socket.on('error', () => undefined);
      socket.write(`${head}content-length: 100\r\n\r\n{`);
      held.push(socket);
    }
    const turnedAway = await eventually(async () => {
      const answer = await call('GET', maps);
      return answer.status === 429 && answer;
    }, 'the flood is as much as one user may have');
    equal(turnedAway.headers['retry-after'], '1');
    const other = await call('GET', '/api/v1/namespaces/default', {
      headers: { authorization: 'Bearer token-of-user-other' },
    });
    equal(other.status, 200);
    for (const socket of held) socket.destroy();
    await eventually(async () => (await call('GET', maps)).status === 200, 'who floods no more is served');
    await isServed();
  });

  test(`${watchers} watchers that never read are dropped or wait, in bounded memory`, async (t) => {
    const sockets: TLSSocket[] = [];
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    for (let i = 0; i < watchers; i += 100) {
      await Promise.all(Array.from({ length: 100 }, () => openSlowWatcher(sockets)));
    }
    const beforeMb = residentMb(server.pid);
    const value = 'x'.repeat(200 * 1024);
    equal((await call('POST', maps, { body: { metadata: { name: 'big' }, data: { value } } })).status, 201);
    for (let i = 0; i < 40; i++) {
      const answer = await call('PUT', `${maps}/big`, {
        body: { metadata: { name: 'big' }, data: { value: value + i } },
      });
      equal(answer.status, 200);
    }
    // 8 MB went to each: 8 GB, were they kept for everybody.
    const grownMb = residentMb(server.pid) - beforeMb;
    ok(grownMb < 1200, `grew by ${grownMb} MB`);
    await isServed();
  });

  const openSlowWatcher = (sockets: TLSSocket[]): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = openSocket();
      sockets.push(socket);
      socket.on('error', reject);
      socket.once('secureConnect', () => {
        socket.off('error', reject);
        socket.on('error', () => undefined);
        const headers = `host: x\r\nauthorization: Bearer ${adminToken}\r\n`;
        socket.write(`GET ${maps}?watch=1 HTTP/1.1\r\n${headers}\r\n`);
        socket.once('data', () => {
          socket.pause();
          resolve();
        });
      });
    });
});

function residentMb(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(line?.[1]) / 1024);
}
