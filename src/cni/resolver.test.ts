import { deepEqual, equal, ok } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Pod } from '../api/index.ts';
import { parseResolvConf, plannedResolver, PodResolvers, readResolvConfOf, type ClusterDns } from './resolver.ts';

const cluster: ClusterDns = {
  nameservers: ['10.96.0.10'],
  clusterDomain: 'cluster.local',
  nodeResolvConf: 'nameserver 192.168.1.1\nsearch lan\n',
};

function podWith(spec: Partial<Pod['spec']>): Pod {
  return { metadata: { name: 'a', namespace: 'shop', uid: 'u' }, spec: { containers: [], ...spec } } as Pod;
}

test('a resolv.conf is read as resolvers read it', () => {
  deepEqual(
    parseResolvConf(
      '# comment\nnameserver 10.96.0.10 ; main\nnameserver fd00::10\nsearch a.b b\nsearch shop.svc svc\noptions rotate ndots:5 timeout:1\n',
    ),
    { nameservers: ['10.96.0.10', 'fd00::10'], search: ['shop.svc', 'svc'], ndots: 5 },
  );
  deepEqual(parseResolvConf('nameserver 1.1.1.1\ndomain lan')?.search, ['lan']);
});

test('resolvers on loopback, beyond the third, or no addresses are left out', () => {
  equal(parseResolvConf('nameserver 127.0.0.53\n'), undefined);
  equal(parseResolvConf('search x\n'), undefined);
  deepEqual(
    parseResolvConf(
      ['::1', 'fe80::1%eth0', '1.1.1.1', '1.1.1.1', '2.2.2.2', '3.3.3.3', '4.4.4.4']
        .map((ip) => `nameserver ${ip}`)
        .join('\n'),
    )?.nameservers,
    ['1.1.1.1', '2.2.2.2', '3.3.3.3'],
  );
});

test('search lists that a packet cannot hold are cut', () => {
  const search = Array.from({ length: 40 }, (_, i) => `domain-number-${i}.example.com`);
  const found = parseResolvConf(`nameserver 1.1.1.1\nsearch ${search.join(' ')}`)?.search ?? [];
  ok(found.length > 5 && found.length < 20);
  deepEqual(found, search.slice(0, found.length));
});

test("what is planned follows the pod's policy and its own settings", () => {
  deepEqual(plannedResolver(podWith({}), cluster), {
    nameservers: ['10.96.0.10'],
    search: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
    ndots: 5,
  });
  deepEqual(plannedResolver(podWith({ dnsPolicy: 'Default' }), cluster), {
    nameservers: ['192.168.1.1'],
    search: ['lan'],
    ndots: 1,
  });
  const dnsConfig = { nameservers: ['9.9.9.9'], searches: ['corp'], options: [{ name: 'ndots', value: '2' }] };
  deepEqual(plannedResolver(podWith({ dnsPolicy: 'None', dnsConfig }), cluster), {
    nameservers: ['9.9.9.9'],
    search: ['corp'],
    ndots: 2,
  });
  equal(plannedResolver(podWith({}), { ...cluster, nameservers: [] }), undefined);
});

test('a pod never has more resolvers than at first', () => {
  const resolvers = new PodResolvers(cluster, () => undefined);
  equal(resolvers.of(podWith({}))?.nameservers.length, 1);
  const more = podWith({ dnsConfig: { nameservers: ['9.9.9.9'] } });
  deepEqual(resolvers.of(more)?.nameservers, ['10.96.0.10']);
  resolvers.forget('u');
  equal(resolvers.of(more)?.nameservers.length, 2);
});

test('a pod whose containers are others is looked at again, and keeps what it had until it is seen', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'resolv-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'root', 'etc', 'resolv.conf');
  mkdirSync(join(folder, 'root', 'etc'), { recursive: true });
  const resolvers = new PodResolvers(cluster, () => folder);
  const running = (containerID: string | undefined): Pod => {
    const status = { name: 'a', ready: true, restartCount: 0, image: '', imageID: '', state: { running: {} } };
    return {
      ...podWith({}),
      status: { containerStatuses: containerID === undefined ? [] : [{ ...status, containerID }] },
    };
  };
  const seen = (containerID: string | undefined): readonly string[] | undefined =>
    resolvers.of(running(containerID))?.nameservers;
  writeFileSync(file, 'nameserver 9.9.9.9\n');
  deepEqual(seen('one'), ['9.9.9.9']);
  writeFileSync(file, 'nameserver 8.8.8.8\n');
  deepEqual(seen('one'), ['9.9.9.9']);
  deepEqual(seen(undefined), ['9.9.9.9']);
  rmSync(file);
  deepEqual(seen('two'), ['9.9.9.9']);
  writeFileSync(file, 'nameserver 8.8.8.8\n');
  deepEqual(seen('two'), ['8.8.8.8']);
});

test('what a pod puts in place of its resolv.conf holds nobody up', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'resolv-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const etc = join(folder, 'root', 'etc');
  mkdirSync(etc, { recursive: true });
  const file = join(etc, 'resolv.conf');
  equal(readResolvConfOf(folder), undefined);
  writeFileSync(file, 'nameserver 10.96.0.10\n');
  deepEqual(readResolvConfOf(folder)?.nameservers, ['10.96.0.10']);
  // Without end.
  writeFileSync(file, `${'#\n'.repeat(40_000)}nameserver 10.96.0.10\n`);
  equal(readResolvConfOf(folder), undefined);
  rmSync(file);
  symlinkSync('/dev/full', file);
  equal(readResolvConfOf(folder), undefined);
  rmSync(file);
  // Opening it waits for a writer.
  execFileSync('mkfifo', [file]);
  equal(readResolvConfOf(folder), undefined);
});
