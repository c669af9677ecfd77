/** A kernel without IPv6: everything works over IPv4, and the node says so once. */
import { deepEqual, equal, match } from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { kinds } from '../../src/api/index.ts';
import {
  createService,
  eventually,
  insideTestTimeoutMs,
  isInside,
  isReady,
  isRoot,
  openTestCluster,
  runInside,
} from './runtime-cluster.ts';

if (!isInside) {
  describe('a machine without IPv6', { timeout: 2 * insideTestTimeoutMs }, () => {
    for (const asUser of isRoot ? [false, true] : [true]) {
      test(
        `has a mesh of IPv4 ${asUser ? 'in a user namespace' : 'as root'}`,
        { timeout: insideTestTimeoutMs },
        async () => {
          const { code, output } = await runInside(import.meta.filename, { asUser });
          equal(code, 0, output);
        },
      );
    }
  });
} else {
  test('pods, Services and names work without IPv6', { timeout: 120_000 }, async () => {
    for (const scope of ['all', 'default']) writeFileSync(`/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`, '1');
    await using cluster = await openTestCluster({ nodes: 2 });
    const answer = "require('node:http').createServer((q, r) => r.end('hello')).listen(8080, '0.0.0.0')";
    const container = (script: string): object => ({
      automountServiceAccountToken: false,
      containers: [{ name: 'main', image: 'none', command: [process.execPath, '-e', script] }],
    });
    await cluster.startPod('server', container(answer) as never, { node: 2 });
    await cluster.startPod('caller', container('setInterval(() => {}, 1000)') as never);
    const server = await cluster.podIs('server', 'Ready', isReady);
    await cluster.podIs('caller', 'Ready', isReady);
    deepEqual(server.status?.podIPs, [{ ip: server.status?.podIP }]);
    deepEqual((await cluster.client.get(kinds.Node, 'node-1')).spec?.podCIDRs, ['10.244.1.0/24']);
    await createService(cluster.client, { name: 'web', port: 80, targetPort: 8080, pods: [server] });
    const { pid } = await cluster.container('caller');
    const ask = `${process.execPath} -e "fetch('http://web.default.svc.cluster.local').then((r)=>r.text()).then(console.log,(e)=>console.log(e.cause.code))"`;
    match(
      await eventually('the Service', async () => {
        const said = await cluster.exec(pid, ask);
        return said.includes('hello') ? said : undefined;
      }),
      /hello/,
    );
    for (const node of cluster.nodes) {
      equal(node.output().match(/IPv6 is switched off here/g)?.length, 1);
      equal(node.output().match(/"level":"error"|\bERROR\b/gi)?.length ?? 0, 0, node.output());
    }
  });
}
