/** `/debug/syncz`: who is connected to this replica of the control plane, what it holds, and what it refuses. */
import type { DeltaConnectionStatus } from '../xds/index.ts';

export interface SyncStatus {
  /** Of the control plane. */
  readonly replica: string;
  readonly clients: readonly ClientStatus[];
}

export interface ClientStatus {
  /** `<pod>.<namespace>` */
  readonly proxy: string;
  readonly namespace: string;
  readonly type: 'ztunnel' | 'waypoint' | 'gateway' | 'other';
  /** `<namespace>/<name>` of the Gateway whose proxy it is. */
  readonly gateway?: string;
  readonly node: string;
  readonly version: string;
  readonly address: string;
  readonly connectedAt: string;
  /** It has answered all that there was to tell. */
  readonly inStep: boolean;
  readonly types: readonly {
    /** Last part of the type's name. */
    readonly type: string;
    readonly resources: number;
    readonly outstanding: boolean;
    readonly refused: readonly { readonly name: string; readonly reason: string }[];
  }[];
}

export interface SyncClient {
  readonly namespace: string;
  readonly gateway?: string;
}

export function syncStatus(replica: string, connections: readonly DeltaConnectionStatus<SyncClient>[]): SyncStatus {
  const clients = connections.map(clientStatus).toSorted((a, b) => (a.proxy < b.proxy ? -1 : 1));
  return { replica, clients };
}

function clientStatus(connection: DeltaConnectionStatus<SyncClient>): ClientStatus {
  const { client, node, peerAddress, connectedAtMs, isInStep, types } = connection;
  // `<role>~<ip>~<pod>.<namespace>~<domain>`, as Istio's proxies call themselves.
  const [role = '', , name = ''] = node.id.split('~');
  return {
    proxy: name === '' ? node.id : name,
    namespace: client.namespace,
    type: typeOf(role),
    ...(client.gateway === undefined ? {} : { gateway: client.gateway }),
    node: text(node.metadata['NODE_NAME']),
    version: node.buildVersion ?? '',
    address: peerAddress,
    connectedAt: new Date(connectedAtMs).toISOString(),
    inStep: isInStep && types.every(({ outstanding, refused }) => !outstanding && refused.length === 0),
    types: types.map(({ typeUrl, resourceCount, outstanding, refused }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf('.') + 1),
      resources: resourceCount,
      outstanding,
      refused,
    })),
  };
}

function typeOf(role: string): ClientStatus['type'] {
  switch (role) {
    case 'ztunnel':
    case 'waypoint':
      return role;
    case 'router':
      return 'gateway';
    default:
      return 'other';
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
