/**
 * What the processes of a container may do, and the command lines that hold them to it.
 *
 * A container lives in a user namespace of its own with one user in it, no capability in its bounding set and no way to gain
 * one. Its files are its own, `setpriv` and `sh` among them, so that no program of its root ever runs with the runtime's
 * rights: whatever enters a container joins that user namespace before it runs the first one.
 * Pods from the node's own manifests, and of the DaemonSets of its system namespaces, are the mesh's system pods: they have what
 * they ask for.
 */
import type { Container, Pod } from '../../api/index.ts';
import { toolEnvironment } from '../network/tool.ts';
import { limitPrivileges } from './capabilities.ts';

export type Confinement =
  | {
      readonly kind: 'confined';
      /** As the container sees itself; outside it is the runtime's user. */
      readonly user: number;
      readonly group: number;
    }
  /** `limit` is put before its commands. */
  | { readonly kind: 'system'; readonly limit: readonly string[] };

/** What a command needs to run in a container as if the container had started it. */
export interface ContainerTarget {
  /** Process 1 of the container, in the runtime's pid namespace. */
  readonly pid: number;
  readonly confinement: Confinement;
  /** It shares the runtime's pid namespace. */
  readonly hostPid: boolean;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
}

/** Who has not said which user, but that it must not be root, is this one; images of the kind have it too. */
const nonRootUser = 65_532;

/** Whether a DaemonSet of one of these namespaces made it. Who may make DaemonSets there may do everything on the node. */
export function isSystemPod({ metadata }: Pod, namespaces: readonly string[]): boolean {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  return owner?.kind === 'DaemonSet' && namespaces.includes(metadata.namespace ?? '');
}

/** `isSystem`: the pod is one of the mesh's own. */
export function confinementOf(pod: Pod, container: Container, isSystem: boolean): Confinement {
  if (isSystem) return { kind: 'system', limit: limitPrivileges(container) };
  const own = container.securityContext ?? {};
  const shared = pod.spec.securityContext ?? {};
  const asked = own.runAsUser ?? shared.runAsUser;
  const isNonRoot = own.runAsNonRoot ?? shared.runAsNonRoot ?? false;
  return {
    kind: 'confined',
    user: asked ?? (isNonRoot ? nonRootUser : 0),
    group: own.runAsGroup ?? shared.runAsGroup ?? (asked === undefined && isNonRoot ? nonRootUser : 0),
  };
}

/** Why the container may not run as the user that it asks for; undefined: it may. */
export function userFault(pod: Pod, container: Container): string | undefined {
  const own = container.securityContext ?? {};
  const shared = pod.spec.securityContext ?? {};
  const isNonRoot = own.runAsNonRoot ?? shared.runAsNonRoot ?? false;
  return isNonRoot && (own.runAsUser ?? shared.runAsUser) === 0
    ? "container's runAsUser breaks non-root policy"
    : undefined;
}

/** What the container asks for and does not get, "" for nothing. */
export function refusedPrivileges(container: Container): string {
  const { privileged, capabilities } = container.securityContext ?? {};
  const refused = [...(privileged ? ['privileged'] : []), ...(capabilities?.add ?? [])];
  return refused.join(', ');
}

/**
 * Put before what becomes process 1 of a confined container. From here on, all that is run is the container's. `unshare`
 * keeps its rights over the new user namespace, whichever user that has, for `setpriv` to take them away.
 */
export function enterConfinement({ user, group }: { readonly user: number; readonly group: number }): string[] {
  const namespace = ['unshare', '--user', `--map-user=${user}`, `--map-group=${group}`, '--keep-caps', '--'];
  return [...namespace, 'setpriv', '--bounding-set=-all', '--ambient-caps=-all', ...noWayBack];
}

/**
 * The command line that runs `command` in a container, and the whole environment of the process to spawn with it. The
 * container's own variables that would change how `nsenter` runs are given to the command alone.
 */
export function enterContainer(
  target: ContainerTarget,
  command: readonly string[],
): { readonly command: readonly [string, ...string[]]; readonly env: Readonly<Record<string, string>> } {
  const { inherited, late } = splitEnvironment(target.environment);
  return {
    command: ['nsenter', ...enterArguments(target), ...assignments(late), ...command],
    env: { ...inherited, ...toolEnvironment },
  };
}

/** `env` with the variables that a tool must not see before it; nothing when there are none. */
export function assignments(late: Readonly<Record<string, string>>): string[] {
  const entries = Object.entries(late).map(([name, value]) => `${name}=${value}`);
  const unset = Object.keys(toolEnvironment).filter((name) => !(name in late) && name !== 'PATH');
  return ['env', ...unset.flatMap((name) => ['-u', name]), ...entries];
}

/**
 * Values are secrets and command lines are public, so that most variables go by the environment from the start. Late, as
 * arguments of env(1), come those that would change how tools run that have more rights than the container: what the dynamic
 * loader, the C library, the shell and mount(8) read; and names that a shell does not pass on.
 */
export function splitEnvironment(environment: Readonly<Record<string, string>>): {
  inherited: Record<string, string>;
  late: Record<string, string>;
} {
  const inherited: Record<string, string> = {};
  const late: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    (name in toolEnvironment || toolVariables.test(name) ? late : inherited)[name] = value;
  }
  return { inherited, late };
}

const noWayBack = ['--inh-caps=-all', '--no-new-privs', '--'];
const toolVariables =
  /^(LD_|LC_|LANG|LIBMOUNT_|LIBBLKID_|LIBSMARTCOLS_|GLIBC_|GCONV_|MALLOC_|LOCPATH$|NLSPATH$|LOCALDOMAIN$|RES_OPTIONS$|HOSTALIASES$|TMPDIR$|POSIXLY_CORRECT$|IFS$|ENV$|PS4$|BASH_|PWD$|OLDPWD$|TZ)|^\d|\W/;

function enterArguments({ pid, confinement, hostPid, workingDirectory }: ContainerTarget): string[] {
  const joined = ['-t', String(pid), '--mount', '--net', '--uts', '--ipc', ...(hostPid ? [] : ['--pid'])];
  if (confinement.kind === 'system') return [...joined, `--wdns=${workingDirectory}`, '--', ...confinement.limit];
  // nsenter joins the user namespace last: until then it needs its rights, and after it they count for nothing outside.
  joined.push('--user', '--preserve-credentials', `--wdns=${workingDirectory}`, '--', 'setpriv');
  // Another user than root loses them all when it runs setpriv.
  return [...joined, ...(confinement.user === 0 ? ['--bounding-set=-all'] : []), ...noWayBack];
}
