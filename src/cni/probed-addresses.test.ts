import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { ProbedAddresses } from './probed-addresses.ts';

test('an address that two pods have for a while stays until neither has it', () => {
  const addresses = new ProbedAddresses();
  equal(addresses.claim('new', ['10.0.0.1']), true);
  // Its sandbox ended, and the API still says that it has the address.
  equal(addresses.claim('old', ['10.0.0.1']), false);
  equal(addresses.claim('old', ['10.0.0.2']), true);
  deepEqual(addresses.all, ['10.0.0.1', '10.0.0.2']);
  equal(addresses.claim('old', []), true);
  deepEqual(addresses.all, ['10.0.0.1']);
  equal(addresses.claim('new', ['10.0.0.3']), true);
  deepEqual(addresses.all, ['10.0.0.3']);
  equal(addresses.claim('new', ['10.0.0.3']), false);
  addresses.clear();
  deepEqual(addresses.all, []);
});
