import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { AddressPool, hostOf } from './address-pool.ts';

test('a freed address comes back only after all the others', () => {
  const pool = new AddressPool();
  equal(pool.take(), 2);
  pool.free(2);
  for (let host = 3; host <= 254; host++) equal(pool.take(), host);
  equal(pool.take(), 2);
});

test('every address is given once, and then there are no more', () => {
  const pool = new AddressPool();
  const taken = new Set(Array.from({ length: 253 }, () => pool.take()));
  equal(taken.size, 253);
  throws(() => pool.take(), { code: 'network.no-address' });
  pool.free(77);
  equal(pool.take(), 77);
});

test('a pod gets the address of before, unless another has it', () => {
  const pool = new AddressPool();
  equal(pool.take(9), 9);
  equal(pool.take(9), 2);
  equal(pool.take(1), 3);
});

test('addresses of pods that will come back are not given away before them', () => {
  const pool = new AddressPool();
  for (const host of [4, 2, 7]) pool.skipPast(host);
  equal(pool.take(), 8);
  equal(pool.take(4), 4);
});

test('only an address of the node itself has a host part', () => {
  equal(hostOf('10.244.3.17', 3), 17);
  for (const ip of [undefined, '', '10.244.2.17', '10.244.3.1', '10.244.3.255', '10.244.3.x', '10.244.31.7']) {
    equal(hostOf(ip, 3), undefined);
  }
});
