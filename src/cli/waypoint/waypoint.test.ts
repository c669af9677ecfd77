import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { load } from 'js-yaml';
import { kinds, type Gateway, type GatewayClass, type KindRef } from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { runCli } from '../index.ts';
import { createTestContext } from '../test-context.ts';
import { listWaypoints, waypointGateway } from './waypoint-gateway.ts';

async function ambit(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const context = createTestContext({ home: '/nowhere' });
  const code = await runCli(['waypoint', ...args], context);
  return { code, out: context.stdout(), err: context.stderr() };
}

describe('ambit waypoint', () => {
  it('writes a manifest with what it was asked for', async () => {
    const { code, out } = await ambit('generate', '-n', 'shop', '--for', 'all', '--revision', 'canary');
    assert.equal(code, 0);
    assert.deepEqual(
      load(out),
      waypointGateway({
        name: 'waypoint',
        namespace: 'shop',
        className: 'istio-waypoint',
        trafficType: 'all',
        revision: 'canary',
      }),
    );
    const json = await ambit('generate', '--name', 'own', '-o', 'json');
    assert.equal((JSON.parse(json.out) as Gateway).metadata.name, 'own');
  });

  it('refuses options that a verb does not have, and says which', async () => {
    const usage = async (...args: readonly string[]): Promise<string> => {
      const { code, err } = await ambit(...args);
      assert.equal(code, 2);
      return err.trim();
    };
    assert.equal(
      await usage('list', '--enroll-namespace'),
      'ambit: Cannot use --enroll-namespace with "waypoint list"',
    );
    assert.equal(await usage('generate', '--wait'), 'ambit: Cannot use --wait with "waypoint generate"');
    assert.equal(await usage('apply', 'x'), 'ambit: Cannot use "x" with "waypoint apply": write --name x');
    assert.match(await usage('apply', '--for', 'everything'), /Allowed choices are service, workload, all, none/);
    assert.match(await usage('fly'), /Allowed choices are apply, generate, delete, list, status/);
  });
});

describe('a list of waypoints', () => {
  const gateway = (name: string, className: string, more: Partial<Gateway> = {}): Gateway => ({
    ...waypointGateway({ name, namespace: 'shop', className }),
    ...more,
  });
  const listOf = (gateways: readonly Gateway[], classes: readonly GatewayClass[] = []) => {
    const client = {
      list: (kind: KindRef) => Promise.resolve({ items: kind === (kinds.Gateway as KindRef) ? gateways : classes }),
    } as unknown as KubeClient;
    return listWaypoints(client, undefined);
  };

  it('has waypoints alone, by their class', async () => {
    const own: GatewayClass = { metadata: { name: 'own' }, spec: { controllerName: 'ambit.dev/mesh-controller' } };
    const rows = await listOf(
      [gateway('b', 'ambit-waypoint'), gateway('a', 'own'), gateway('edge', 'istio'), gateway('x', 'nginx')],
      [own],
    );
    assert.deepEqual(
      rows.map(({ name }) => name),
      ['a', 'b'],
    );
  });

  it('tells of the newest generation alone whether it is programmed', async () => {
    const condition = { type: 'Programmed', status: 'True' as const, reason: 'Programmed', message: 'it is' };
    const conditions = [{ ...condition, observedGeneration: 1, lastTransitionTime: '2026-01-01T00:00:00Z' }];
    const at = (generation: number): Gateway => {
      const { metadata } = gateway('wp', 'istio-waypoint');
      return gateway('wp', 'istio-waypoint', { metadata: { ...metadata, generation }, status: { conditions } });
    };
    assert.equal((await listOf([at(1)]))[0]?.programmed, 'True');
    const [stale] = await listOf([at(2)]);
    assert.deepEqual([stale?.programmed, stale?.reason], ['Unknown', 'Pending']);
  });
});
