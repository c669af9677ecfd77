/** Access log lines and metrics of the ztunnels, as a user reads them. */
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
      const { stdout } = await mesh.ambit(['logs', 'ztunnel', '--node', node]);
      const lines = stdout.split('\n');
      const found = wanted.map((parts) => lines.findLast((line) => parts.every((part) => line.includes(part))));
      return found.every((line) => line !== undefined) ? found : undefined;
    },
    `lines on ${node} with ${wanted.map((parts) => parts.join(' and ')).join(', ')}`,
  );
}

/** Sum of a metric's series on a node's ztunnel whose labels have every one of `parts`. */
export async function metricSum(mesh: TestMesh, node: string, name: string, parts: readonly string[]): Promise<number> {
  const script = 'fetch("http://127.0.0.1:15020/metrics").then((r) => r.text()).then((t) => process.stdout.write(t))';
  const { stdout, stderr, code } = await mesh.ambit(['exec', '--node', node, '--', process.execPath, '-e', script]);
  if (code !== 0) throw new Error(`Cannot read metrics: ${stderr}`);
  return stdout
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
