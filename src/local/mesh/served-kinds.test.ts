import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { openKubeClient, type KubeClient } from '../../kube/index.ts';
import { silentLog } from '../../lib/log.ts';
import { findServedKind } from './served-kinds.ts';

describe('the kinds of a server', () => {
  let server: Server;
  let client: KubeClient;
  /** How often the group was asked for before it is there. */
  let missing = 0;

  before(async () => {
    const resources = [
      { name: 'gizmos/status', kind: 'Gizmo', namespaced: true },
      { name: 'gizmos', kind: 'Gizmo', namespaced: true },
    ];
    server = createServer((request, response) => {
      const isThere = request.url === '/apis/example.com/v1' && missing-- <= 0;
      response.writeHead(isThere ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(isThere ? { resources } : { kind: 'Status', code: 404, reason: 'NotFound' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const access = { server: `http://127.0.0.1:${port}`, insecureSkipTlsVerify: false, namespace: 'default' };
    client = openKubeClient(access, { log: silentLog() });
  });
  after(async () => {
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const gizmo = { apiVersion: 'example.com/v1', kind: 'Gizmo' };
  const found = { group: 'example.com', version: 'v1', kind: 'Gizmo', plural: 'gizmos', namespaced: true };

  it('are found by what the server says, not by subresources', async () => {
    assert.deepEqual(await findServedKind(client, gizmo, false), found);
  });

  it('are unknown when the group, or the kind in it, is not there', async () => {
    assert.equal(await findServedKind(client, { ...gizmo, kind: 'Widget' }, false), undefined);
    assert.equal(await findServedKind(client, { apiVersion: 'v9', kind: 'Pod' }, false), undefined);
  });

  it('are waited for when their definition was just applied', async () => {
    missing = 2;
    assert.deepEqual(await findServedKind(client, gizmo, true), found);
  });
});
