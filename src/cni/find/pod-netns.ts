/** Where a pod's network namespace is: as the CNI plugin said, in a folder by the pod's UID, or by a process of the pod. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { canonicalIp } from '../../lib/ip.ts';
import { closeNetns, netnsIdentity, openNetns } from '../../net/index.ts';
import { addressesOf } from './netns-addresses.ts';
import { isWant, podUidOfCgroup, scanProcesses, type PodProcess } from './proc-scan.ts';

export interface PodNetnsOptions {
  /** Folder with one namespace a pod, by its UID; absent: none is like that. */
  readonly netnsFolder?: string;
  /** The node's /proc; absent: processes are not looked at. */
  readonly procFolder?: string;
  /** Identity of the node's own namespace. */
  readonly homeNetns: string;
  readonly nowMs: () => number;
}

/** A scan reads two files of every process of the node. */
const scanPauseMs = 1000;

export class PodNetnsFinder {
  readonly #options: PodNetnsOptions;
  readonly #told = new Map<string, string>();
  readonly #processes = new Map<string, number>();
  #scan: { readonly atMs: number; readonly pods: Map<string, PodProcess[]> } | undefined;

  constructor(options: PodNetnsOptions) {
    this.#options = options;
  }

  /** The CNI plugin was called for the pod with this namespace. */
  tell(uid: string, path: string): void {
    this.#told.set(uid, this.hostPath(path));
  }

  forget(uid: string): void {
    this.#told.delete(uid);
    this.#processes.delete(uid);
  }

  /** The path where the node's /proc is mounted here. */
  hostPath(path: string): string {
    const { procFolder } = this.#options;
    return procFolder !== undefined && path.startsWith('/proc/') ? join(procFolder, path.slice('/proc/'.length)) : path;
  }

  /**
   * A path for `openNetns`. `ips` are the pod's addresses as far as they are known: a process whose namespace has none of
   * them is not taken for the pod's. Throws `net.netns-absent`.
   */
  find(uid: string, ips: readonly string[]): string {
    const given = this.#given(uid);
    if (given !== undefined) return given;
    const { procFolder } = this.#options;
    const pid = procFolder === undefined ? undefined : this.#findProcess(uid, ips, procFolder);
    if (pid !== undefined && procFolder !== undefined) return netnsOf(procFolder, pid);
    throw new AmbitError(`Cannot find the network namespace of pod ${uid}: ${this.#where(this.#told.get(uid))}`, {
      code: 'net.netns-absent',
      blame: 'internal',
    });
  }

  /**
   * Folder under /proc of the pod's youngest process in its namespace, which sees what its containers see; undefined when there is none.
   * Containers that a pod runs itself have files and namespaces of their own.
   */
  processFolder(uid: string): string | undefined {
    const { procFolder } = this.#options;
    if (procFolder === undefined) return undefined;
    const processes = this.#scanned(procFolder).get(uid) ?? [];
    const own = this.#given(uid) ?? this.#ofProcess(uid, processes, procFolder);
    const inode = own === undefined ? undefined : inodeOf(own);
    if (inode === undefined) return undefined;
    const youngest = processes.findLast(({ pid }) => inodeOf(netnsOf(procFolder, pid)) === inode);
    return youngest && join(procFolder, String(youngest.pid));
  }

  /** As the CNI plugin said, or by the pod's UID. */
  #given(uid: string): string | undefined {
    const { netnsFolder } = this.#options;
    const named = netnsFolder === undefined ? undefined : join(netnsFolder, uid);
    return [this.#told.get(uid), named].find((path) => path !== undefined && exists(path));
  }

  /** Of the process that was found for the pod; else of the oldest, which is the sandbox, but for those in the node's own. */
  #ofProcess(uid: string, processes: readonly PodProcess[], procFolder: string): string | undefined {
    const known = this.#processes.get(uid);
    if (known !== undefined && this.#belongs(known, uid, procFolder)) return netnsOf(procFolder, known);
    return processes.map(({ pid }) => netnsOf(procFolder, pid)).find((path) => this.#isPods(path, []));
  }

  #findProcess(uid: string, ips: readonly string[], procFolder: string): number | undefined {
    const known = this.#processes.get(uid);
    // The number may be another process's by now.
    if (known !== undefined && this.#belongs(known, uid, procFolder)) return known;
    this.#processes.delete(uid);
    for (const { pid } of this.#scanned(procFolder).get(uid) ?? []) {
      if (!this.#isPods(netnsOf(procFolder, pid), ips)) continue;
      this.#processes.set(uid, pid);
      return pid;
    }
    return undefined;
  }

  #scanned(procFolder: string): Map<string, PodProcess[]> {
    const nowMs = this.#options.nowMs();
    if (!this.#scan || nowMs - this.#scan.atMs >= scanPauseMs) {
      this.#scan = { atMs: nowMs, pods: scanProcesses(procFolder) };
    }
    return this.#scan.pods;
  }

  #belongs(pid: number, uid: string, procFolder: string): boolean {
    try {
      return podUidOfCgroup(readFileSync(join(procFolder, String(pid), 'cgroup'), 'utf8')) === uid;
    } catch (error) {
      if (isWant(error)) throw error;
      return false;
    }
  }

  #isPods(path: string, ips: readonly string[]): boolean {
    let netns: number | undefined;
    try {
      netns = openNetns(path);
      if (netnsIdentity(netns) === this.#options.homeNetns) return false;
      if (ips.length === 0) return true;
      const own = addressesOf(netns);
      return ips.some((ip) => own.includes(canonicalIp(ip)));
    } catch (error) {
      if (isWant(error)) throw error;
      return false;
    } finally {
      if (netns !== undefined) closeNetns(netns);
    }
  }

  #where(told: string | undefined): string {
    const { netnsFolder, procFolder } = this.#options;
    const places = [
      told === undefined ? 'the CNI plugin named none' : `"${told}" is gone`,
      ...(netnsFolder === undefined ? [] : [`none in ${netnsFolder}`]),
      ...(procFolder === undefined ? [] : [`no process in ${procFolder}`]),
    ];
    return places.join(', ');
  }
}

function netnsOf(procFolder: string, pid: number): string {
  return join(procFolder, String(pid), 'ns', 'net');
}

/** Undefined when it is gone. */
function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}

function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    throw new AmbitError(`Cannot look for network namespace "${path}": ${messageOf(error)}`, {
      code: 'net.netns-unreadable',
      blame: 'internal',
      cause: error,
    });
  }
}
