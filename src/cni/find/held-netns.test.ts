import { equal, notEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { AmbitError } from '../../lib/errors.ts';
import { closeNetns, netnsIdentity, openNetns } from '../../net/index.ts';
import { HeldNetns } from './held-netns.ts';

// Any two namespaces: nobody enters them here.
const earlier = '/proc/self/ns/uts';
const later = '/proc/self/ns/ipc';

function absent(): never {
  throw new AmbitError('Cannot find it', { code: 'net.netns-absent', blame: 'internal' });
}

test('what is open stays open while the pod has it, and is let go of when it has another', () => {
  let path = earlier;
  const held = new HeldNetns({ find: () => path, hasNetwork: () => true, homeNetns: 'another' });
  equal(held.fd, undefined);
  const first = held.open();
  const identity = netnsIdentity(first);
  equal(held.open(), first);
  equal(held.closeIfLost(), false);
  path = later;
  equal(held.isCurrent(), false);
  equal(held.closeIfLost(), true);
  equal(held.fd, undefined);
  notEqual(netnsIdentity(held.open()), identity);
  held.close();
});

test('a pod without a namespace is told, and has lost the one before', () => {
  let find: () => string = () => earlier;
  const held = new HeldNetns({ find: () => find(), hasNetwork: () => true, homeNetns: 'another' });
  held.open();
  find = absent;
  equal(held.closeIfLost(), true);
  throws(() => held.open(), { code: 'net.netns-absent' });
});

test("the node's own namespace is none of a pod", () => {
  const own = openNetns(earlier);
  const homeNetns = netnsIdentity(own);
  closeNetns(own);
  const held = new HeldNetns({ find: () => earlier, hasNetwork: () => true, homeNetns });
  throws(() => held.open(), { code: 'cni.host-netns' });
  equal(held.fd, undefined);
});

test('a namespace that has no network yet is not there yet', () => {
  let isUp = false;
  const held = new HeldNetns({ find: () => earlier, hasNetwork: () => isUp, homeNetns: 'another' });
  throws(() => held.open(), { code: 'net.netns-absent' });
  equal(held.fd, undefined);
  isUp = true;
  notEqual(held.open(), undefined);
  held.close();
});
