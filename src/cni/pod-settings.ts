/** Kernel settings of a pod's network namespace that proxied connections want; best effort. */
import { writeFileSync } from 'node:fs';
import { withNetns } from '../net/index.ts';

interface Setting {
  readonly proxied: string;
  /** The kernel's own default. */
  readonly plain: string;
}

const settings: Readonly<Record<string, Setting>> = {
  // The proxy closes first whenever the client did; its ports towards the application must not be out of use for a minute.
  'net/ipv4/tcp_tw_reuse': { proxied: '1', plain: '2' },
  // A packet that conntrack finds out of its window would pass without address translation, and be answered with a reset.
  'net/netfilter/nf_conntrack_tcp_be_liberal': { proxied: '1', plain: '0' },
  // A stray packet begins no connection that is then not redirected. Older connections go on, untracked.
  'net/netfilter/nf_conntrack_tcp_loose': { proxied: '0', plain: '1' },
  // When a listener closes, what waits in its queue goes to the other one of the same port: two ztunnels, one replacing the other.
  'net/ipv4/tcp_migrate_req': { proxied: '1', plain: '0' },
};

/** Writes the settings for a pod in the mesh or out of it. Returns those that could not be written (/proc/sys read-only, no such setting). */
export function writePodSettings(netns: number, which: keyof Setting): string[] {
  return withNetns(netns, () =>
    Object.entries(settings).flatMap(([name, values]) => {
      try {
        writeFileSync(`/proc/sys/${name}`, values[which]);
        return [];
      } catch {
        return [name];
      }
    }),
  );
}
