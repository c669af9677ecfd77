/** Pure: what a container's processes may do, as container runtimes have it: a short list unless it is privileged. */
import type { Container } from '../../api/index.ts';

/** The usual default of container runtimes. NET_ADMIN is not in it: a pod must not take its own redirection away. */
const usual = [
  'audit_write',
  'chown',
  'dac_override',
  'fowner',
  'fsetid',
  'kill',
  'mknod',
  'net_bind_service',
  'net_raw',
  'setfcap',
  'setgid',
  'setpcap',
  'setuid',
  'sys_chroot',
];

/** Every capability that setpriv(1) of Debian 12 knows; a name that it does not know would end the set-up. */
const known = new Set([
  ...usual,
  'dac_read_search',
  'linux_immutable',
  'net_broadcast',
  'net_admin',
  'ipc_lock',
  'ipc_owner',
  'sys_module',
  'sys_rawio',
  'sys_ptrace',
  'sys_pacct',
  'sys_admin',
  'sys_boot',
  'sys_nice',
  'sys_resource',
  'sys_time',
  'sys_tty_config',
  'lease',
  'audit_control',
  'mac_override',
  'mac_admin',
  'syslog',
  'wake_alarm',
  'block_suspend',
  'audit_read',
  'perfmon',
  'bpf',
  'checkpoint_restore',
]);

/** What to put before a container's command so that it and all its children have no more than that; may be empty. */
export function limitPrivileges(container: Container): string[] {
  const { privileged, capabilities, allowPrivilegeEscalation } = container.securityContext ?? {};
  const options: string[] = [];
  if (!privileged) {
    const allowed = new Set(usual);
    for (const name of (capabilities?.drop ?? []).map(normalize)) {
      if (name === 'all') allowed.clear();
      else allowed.delete(name);
    }
    for (const name of (capabilities?.add ?? []).map(normalize)) {
      if (name === 'all') for (const each of known) allowed.add(each);
      else if (known.has(name)) allowed.add(name);
    }
    options.push(`--bounding-set=${['-all', ...[...allowed].sort().map((name) => `+${name}`)].join(',')}`);
  }
  if (allowPrivilegeEscalation === false && !privileged) options.push('--no-new-privs');
  return options.length === 0 ? [] : ['setpriv', ...options, '--'];
}

function normalize(name: string): string {
  return name.toLowerCase().replace(/^cap_/, '');
}
