import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual, promisify } from 'node:util';
import { kinds, type Pod, type Service, type ServiceSpec } from '../../src/api/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { startControllers, startLoadBalancers } from '../../src/local/controllers/index.ts';
import {
  followServices,
  loadBalancerCidr,
  loadBalancerCidr6,
  meshFamilies,
  ServiceProxy,
} from '../../src/local/network/index.ts';
import {
  eventually,
  insideTestTimeoutMs,
  isInside,
  isReady,
  isRoot,
  openTestCluster,
  runInside,
  type TestCluster,
} from './runtime-cluster.ts';

/** Answers TCP on 8080 and 9090 and UDP on 8080 with its name and the caller's address, over both families. */
const server = (name: string, ports = '8080,9090'): string[] => [
  process.execPath,
  '-e',
  `for (const port of [${ports}]) require('node:net').createServer((s) => { s.on('error', () => {}); s.end('${name} ' + port + ' ' + s.remoteAddress.replace('::ffff:', '')); }).listen(port);
   const u = require('node:dgram').createSocket({type: 'udp6'}); u.on('message', (m, from) => u.send('${name} udp', from.port, from.address)); u.bind(8080);`,
];
/** Prints what a TCP server says, or the error. */
const call = (host: string, port: number): string =>
  `${process.execPath} -e "const s=require('node:net').connect(${port},'${host}');s.setTimeout(4000,()=>s.destroy(new Error('timeout')));s.on('data',(d)=>process.stdout.write(d));s.on('error',(e)=>process.stdout.write(e.code||e.message))"`;
const lookup = (name: string, type: string): string =>
  `${process.execPath} -e "const d=new (require('node:dns').promises.Resolver)();d.setServers(['10.244.1.1']);d.resolve('${name}','${type}').then((r)=>console.log(JSON.stringify(r)),(e)=>console.log(e.code))"`;

