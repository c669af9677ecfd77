import { deepEqual, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { SecurityContext } from '../../api/index.ts';
import { limitPrivileges } from './capabilities.ts';

const limit = (securityContext?: SecurityContext): string[] =>
  limitPrivileges({ name: 'main', ...(securityContext ? { securityContext } : {}) });

test('a container has the usual capabilities, without those that change its network', () => {
  const [program, set = '', end] = limit();
  deepEqual([program, end], ['setpriv', '--']);
  match(set, /^--bounding-set=-all,\+audit_write,.*\+net_bind_service,\+net_raw,/);
  ok(!set.includes('net_admin') && !set.includes('sys_admin'));
});

test('a privileged one is not limited', () => {
  deepEqual(limit({ privileged: true, capabilities: { drop: ['ALL'] } }), []);
});

test('capabilities are dropped, then added, however they are written; unknown ones are passed over', () => {
  deepEqual(limit({ capabilities: { drop: ['ALL'], add: ['CAP_NET_ADMIN', 'net_raw', 'NO_SUCH'] } }), [
    'setpriv',
    '--bounding-set=-all,+net_admin,+net_raw',
    '--',
  ]);
  ok(!limit({ capabilities: { drop: ['KILL'] } })[1]?.includes('+kill'));
  ok(limit({ capabilities: { add: ['ALL'] } })[1]?.includes('+sys_admin'));
});

test('no way back up where it is asked for', () => {
  ok(limit({ allowPrivilegeEscalation: false }).includes('--no-new-privs'));
});
