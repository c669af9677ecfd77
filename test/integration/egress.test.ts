import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { decode, encode } from 'dns-packet';
import { eventually, insideTestTimeoutMs, isInside, isRoot, runInside } from './runtime-cluster.ts';

const ambit = join(import.meta.dirname, '../../src/bin/ambit.ts');
const run = async (...args: string[]): Promise<string> =>
  (
    await promisify(execFile)(process.execPath, [ambit, ...args], {
      timeout: 150_000,
      env: { PATH: process.env['PATH'] },
    })
  ).stdout;
/** Prints what a TCP server says, or the error; says `hello` first. */
const call = (host: string, port: number): string =>
  `const s=require('node:net').connect(${port},'${host}');s.setTimeout(20000,()=>s.destroy(new Error('timeout')));s.on('data',(d)=>process.stdout.write(d));s.on('connect',()=>s.end('hello'));s.on('error',(e)=>process.stdout.write(e.code||e.message));`;

if (!isInside) {
  describe('the way out', { timeout: 2 * insideTestTimeoutMs }, () => {
    for (const asUser of isRoot ? [false, true] : [true]) {
      const how = asUser ? 'in a user namespace' : 'as root';
      // Of a test, or that of all tests holds.
      test(`works ${how}`, { timeout: insideTestTimeoutMs }, async () => {
        const { code, output } = await runInside(import.meta.filename, { asUser });
        equal(code, 0, output);
      });
    }
  });
} else {
  // The network namespace that the test is in plays the host.
  describe('the way out, inside', { timeout: 570_000 }, () => {
    const state = mkdtempSync('/tmp/ambit-egress-');
    const hostAddress = '198.51.100.1';
    const closers: (() => void)[] = [];
    const asked: string[] = [];
    const listen = async (host: string): Promise<number> => {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {});
        socket.on('data', (data) => socket.write(`${String(data)} from ${host}`));
        socket.on('end', () => socket.end());
      });
      server.listen(0, host);
      await once(server, 'listening');
      closers.push(() => server.close());
      return (server.address() as AddressInfo).port;
    };
    const inPod = (script: string): Promise<string> =>
      run('exec', '--state', state, 'caller', '--', process.execPath, '-e', script);
    let ports: { own: number; loopback: number; v6: number };

    before(async () => {
      const shell = (script: string): Promise<unknown> => promisify(execFile)('sh', ['-ec', script]);
      await shell(
        `ip link add wan type bridge; ip addr add ${hostAddress}/24 dev wan; ip addr add 2001:db8::1/64 dev wan nodad; ip link set wan up`,
      );
      writeFileSync(join(state, 'resolv.conf'), `nameserver ${hostAddress}\n`);
      await shell(`mount --bind ${state}/resolv.conf $(readlink -f /etc/resolv.conf)`);
      ports = { own: await listen(hostAddress), loopback: await listen('127.0.0.1'), v6: await listen('2001:db8::1') };
      const resolver = createSocket('udp4', (message, from) => {
        const query = decode(message);
        const name = query.questions?.[0]?.name ?? '';
        asked.push(name);
        const isKnown = name === 'www.example.com' && query.questions?.[0]?.type === 'A';
        resolver.send(
          encode({
            type: 'response',
            id: query.id ?? 0,
            flags: name === 'www.example.com' ? 0x8180 : 0x8183,
            questions: query.questions ?? [],
            answers: isKnown ? [{ type: 'A', name, ttl: 5, data: hostAddress }] : [],
          }),
          from.port,
          from.address,
        );
      });
      resolver.bind(53, hostAddress);
      await once(resolver, 'listening');
      closers.push(() => resolver.close());
      const container = (script: string): object[] => [
        { name: 'main', image: 'none', command: [process.execPath, '-e', script] },
      ];
      const web =
        "require('node:http').createServer((q, r) => r.end('web ' + q.url)).listen(8080); setInterval(() => {}, 1000)";
      const objects = [
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'caller', namespace: 'default' },
          spec: { containers: container('setInterval(() => {}, 1000)') },
        },
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'web', namespace: 'default', labels: { app: 'web' } },
          spec: { containers: container(web) },
        },
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'web', namespace: 'default' },
          spec: {
            type: 'LoadBalancer',
            selector: { app: 'web' },
            ports: [{ name: 'http', port: 80, targetPort: 8080 }],
          },
        },
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'elsewhere', namespace: 'default' },
          spec: { type: 'ExternalName', externalName: 'www.example.com' },
        },
      ];
      const manifest = join(state, 'objects.json');
      writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
      await run(
        'up',
        '--state',
        state,
        '--nodes',
        '1',
        '--bare',
        '--egress',
        '--publish',
        '18080:default/web:http',
        '-f',
        manifest,
      );
    });
    after(async () => {
      await run('down', '--state', state).catch(() => {});
      for (const close of closers) close();
      rmSync(state, { recursive: true, force: true });
    });

    test('a pod reaches an address of the host by number and by name', async () => {
      equal(await inPod(call(hostAddress, ports.own)), `hello from ${hostAddress}`);
      equal(await inPod(call('2001:db8::1', ports.v6)), 'hello from 2001:db8::1');
      equal(await inPod(call('www.example.com', ports.own)), `hello from ${hostAddress}`);
      equal(await inPod(call('elsewhere.default.svc.cluster.local', ports.own)), `hello from ${hostAddress}`);
      ok(!asked.some((name) => name.endsWith('cluster.local')), asked.join(' '));
      const missing = "require('node:dns').lookup('no.example.com', (e) => process.stdout.write(e.code))";
      match(await inPod(missing), /ENOTFOUND/);
    });

    test('the loopback of the host stays its own, by whatever name it is called', async () => {
      for (const host of ['127.0.0.1', '0.0.0.0', '::ffff:127.0.0.1', '169.254.169.254'])
        match(await inPod(call(host, ports.loopback)), /ECONN|EHOSTUNREACH|ENETUNREACH|EINVAL/, host);
    });

    test('a port where nobody listens is an error at once', async () => {
      match(await inPod(call(hostAddress, 1)), /ECONNRESET|ECONNREFUSED/);
    });

    test('what is not TCP or DNS is refused', async () => {
      const udp = `const u=require('node:dgram').createSocket('udp4');u.connect(9999,'${hostAddress}',()=>{u.on('error',(e)=>{console.log(e.code);process.exit()});setInterval(()=>u.send('x'),100)});setTimeout(()=>process.exit(),60000)`;
      match(await inPod(udp), /ECONNREFUSED/);
      const elsewhere = `const r=new (require('node:dns').promises.Resolver)();r.setServers(['192.0.2.53']);r.resolve4('www.example.com').then((a)=>console.log(a.join()))`;
      equal((await inPod(elsewhere)).trim(), hostAddress);
    });

    test('a published Service answers on the loopback of the host, and is listed', async () => {
      const answer = await eventually('the Service', async () => {
        try {
          return await (await fetch('http://127.0.0.1:18080/here')).text();
        } catch {
          return undefined;
        }
      });
      equal(answer, 'web /here');
      match(await run('status', '--state', state), /^127\.0\.0\.1:18080 is default\/web:http$/m);
    });

    test('without --egress connections are refused at once', async () => {
      await run('down', '--state', state);
      const record = JSON.parse(readFileSync(join(state, 'mesh.json'), 'utf8')) as Record<string, unknown>;
      delete record['egress'];
      writeFileSync(join(state, 'mesh.json'), JSON.stringify(record));
      await run('up', '--state', state);
      await eventually('the pod', async () =>
        (await inPod('console.log(1)').catch(() => '')).includes('1') ? true : undefined,
      );
      // Not by its own timeout, as it would be without a word.
      match(await inPod(call(hostAddress, ports.own)), /ENETUNREACH|EHOSTUNREACH|ECONNREFUSED/);
      deepEqual(record['publish'], ['18080:default/web:http']);
    });
  });
}