if (!isInside) {
  describe('Services and families', { timeout: 2 * insideTestTimeoutMs }, () => {
    for (const asUser of isRoot ? [false, true] : [true]) {
      test(`work ${asUser ? 'in a user namespace' : 'as root'}`, { timeout: insideTestTimeoutMs }, async () => {
        const { code, output } = await runInside(import.meta.filename, { asUser });
        equal(code, 0, output);
      });
    }
  });
} else {
  describe('Services and families, inside', { timeout: 570_000 }, () => {
    let cluster: TestCluster;
    const stop = new AbortController();
    let pods: Pod[];
    const remoteCaller = 'away';
    const nodes = new Map<number, string>();

    const inPod = async (script: string, name = 'caller'): Promise<string> =>
      cluster.exec((await cluster.container(name, name === remoteCaller ? 2 : 1)).pid, script);
    /** From the namespace of the bridge, where the forwarders of the host end. */
    const outside = async (script: string): Promise<string> =>
      (await promisify(execFile)('sh', ['-c', script], { timeout: 60_000 })).stdout;
    const onNode = (index: number, script: string): Promise<string> =>
      outside(`exec nsenter --net=/run/netns/node-${index} ${script}`);
    const create = (name: string, spec: ServiceSpec): Promise<Service> =>
      cluster.client.create(kinds.Service, { metadata: { name, namespace: 'default' }, spec });
    const answers = (what: string, ask: () => Promise<string>, wanted: RegExp): Promise<string> =>
      eventually(what, async () => {
        const answer = await ask();
        return wanted.test(answer) ? answer : undefined;
      });
    const many = async (count: number, ask: () => Promise<string>): Promise<Set<string>> => {
      const seen = new Set<string>();
      for (let i = 0; i < count; i++) seen.add((await ask()).split(' ')[0] ?? '');
      return seen;
    };
    /** Asks until everybody of `wanted` has answered, as the kernel draws who does; nobody else may. */
    const allOf = (what: string, ask: () => Promise<string>, wanted: readonly string[]): Promise<unknown> => {
      const seen = new Set<string>();
      return eventually(`${wanted.join(' and ')} at ${what}`, async () => {
        const answer = await ask();
        const who = wanted.find((each) => answer.startsWith(each));
        ok(who !== undefined, answer);
        return seen.add(who).size === wanted.length ? true : undefined;
      });
    };

    before(async () => {
      cluster = await openTestCluster({ nodes: 2 });
      const { client } = cluster;
      const options = { client, log: silentLog(), signal: stop.signal };
      const rootCaPem = readFileSync(join(cluster.stateDir, 'pki/apiserver-ca.pem'), 'utf8');
      await startControllers({ ...options, rootCaPem });
      await startLoadBalancers({
        ...options,
        clock: systemClock,
        pools: { IPv4: loadBalancerCidr, IPv6: loadBalancerCidr6 },
      });
      const view = followServices({ ...options, onChange: (key) => proxy.changed(key) });
      const proxy = new ServiceProxy({
        ...view,
        scope: { families: meshFamilies() },
        clock: systemClock,
        log: silentLog(),
      });
      await view.synced;
      proxy.start();
      stop.signal.addEventListener('abort', () => proxy.close());
      for (const [name, node, ports] of [
        ['web-a', 1, 8080],
        ['web-b', 2, 9090],
      ] as const) {
        await cluster.startPod(
          name,
          {
            hostname: name,
            subdomain: 'headless',
            containers: [
              { name: 'main', image: 'none', command: server(name), ports: [{ name: 'http', containerPort: ports }] },
            ],
          },
          { node, labels: { app: 'web' } },
        );
      }
      await cluster.startPod('caller', {
        containers: [{ name: 'main', image: 'none', command: ['sleep', '1000'] }],
      });
      await cluster.startPod(
        'away',
        { containers: [{ name: 'main', image: 'none', command: ['sleep', '1000'] }] },
        { node: 2 },
      );
      pods = [await cluster.podIs('web-a', 'Ready', isReady), await cluster.podIs('web-b', 'Ready', isReady)];
      await cluster.podIs('caller', 'Ready', isReady);
      await cluster.podIs('away', 'Ready', isReady);
      nodes.set(1, '172.30.1.1').set(2, '172.30.1.2');
    });
    after(async () => {
      stop.abort();
      await cluster?.[Symbol.asyncDispose]();
    });

    test('pods and nodes have an address of each family, and reach each other over both', async () => {
      deepEqual(
        pods[0]?.status?.podIPs?.map(({ ip }) => ip.replace(/\d+$/, 'N')),
        ['10.244.1.N', 'fd00:244:1::N'],
      );
      deepEqual(pods[1]?.status?.hostIPs, [{ ip: '172.30.1.2' }, { ip: 'fd00:172:30:1::2' }]);
      const node = await cluster.client.get(kinds.Node, 'node-1');
      deepEqual(node.spec?.podCIDRs, ['10.244.1.0/24', 'fd00:244:1::/64']);
      for (const pod of pods) {
        for (const { ip } of pod.status?.podIPs ?? []) {
          // Ready says that the process runs; it listens a moment later.
          await answers(
            ip,
            () => inPod(call(ip, 8080)),
            new RegExp(`^${pod.metadata.name} 8080 (10\\.244\\.1|fd00:244:1)`),
          );
        }
      }
      // What is nobody's address is refused at once.
      match(await inPod(call('2001:db8::1', 80)), /EHOSTUNREACH|ENETUNREACH|ECONNREFUSED|EACCES/);
      match(await inPod(call('fd00:10:96::9999', 80)), /ECONNREFUSED/);
      match(await inPod(call('203.0.113.1', 80)), /EHOSTUNREACH|ENETUNREACH|ECONNREFUSED/);
    });

    test('several ports, by number and by the name that each pod gives it, over both families', async () => {
      const { spec } = await create('web', {
        selector: { app: 'web' },
        ipFamilyPolicy: 'RequireDualStack',
        ports: [
          { name: 'named', port: 80, targetPort: 'http' },
          { name: 'number', port: 81, targetPort: 9090 },
          { name: 'udp', port: 82, targetPort: 8080, protocol: 'UDP' },
        ],
      });
      const [v4 = '', v6 = ''] = spec?.clusterIPs ?? [];
      match(v6, /^fd00:10:96::/);
      for (const ip of [v4, v6]) {
        await answers(`port 80 of ${ip}`, () => inPod(call(ip, 80)), /^web-a 8080|^web-b 9090/);
        await allOf(`port 80 of ${ip}`, () => inPod(call(ip, 80)), ['web-a 8080', 'web-b 9090']);
        match(await inPod(call(ip, 81)), /^web-[ab] 9090/);
        match(await inPod(call(ip, 99)), /ECONNREFUSED/);
        // From a node, and from the namespace of the bridge.
        await answers('from a node', () => onNode(2, call(ip, 81)), /^web-[ab] 9090/);
        await answers('from the bridge', () => outside(call(ip, 81)), /^web-[ab] 9090/);
        const udp = `${process.execPath} -e "const u=require('node:dgram').createSocket('udp${ip === v4 ? 4 : 6}');u.on('message',(m)=>{console.log(String(m));process.exit()});setInterval(()=>u.send('x',82,'${ip}'),200);setTimeout(()=>process.exit(),20000)"`;
        match(await inPod(udp), /^web-[ab] udp/);
      }
      const slices = (await cluster.client.list(kinds.EndpointSlice, { namespace: 'default' })).items;
      const families = slices
        .filter(({ metadata }) => metadata.name?.startsWith('web-'))
        .map((each) => each.addressType);
      deepEqual(new Set(families), new Set(['IPv4', 'IPv6']));
    });

    test('session affinity keeps a client at one endpoint until the endpoint goes', async () => {
      const { spec } = await create('sticky', {
        selector: { app: 'web' },
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 100 } },
        ports: [{ port: 80, targetPort: 8080 }],
      });
      const ip = spec?.clusterIP ?? '';
      await answers('sticky', () => inPod(call(ip, 80)), /^web/);
      const mine = await many(10, () => inPod(call(ip, 80)));
      equal(mine.size, 1);
      // The same through another node's pod.
      await answers('sticky elsewhere', () => inPod(call(ip, 80), remoteCaller), /^web/);
      equal((await many(10, () => inPod(call(ip, 80), remoteCaller))).size, 1);
      const [name = ''] = mine;
      const bound = pods.find((pod) => pod.metadata.name === name);
      await cluster.client.patch(
        kinds.Pod,
        name,
        'default',
        { metadata: { labels: { app: 'gone' } } },
        { type: 'merge' },
      );
      const other = name === 'web-a' ? 'web-b' : 'web-a';
      await answers('the other endpoint', () => inPod(call(ip, 80)), new RegExp(`^${other}`));
      await cluster.client.patch(
        kinds.Pod,
        name,
        'default',
        { metadata: { labels: { app: 'web' } } },
        { type: 'merge' },
      );
      ok(bound);
      equal((await many(6, () => inPod(call(ip, 80)))).size, 1);
    });

    test('internalTrafficPolicy Local knows the own node alone', async () => {
      const { spec } = await create('local', {
        selector: { app: 'web' },
        internalTrafficPolicy: 'Local',
        ports: [{ port: 80, targetPort: 8080 }],
      });
      const ip = spec?.clusterIP ?? '';
      await answers('local', () => inPod(call(ip, 80)), /^web/);
      await answers('local elsewhere', () => inPod(call(ip, 80), remoteCaller), /^web/);
      deepEqual([...(await many(6, () => inPod(call(ip, 80))))], ['web-a']);
      deepEqual([...(await many(6, () => inPod(call(ip, 80), remoteCaller)))], ['web-b']);
    });

    test('node ports answer on every node, for callers elsewhere too', async () => {
      const created = await create('ports', {
        type: 'NodePort',
        selector: { app: 'web' },
        ipFamilyPolicy: 'PreferDualStack',
        ports: [{ port: 80, targetPort: 8080 }],
      });
      const port = created.spec?.ports?.[0]?.nodePort ?? 0;
      ok(port >= 30_000 && port <= 32_767);
      for (const ip of ['172.30.1.1', '172.30.1.2', 'fd00:172:30:1::1', 'fd00:172:30:1::2']) {
        await answers(`node port at ${ip}`, () => outside(call(ip, port)), /^web/);
        await allOf(`node port at ${ip}`, () => outside(call(ip, port)), ['web-a', 'web-b']);
        await answers(`node port at ${ip}, from a pod`, () => inPod(call(ip, port)), /^web/);
        await answers(`node port at ${ip}, from a node`, () => onNode(1, call(ip, port)), /^web/);
      }
      match(await outside(call('172.30.1.1', port === 30_001 ? 30_002 : 30_001)), /ECONNREFUSED/);
      // externalTrafficPolicy Local: the endpoint on that node alone, which sees who calls.
      await cluster.client.patch(
        kinds.Service,
        'ports',
        'default',
        { spec: { externalTrafficPolicy: 'Local' } },
        { type: 'merge' },
      );
      await answers('who calls', () => outside(call('172.30.1.2', port)), /^web-b 8080 172\.30\.0\.1$/);
      deepEqual([...(await many(6, () => outside(call('172.30.1.2', port))))], ['web-b']);
    });

    test('a load balancer has an address that pods, nodes and the bridge reach', async () => {
      await create('balanced', {
        type: 'LoadBalancer',
        selector: { app: 'web' },
        ipFamilyPolicy: 'PreferDualStack',
        ports: [{ port: 80, targetPort: 8080 }],
      });
      const ips = await eventually('addresses', async () => {
        const { status } = await cluster.client.get(kinds.Service, 'balanced', 'default');
        const ingress = status?.loadBalancer?.ingress ?? [];
        return ingress.length === 2 ? ingress.map(({ ip }) => ip ?? '') : undefined;
      });
      match(ips[0] ?? '', /^172\.30\.2\.\d+$/);
      match(ips[1] ?? '', /^fd00:172:30:2::/);
      for (const ip of ips) {
        await answers(ip, () => inPod(call(ip, 80)), /^web/);
        await answers(ip, () => inPod(call(ip, 80), remoteCaller), /^web/);
        await answers(ip, () => onNode(2, call(ip, 80)), /^web/);
        await answers(ip, () => outside(call(ip, 80)), /^web/);
        match(await inPod(call(ip, 81)), /ECONNREFUSED/);
      }
      // Only some may come.
      await cluster.client.patch(
        kinds.Service,
        'balanced',
        'default',
        { spec: { loadBalancerSourceRanges: ['10.244.2.0/24'] } },
        { type: 'merge' },
      );
      await answers('refusal', () => inPod(call(ips[0] ?? '', 80)), /timeout/);
      match(await inPod(call(ips[0] ?? '', 80), remoteCaller), /^web/);
    });

    test('an external address, and endpoints that somebody wrote by hand', async () => {
      await create('manual', { externalIPs: ['172.30.9.9'], ports: [{ port: 80, targetPort: 8080 }] });
      await cluster.client.create(kinds.EndpointSlice, {
        metadata: { name: 'manual-x', namespace: 'default', labels: { 'kubernetes.io/service-name': 'manual' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: [pods[1]?.status?.podIP ?? ''] }],
        ports: [{ name: '', port: 8080, protocol: 'TCP' }],
      });
      await answers('the external address', () => inPod(call('172.30.9.9', 80)), /^web-b 8080/);
      await answers('the same from a node', () => onNode(1, call('172.30.9.9', 80)), /^web-b 8080/);
    });

    test('headless Services, external names and both kinds of address are in the DNS', async () => {
      await create('headless', {
        clusterIP: 'None',
        selector: { app: 'web' },
        ipFamilyPolicy: 'RequireDualStack',
        ports: [{ name: 'http', port: 80, targetPort: 'http' }],
      });
      await create('alias', { type: 'ExternalName', externalName: 'web.default.svc.cluster.local' });
      const all = async (name: string, type: string): Promise<string[]> =>
        (JSON.parse(await inPod(lookup(`${name}.default.svc.cluster.local`, type))) as string[]).sort();
      const ips = (family: 0 | 1): string[] => pods.map((pod) => pod.status?.podIPs?.[family]?.ip ?? '').sort();
      const found = (name: string, type: string, wanted: readonly unknown[]): Promise<unknown> =>
        eventually(`${name} ${type} is ${wanted.join()}`, async () =>
          isDeepStrictEqual(await all(name, type).catch(() => []), wanted) ? true : undefined,
        );
      await found('headless', 'A', ips(0));
      await found('headless', 'AAAA', ips(1));
      await found('web-b.headless', 'A', [pods[1]?.status?.podIP]);
      await found('web-b.headless', 'AAAA', [pods[1]?.status?.podIPs?.[1]?.ip]);
      const web = await cluster.client.get(kinds.Service, 'web', 'default');
      await found('alias', 'A', web.spec?.clusterIPs?.slice(0, 1) ?? []);
      deepEqual([await all('alias', 'A'), await all('alias', 'AAAA')].flat(), web.spec?.clusterIPs);
      notEqual(await inPod('getent hosts alias.default.svc.cluster.local || getent ahosts alias'), '');
    });

    test('a UDP flow leaves an endpoint that is gone', async () => {
      await cluster.startPod(
        'udp-a',
        { containers: [{ name: 'main', image: 'none', command: server('udp-a') }] },
        { labels: { app: 'udp' } },
      );
      await cluster.podIs('udp-a', 'Ready', isReady);
      const { spec } = await create('udp', {
        selector: { app: 'udp' },
        ports: [{ port: 53, targetPort: 8080, protocol: 'UDP' }],
      });
      // One socket that goes on asking: its flow is bound to the first endpoint.
      const asking = inPod(
        `${process.execPath} -e "const u=require('node:dgram').createSocket('udp4');u.bind(5555);let seen='';u.on('message',(m)=>{require('node:fs').writeFileSync('/tmp/answered','');if(!seen.includes(m))seen+=m+';';if(seen.includes('udp-b')){console.log(seen);process.exit()}});setInterval(()=>u.send('x',53,'${spec?.clusterIP}'),50);u.on('error',()=>{});setTimeout(()=>{console.log(seen+'too late');process.exit()},100000)"`,
      );
      await eventually('an answer', async () =>
        (await inPod('test -e /tmp/answered && echo yes || true')).includes('yes') ? true : undefined,
      );
      await cluster.startPod(
        'udp-b',
        { containers: [{ name: 'main', image: 'none', command: server('udp-b') }] },
        { node: 2, labels: { app: 'udp' } },
      );
      await cluster.podIs('udp-b', 'Ready', isReady);
      await cluster.client.patch(
        kinds.Pod,
        'udp-a',
        'default',
        { metadata: { labels: { app: 'x' } } },
        { type: 'merge' },
      );
      equal((await asking).trim(), 'udp-a udp;udp-b udp;');
    });
  });
}
