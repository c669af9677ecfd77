import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openOpensslRoot } from '../../../test/support/openssl-authority.ts';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import type { ControlMessage } from '../messages.ts';
import { followTrustFiles, type TrustFiles } from './trust-files.ts';

describe('files of trust', { skip: spawnSync('openssl', ['version']).status !== 0 }, () => {
  let folder: string;
  let clock: FakeClock;
  let stop: AbortController;
  let metrics: MetricsRegistry;
  let told: ControlMessage[];
  let hints: number;
  const path = (name: string): string => join(folder, name);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-trust-'));
    clock = createFakeClock(Date.now());
    stop = new AbortController();
    metrics = new MetricsRegistry({ clock, log: silentLog() });
    told = [];
    hints = 0;
    writeFileSync(path('root-cert.pem'), 'one');
  });
  afterEach(() => {
    stop.abort();
    rmSync(folder, { recursive: true });
  });
  const follow = (): TrustFiles =>
    followTrustFiles({
      rootCertPath: path('root-cert.pem'),
      crlPath: path('crl.pem'),
      certificates: { refreshTrust: () => hints++ },
      broadcast: (message) => told.push(message),
      metrics,
      clock,
      log: silentLog(),
      signal: stop.signal,
    });
  /** Lets every look that is due happen. */
  const look = async (): Promise<void> => {
    clock.advance(6000);
    // Files are read by threads that may have to wait for their turn: each look ends in a timer for the next one.
    while (clock.pending < 3) await new Promise((resolve) => setImmediate(resolve));
  };

  test('another root, and another signer beside it, are a hint to ask; the first look is not', async () => {
    await follow().read;
    await look();
    assert.equal(hints, 0);
    writeFileSync(path('root-cert.pem'), 'two');
    await look();
    assert.equal(hints, 1);
    writeFileSync(path('signer.sha256'), 'AA');
    await look();
    assert.equal(hints, 2);
    await look();
    assert.equal(hints, 2);
  });

  test('good lists replace each other, and bad or lost ones leave the last good in force', async () => {
    using root = openOpensslRoot('mesh');
    const unusable = (): boolean => metrics.write('text').includes('ambit_crl_unusable 1');
    const files = follow();
    await files.read;
    assert.deepEqual([told, files.snapshot(), unusable()], [[], [], false], 'none were given');
    writeFileSync(path('crl.pem'), root.crl());
    await look();
    assert.equal(told.length, 1);
    assert.deepEqual(files.snapshot(), told);
    writeFileSync(path('crl.pem'), 'broken');
    await look();
    assert.deepEqual([told.length, files.snapshot(), unusable()], [1, told, true]);
    unlinkSync(path('crl.pem'));
    await look();
    assert.deepEqual([told.length, files.snapshot(), unusable()], [1, told, true]);
    root.revoke(root.leaf('spiffe://cluster.local/ns/shop/sa/web').certPem);
    writeFileSync(path('crl.pem'), root.crl());
    await look();
    assert.equal(told.length, 2);
    assert.deepEqual([files.snapshot(), unusable()], [told.slice(1), false]);
  });
});
