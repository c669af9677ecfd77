import { match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { egressScript } from './egress.ts';

const v4 = { listen: '10.244.1.1', source: '172.30.1.1' };
const v6 = { listen: 'fd00:244:1::1', source: 'fd00:172:30:1::1' };

test('addresses of the mesh and of the own links are left alone before anything is turned', () => {
  const script = egressScript({ addresses: { IPv4: v4, IPv6: v6 } });
  const [, chain = ''] = script.split('chain output {\n');
  const [, accept4 = '', turn4 = '', , accept6 = '', turn6 = ''] = chain.split('\n');
  match(accept4, /ip daddr \{ 10\.244\.0\.0\/16, 10\.96\.0\.0\/16, 172\.30\.0\.0\/16, 127\.0\.0\.0\/8, .* accept/);
  match(turn4, /nfproto ipv4 meta l4proto tcp dnat ip to 10\.244\.1\.1:15099/);
  match(accept6, /ip6 daddr \{ .*fe80::\/10, ff00::\/8 \} accept/);
  match(turn6, /nfproto ipv6 meta l4proto tcp dnat ip6 to \[fd00:244:1::1\]:15099/);
});

test('a mesh without IPv6 has no word about it', () => {
  ok(!egressScript({ addresses: { IPv4: v4 } }).includes('ip6'));
});
