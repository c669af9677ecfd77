/** Access log lines and metrics of the ztunnels. */
import { callAdmin } from '../../src/cli/admin-call.ts';
import { eventually } from './run.ts';
import type { TestMesh } from './mesh.ts';

/** Waits for a line of the node's ztunnel with every one of `parts`. */
export async function accessLine(mesh: TestMesh, node: string, parts: readonly string[]): Promise<string> {
  const [line = ''] = await accessLines(mesh, node, [parts]);
  return line;
}

/** Waits for one line for each of `wanted`, as `accessLine` does for one. */
export async function accessLines(
  mesh: TestMesh,
  node: string,
  wanted: readonly (readonly string[])[],
): Promise<string[]> {
  return eventually(
    async () => {
      const [namespace, pod] = (await mesh.systemPod('ztunnel', node)).split('/');
      const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log`;
      const { body } = await mesh.client.raw({ method: 'GET', path });
      const lines = (await body.text()).split('\n');
      const found = wanted.map((parts) => lines.findLast((line) => parts.every((part) => line.includes(part))));
      return found.every((line) => line !== undefined) ? found : undefined;
    },
    `lines on ${node} with ${wanted.map((parts) => parts.join(' and ')).join(', ')}`,
  );
}

/** Waits until the node's ztunnel knows that it reaches `pod` by a tunnel: a moment after the pod is enrolled. */
export async function tunnelsTo(mesh: TestMesh, node: string, pod: string): Promise<void> {
  await eventually(async () => {
    const { stdout } = await mesh.ambit(['ztunnel-config', 'workloads', '--node', node, '-o', 'json']);
    const rows = JSON.parse(stdout) as { readonly name: string; readonly protocol: string }[];
    return rows.some(({ name, protocol }) => name === pod && protocol === 'HBONE');
  }, `${node} tunnels to ${pod}`);
}

/** Sum of a metric's series on a node's ztunnel whose labels have every one of `parts`. */
export async function metricSum(mesh: TestMesh, node: string, name: string, parts: readonly string[]): Promise<number> {
  const [namespace = '', pod = ''] = (await mesh.systemPod('ztunnel', node)).split('/');
  const metrics = await callAdmin(mesh.client, { pod, namespace }, { method: 'GET', path: '/metrics' }, 15020);
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && parts.every((part) => line.includes(part)))
    .reduce(
      (sum, line) =>
        sum +
        Number(
          line
            .slice(line.lastIndexOf('}') + 1)
            .trim()
            .split(' ')[0],
        ),
      0,
    );
}
