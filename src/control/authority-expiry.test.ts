import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createCertificateAuthority,
  createRoot,
  createRotatingAuthority,
  type CertificateAuthority,
} from '../ca/index.ts';
import { createFakeClock } from '../lib/fake-clock.ts';
import { openLog } from '../lib/log.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { watchAuthorityExpiry } from './authority-expiry.ts';

const dayMs = 24 * 3600_000;

describe('the end of the authority', () => {
  it('is in metrics, and said once a day from 30 days before', async () => {
    const clock = createFakeClock(Math.floor(Date.now() / 1000) * 1000);
    const open = async (ttlDays: number): Promise<CertificateAuthority> => {
      const { certPem, keyPem } = await createRoot({ clock, ttlDays });
      return createCertificateAuthority({ caCertPem: certPem, caKeyPem: keyPem, rootPem: certPem, clock });
    };
    const lines: string[] = [];
    const log = openLog({ scope: 'control', level: 'warn', write: (line) => lines.push(line) });
    const registry = new MetricsRegistry({ clock, log });
    const authority = createRotatingAuthority(await open(40), { clock });
    const stop = new AbortController();
    watchAuthorityExpiry({ authority, registry, clock, log, signal: stop.signal });
    const metric = (name: string): number[] =>
      registry
        .write('text')
        .split('\n')
        .filter((line) => line.startsWith(name))
        .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
    const endsAt = (clock.nowMs() + 40 * dayMs) / 1000;
    assert.deepEqual(metric('ambit_certificate_expiry_timestamp_seconds{kind="signer"'), [endsAt]);
    assert.deepEqual(metric('citadel_server_root_cert_expiry_timestamp'), [endsAt]);
    clock.advance(9 * dayMs);
    assert.deepEqual(lines, []);
    clock.advance(2 * dayMs);
    assert.match(lines.join('\n'), /the signer of the mesh ends in 29 days: give the Secret .*cacerts/);
    authority.adopt(await open(400), 60_000);
    assert.equal(metric('ambit_certificate_expiry_timestamp_seconds{kind="root"').length >= 2, true);
    assert.deepEqual(metric('ambit_ca_roots_published'), [2]);
    stop.abort();
  });
});
