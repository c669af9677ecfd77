/** What all pods of a node share. */
import type { Service } from '../../api/index.ts';
import type { AddressPool } from '../network/index.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { EventRecorder, KubeClient } from '../../kube/index.ts';
import type { HostView } from './host-view.ts';
import type { ImageEntry } from './image-table.ts';
import type { ReferencedObjects } from './referenced-objects.ts';
import type { StartGate } from './start-gate.ts';
import type { StatusWriter } from './status-writer.ts';

export interface NodeContext {
  readonly nodeName: string;
  readonly nodeIndex: number;
  readonly hostIp: string;
  /** Beginning with `hostIp`: one of each family that the mesh has. */
  readonly hostIps: readonly string[];
  readonly clusterDnsIp: string;
  readonly nodeResolvConf: string;
  readonly capacity: Readonly<Record<string, number>>;
  readonly images: readonly ImageEntry[];
  readonly host: HostView;
  /** Host folders that pods must not see, and those that they always may. */
  readonly hidden: readonly string[];
  readonly kept: readonly string[];
  /** Host folders that no pod may mount. */
  readonly forbidden: readonly string[];
  /** Whose DaemonSets' pods have what they ask for. */
  readonly systemNamespaces: readonly string[];
  /** Container roots and what is secret: a folder on tmpfs, gone with the mesh. */
  readonly memoryFolder: string;
  /** Logs and empty volumes. */
  readonly diskFolder: string;
  /** Folder of the node agent's socket; pods start once it let them. Absent: there is no mesh on this node. */
  readonly cniRunDir?: string;
  readonly addresses: AddressPool;
  readonly client: KubeClient;
  readonly objects: ReferencedObjects;
  /** Of all namespaces, as they were last seen; `synced` once they have been. */
  readonly services: { readonly all: ReadonlyMap<string, Service>; readonly synced: Promise<void> };
  readonly events: EventRecorder;
  readonly statuses: StatusWriter;
  readonly gate: StartGate;
  readonly clock: Clock;
  readonly log: Log;
}
