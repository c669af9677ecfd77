import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ByteChannel } from '../net/channel.ts';
import { describeChannelContract } from '../net/channel-contract.ts';
import { memoryChannelPair } from '../net/memory-channel.ts';
import {
  type ConnectRequest,
  createHbonePool,
  type HbonePool,
  type HboneServerSession,
  type PoolKey,
  serveHbone,
} from './index.ts';

const key: PoolKey = { id: 'a' };

/** A pool whose dials are served in memory by `onConnect`. */
function openMesh(
  onConnect: (request: ConnectRequest) => void,
  options: { keeps?: boolean } = {},
): {
  pool: HbonePool<PoolKey>;
  servers: HboneServerSession[];
} {
  const servers: HboneServerSession[] = [];
  const pool = createHbonePool<PoolKey>({
    async dial() {
      const [near, far] = memoryChannelPair(options);
      servers.push(serveHbone(far, { onConnect }));
      return near;
    },
  });
  return { pool, servers };
}

async function openTunnelPair(keeps: boolean): Promise<{ a: ByteChannel; b: ByteChannel; dispose: () => void }> {
  let b: ByteChannel | undefined;
  const { pool } = openMesh((request) => (b = request.accept()), { keeps });
  const a = await pool.connect(key, { authority: '10.0.0.1:80' });
  return { a, b: b as ByteChannel, dispose: () => pool.close() };
}

describeChannelContract('HBONE tunnel over copying memory', () => openTunnelPair(false));
describeChannelContract('HBONE tunnel over keeping memory', () => openTunnelPair(true));

describe('HBONE', () => {
  it('connects, carries the request fields and the response fields', async () => {
    const { pool } = openMesh((request) => {
      assert.equal(request.authority, '10.0.0.1:80');
      assert.equal(request.headers.get('baggage'), 'k8s.cluster.name=x');
      request.accept({ baggage: 'service.name=y' });
    });
    const tunnel = await pool.connect(key, { authority: '10.0.0.1:80', headers: { baggage: 'k8s.cluster.name=x' } });
    assert.equal(tunnel.responseHeaders.get('baggage'), 'service.name=y');
    pool.close();
  });
});
