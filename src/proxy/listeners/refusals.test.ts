import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { type LogFields, silentLog } from '../../lib/log.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import { tellRefusal } from './refusals.ts';

test('who is refused over and over is counted, and does not fill the log', () => {
  const clock = createFakeClock();
  const lines: (LogFields | undefined)[] = [];
  const log = { ...silentLog(), warn: (_: string, fields?: LogFields) => void lines.push(fields) };
  const metrics = new MetricsRegistry({ clock, log });
  const services = { clock, log, metrics };
  const refuse = (): void => tellRefusal(services, 'handshake', 'refused a connection', { client: '192.0.2.1' });
  for (let i = 0; i < 1000; i++) refuse();
  assert.equal(lines.length, 100);
  tellRefusal(services, 'connect', 'refused a CONNECT', { client: '192.0.2.2' });
  assert.deepEqual(lines.at(-1), { client: '192.0.2.2' }, 'other reasons have lines of their own');
  clock.advance(10_000);
  refuse();
  refuse();
  assert.deepEqual(lines.slice(-2), [{ client: '192.0.2.1', alsoSinceLastLine: 900 }, { client: '192.0.2.1' }]);
  assert.match(metrics.write('text'), /ambit_proxy_refusals_total\{reason="handshake"\} 1002/);
});
