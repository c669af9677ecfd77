/** A control plane for ztunnels under test: WDS, policies and certificates over one TLS server on loopback, filled by hand. */
import type { MeshAddress } from '../../src/api/workload.ts';
import { registerCertificateService } from '../../src/ca/index.ts';
import { openLog } from '../../src/lib/log.ts';
import { createRpcServer, rpcError, type RpcServer } from '../../src/rpc/index.ts';
import {
  addressName,
  addressTypeUrl,
  authorizationTypeUrl,
  encodeAddress,
  resourceVersion,
} from '../../src/wire/index.ts';
import { createDeltaServer, createMutableSource, type MutableSource } from '../../src/xds/index.ts';
import type { TestAuthority } from '../support/certificates.ts';

const log = openLog({ scope: 'test', level: 'silent' });

export interface TestControlPlane {
  readonly port: number;
  readonly addresses: MutableSource;
  readonly policies: MutableSource;
  /** Asked before each certificate is signed; default: at once. */
  beforeSigning: (identity: string) => Promise<void>;
  close(): Promise<void>;
}

export async function startTestControlPlane(authority: TestAuthority): Promise<TestControlPlane> {
  const certificate = await authority.signServer({ dnsNames: ['istiod.istio-system.svc'], ips: [] });
  const server: RpcServer = createRpcServer({ certificate, log });
  const addresses = createMutableSource();
  const policies = createMutableSource();
  const authenticate = (metadata: ReadonlyMap<string, string>): void => {
    if (metadata.get('authorization') !== 'Bearer test-token') throw rpcError('unauthenticated', 'no token');
  };
  createDeltaServer({
    types: [
      { typeUrl: authorizationTypeUrl, source: policies },
      { typeUrl: addressTypeUrl, source: addresses },
    ],
    authenticate: async ({ metadata }) => authenticate(metadata),
    log,
  }).register(server);
  const control: Omit<TestControlPlane, 'port'> = {
    addresses,
    policies,
    beforeSigning: () => Promise.resolve(),
    close: () => server.close(),
  };
  registerCertificateService(server, {
    authority,
    authorize: async ({ metadata }, identity) => {
      authenticate(metadata);
      if (!identity) throw rpcError('permission-denied', 'no identity');
      await control.beforeSigning(identity);
      return identity;
    },
    log,
  });
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  return Object.assign(control, { port });
}

/** Also those that the source has already. */
export function setAddresses(source: MutableSource, ...addresses: MeshAddress[]): void {
  source.update(
    addresses.map((address) => {
      const body = encodeAddress(address);
      return [addressName(address), { body, version: resourceVersion(body) }] as const;
    }),
  );
}

/** What a ztunnel of `node` is told by its environment; `folder` has root.pem and token. */
export function ztunnelEnvironment(options: {
  readonly folder: string;
  readonly node: string;
  readonly port: number;
  readonly zdsPath: string;
  readonly terminationDeadline: string;
}): Record<string, string> {
  const { folder, node, port, zdsPath, terminationDeadline } = options;
  return {
    NODE_NAME: node,
    POD_NAME: `ztunnel-${node}`,
    POD_NAMESPACE: 'istio-system',
    XDS_ADDRESS: `https://127.0.0.1:${port}`,
    CA_ADDRESS: `https://127.0.0.1:${port}`,
    ALT_XDS_HOSTNAME: 'istiod.istio-system.svc',
    ALT_CA_HOSTNAME: 'istiod.istio-system.svc',
    XDS_ROOT_CA: `${folder}/root.pem`,
    CA_ROOT_CA: `${folder}/root.pem`,
    AUTH_TOKEN: `${folder}/token`,
    INPOD_UDS: zdsPath,
    CONNECTION_TERMINATION_DEADLINE: terminationDeadline,
    LOG_LEVEL: 'warn,access:info',
  };
}
