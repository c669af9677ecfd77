import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createGraph } from '../collection/index.ts';
import type { ServedCertificate } from '../discovery/index.ts';
import { createFakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { followGatewayCertificates } from './gateway-certificates.ts';

const day = 24 * 3600_000;

it('certificates of gateways are looked at again when time changes them, and their ends are in metrics', () => {
  const clock = createFakeClock();
  const graph = createGraph();
  const served = graph.source<ServedCertificate>('served');
  const due = graph.source<number>('due');
  const registry = new MetricsRegistry({ clock, log: silentLog() });
  const stop = new AbortController();
  followGatewayCertificates({ served, due, registry, clock, signal: stop.signal });
  const metric = (name: string): string[] =>
    registry
      .write('text')
      .split('\n')
      .filter((line) => line.startsWith(name));
  const put = (name: string, value: ServedCertificate): void => {
    served.set(`Kubernetes/shop/${name}`, value);
    graph.flush();
  };
  const startMs = clock.nowMs();
  const until = (validToMs: number): ServedCertificate => ({
    certificate: { kind: 'certificate', chain: '', key: '', keyType: 'rsa', validFromMs: 0, validToMs },
    changesAtMs: validToMs + 1,
  });
  put('a', until(startMs + 40 * day));
  const { changesAtMs: _, ...forGood } = until(startMs + 2 * day);
  put('b', { ...forGood, problem: 'has ended' });
  const seconds = (ms: number): string => String(Math.floor(ms / 1000));
  const name = 'ambit_gateway_certificate_expiry_timestamp_seconds';
  assert.deepEqual(metric(`${name}{`), [
    `${name}{namespace="shop",secret="a"} ${seconds(startMs + 40 * day)}`,
    `${name}{namespace="shop",secret="b"} ${seconds(startMs + 2 * day)}`,
  ]);
  assert.deepEqual(metric('ambit_gateway_certificates_faulty '), ['ambit_gateway_certificates_faulty 1']);
  for (let i = 0; i < 40 * 24 * 60; i++) clock.advance(60_000);
  graph.flush();
  assert.equal(due.get('Kubernetes/shop/a'), undefined, 'not yet');
  clock.advance(1);
  graph.flush();
  assert.deepEqual([...due.entries()], [['Kubernetes/shop/a', startMs + 40 * day + 1]]);
  put('a', until(startMs + 60 * day));
  served.delete('Kubernetes/shop/b');
  graph.flush();
  assert.equal(clock.pending, 1);
  stop.abort();
  assert.equal(clock.pending, 0);
});
