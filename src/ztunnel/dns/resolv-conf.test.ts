import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { parseNameservers, systemNameservers } from './resolv-conf.ts';

test('name servers are the first three addresses, in order', () => {
  const text = `# nameserver 10.0.0.9
search a b
nameserver 10.0.0.1
nameserver\tFD00:0::53
  nameserver 10.0.0.8
nameserver fe80::1%eth0
nameserver nowhere
nameserver 10.0.0.2 # the second
nameserver 10.0.0.3`;
  assert.deepEqual(parseNameservers(text), ['10.0.0.1', 'fd00::53', '10.0.0.2']);
  assert.deepEqual(parseNameservers(''), []);
});

test('those of this process leave out its loopback, are read again after a while, and stay while the file cannot be read or names none', () => {
  const clock = createFakeClock();
  let text: string | undefined = 'nameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.1';
  let reads = 0;
  const servers = systemNameservers(clock, () => {
    reads++;
    if (text === undefined) throw new Error('it is being replaced');
    return text;
  });
  assert.deepEqual(servers(), ['10.0.0.1']);
  text = 'nameserver 10.0.0.2';
  assert.deepEqual(servers(), ['10.0.0.1']);
  clock.advance(5000);
  assert.deepEqual(servers(), ['10.0.0.2']);
  text = undefined;
  clock.advance(5000);
  assert.deepEqual(servers(), ['10.0.0.2']);
  assert.equal(reads, 3);
  // It is being written.
  text = 'nameserver 10.0.';
  clock.advance(5000);
  assert.deepEqual(servers(), ['10.0.0.2']);
  text = 'nameserver 10.0.0.3';
  // Somebody set the clock.
  clock.advance(-3600_000);
  assert.deepEqual(servers(), ['10.0.0.3']);
});
