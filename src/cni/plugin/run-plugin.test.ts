import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { runCniPlugin } from './run-plugin.ts';

const prevResult = { cniVersion: '0.4.0', ips: [{ address: '10.0.0.2/24' }], custom: { kept: [1, 2] } };
const config = { cniVersion: '0.4.0', name: 'net', type: 'istio-cni', cni_agent_run_dir: '/nowhere', prevResult };
const env = {
  CNI_COMMAND: 'ADD',
  CNI_NETNS: '/proc/1/ns/net',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web',
};

async function run(
  change: { env?: object; config?: object | string } = {},
): Promise<{ code: number; answer: Record<string, unknown> }> {
  const stdin = typeof change.config === 'string' ? change.config : JSON.stringify({ ...config, ...change.config });
  const { exitCode, stdout } = await runCniPlugin({ env: { ...env, ...change.env }, stdin });
  return { code: exitCode, answer: stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>) };
}

test('what is not Kubernetes, or excluded, or the agent itself passes with the result of before', async () => {
  for (const args of [
    '',
    'K8S_POD_NAME=x',
    'K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=dns',
    'K8S_POD_NAMESPACE=istio-system;K8S_POD_NAME=istio-cni-node-x',
  ])
    deepEqual(await run({ env: { CNI_ARGS: args } }), { code: 0, answer: prevResult }, args);
});

test('without agent and API a pod waits: nobody knows whether it belongs to the mesh', async () => {
  const { code, answer } = await run();
  deepEqual([code, answer['code'], answer['cniVersion']], [1, 11, '0.4.0']);
  match(String(answer['msg']), /shop\/web has to wait for the node agent.*istio-cni-node/);
});

test('errors are answers in the protocol', async () => {
  equal((await run({ config: 'nonsense' })).answer['code'], 6);
  equal((await run({ config: { cniVersion: '9.9.9' } })).answer['code'], 1);
  equal((await run({ config: { prevResult: undefined } })).answer['code'], 7);
  equal((await run({ env: { CNI_NETNS: '' } })).answer['code'], 4);
  equal((await run({ env: { CNI_COMMAND: undefined } })).answer['code'], 4);
});

test('a configuration of other types than it should have lets nobody out of the mesh', async () => {
  for (const [wrong, named] of [
    [{ exclude_namespaces: 'shop,kube-system' }, /exclude_namespaces/],
    [{ exclude_namespaces: [1] }, /exclude_namespaces/],
    [{ cni_agent_run_dir: 7 }, /cni_agent_run_dir/],
    [{ pod_namespace: ['shop'] }, /pod_namespace/],
    [{ cniVersion: 1 }, /cniVersion/],
    [{ prevResult: 'none' }, /prevResult/],
    [{ prevResult: { ips: '10.0.0.1' } }, /prevResult\.ips/],
    [{ prevResult: { ips: [{ address: 1 }] } }, /prevResult\.ips/],
  ] as const) {
    const { code, answer } = await run({ config: wrong });
    deepEqual([code, answer['code']], [1, 7], JSON.stringify(wrong));
    match(String(answer['msg']), named);
  }
  for (const config of ['null', '[]', '"text"']) equal((await run({ config })).answer['code'], 6, config);
});

test('pods are let go whatever is wrong', async () => {
  for (const CNI_COMMAND of ['DEL', 'CHECK', 'GC', 'STATUS']) equal((await run({ env: { CNI_COMMAND } })).code, 0);
  for (const CNI_COMMAND of ['DEL', 'GC'])
    for (const config of ['', 'nonsense', 'null', '{"cniVersion":"9.9.9"}'])
      deepEqual(await run({ env: { CNI_COMMAND }, config }), { code: 0, answer: {} }, config);
});
