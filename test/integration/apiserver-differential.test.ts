/**
 * The same requests to Kubernetes' own API server and to the embedded one: the answers must agree, but for identities and
 * times. Runs where AMBIT_TEST_KUBERNETES names the multi-call binary of the real server and etcd is installed.
 */
import { deepEqual, ok } from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { differentialCases, type Step } from './apiserver-cases.ts';
import { minimalCases } from './apiserver-minimal-cases.ts';
import { send, startOracle, type Answer, type Oracle } from './apiserver-oracle.ts';
import { createState, removeState, startServerProcess, type ServerProcess } from './apiserver-process.ts';

const binary = process.env['AMBIT_TEST_KUBERNETES'] ?? '';
const skip = binary === '' ? 'AMBIT_TEST_KUBERNETES does not name a real API server' : false;

describe('the embedded API server answers as the real one', { skip }, () => {
  let oracle: Oracle | undefined;
  let embedded: ServerProcess | undefined;
  let stateDir: string;

  before(
    async () => {
      stateDir = createState();
      embedded = await startServerProcess(stateDir, { controllers: false });
      oracle = await startOracle(binary);
      // What controllers make; none runs here.
      for (const { port } of [oracle, embedded]) {
        const body = { metadata: { name: 'default' } };
        await send(port, 'POST', '/api/v1/namespaces/default/serviceaccounts', { body });
      }
    },
    { timeout: 90_000 },
  );
  after(async () => {
    await oracle?.close();
    await embedded?.end('SIGTERM');
    removeState(stateDir);
  });

  for (const { name, steps } of [...differentialCases, ...minimalCases]) {
    test(name, async () => {
      const versions = { oracle: new Map<string, string>(), embedded: new Map<string, string>() };
      for (const [i, step] of steps.entries()) {
        const expected = await perform(oracle?.port ?? 0, step, versions.oracle);
        const actual = await perform(embedded?.port ?? 0, step, versions.embedded);
        const where = `step ${i + 1}: ${step.method} ${step.path}`;
        deepEqual(comparable(actual, step), comparable(expected, step), where);
      }
      ok(steps.length > 0);
    });
  }
});

/** `{rv}` and `{uid}` in a path or body stand for those of the last object that this server answered with. */
async function perform(port: number, step: Step, seen: Map<string, string>): Promise<Answer> {
  const fill = (text: string): string => text.replaceAll(/\{(rv|uid)\}/g, (_, key: string) => seen.get(key) ?? '');
  const body =
    step.body === undefined ? undefined : fill(typeof step.body === 'string' ? step.body : JSON.stringify(step.body));
  const answer = await send(port, step.method, fill(step.path), {
    ...(body !== undefined && { body }),
    ...(step.type !== undefined && { type: step.type }),
    ...(step.headers && { headers: step.headers }),
  });
  const { resourceVersion, uid } = (answer.body['metadata'] ?? {}) as { resourceVersion?: string; uid?: string };
  if (resourceVersion) seen.set('rv', resourceVersion);
  if (uid) seen.set('uid', uid);
  return answer;
}

function comparable(answer: Answer, step: Step): unknown {
  const { status, body, warnings } = answer;
  if (step.compare === 'status') return { status };
  if (step.compare === 'reason') return { status, reason: body['reason'], code: body['code'] };
  return normalise({ status, warnings, body: answer.text.startsWith('{') ? body : undefined });
}

const uid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** What a server picks by itself. */
const generated = /(?<=^kube-api-access-)[a-z0-9]{5}$/;
const address = /^10\.96\.\d+\.\d+$/;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function normalise(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    // Duplicate causes come from a check that Kubernetes makes twice.
    const items = value.map((item) => normalise(item, key));
    return key === 'causes' ? [...new Set(items.map((item) => JSON.stringify(item)))] : items;
  }
  if (typeof value === 'string') {
    if (key === 'resourceVersion') return 'VERSION';
    const named = value.replace(generated, 'NAME').replace(address, 'ADDRESS');
    return named.replaceAll(uid, 'UID').replaceAll(time, 'TIME');
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    // A struct that is empty says as much as one that is absent; items of a list need not repeat their kind.
    .filter(
      ([name, item]) => !(name === 'status' && isEmpty(item)) && !(key === 'items' && /^(apiVersion|kind)$/.test(name)),
    )
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, item]) => [name, normalise(item, name)]));
}
