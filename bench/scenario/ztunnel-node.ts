/** One ztunnel data part with a mesh of two pods on loopback addresses: `ztunnel-node.ts client|server DIR ECHO_PORT PORT`. */
import { defaultClusterId, podWorkloadUid, policyKey, spiffeId, type NetworkId } from '../../src/api/names.ts';
import type { MeshWorkload } from '../../src/api/workload.ts';
import { openLog } from '../../src/lib/log.ts';
import { releaseMemory } from '../../src/net/index.ts';
import type { Authorization, AuthorizationMatch } from '../../src/policy/model.ts';
import { openAccessLog } from '../../src/telemetry/index.ts';
import { startDataPart } from '../../src/ztunnel/data/data-part.ts';
import type { DataMessage } from '../../src/ztunnel/messages.ts';
import { hbonePort } from '../../src/ztunnel/ports.ts';
import { issueCertificate } from '../lib/pki.ts';

const [role, dir = '', echoPort, listenPort] = process.argv.slice(2);
const network = '' as NetworkId;
const ips = { client: '127.0.0.1', server: '127.0.0.3' };

const log = openLog({ scope: 'bench', level: 'warn' });
const accessLog = openAccessLog({
  format: 'text',
  write: (text, done) => void process.stdout.write(text, () => done()),
  nowMs: () => Date.now(),
});
const part = startDataPart({ network, log, accessLog, post: onMessage });

part.post({
  kind: 'authorizations',
  update: { updated: [allowClient('allow-client', 'client'), allowClient('allow-nobody', 'nobody')], removed: [] },
});
part.post({
  kind: 'addresses',
  update: {
    updated: [workload('client'), workload('server')].map((w) => ({ kind: 'workload', workload: w })),
    removed: [],
  },
});
const pod = role === 'server' ? 'server' : 'client';
const echo = { address: ips.server, port: Number(echoPort) };
part.post({
  kind: 'serve-pod',
  requestId: 1,
  target: {
    pod: { uid: pod, name: pod, namespace: 'bench', serviceAccount: pod },
    listenAt: {
      host: ips[pod],
      outboundPort: pod === 'client' ? Number(listenPort) : 0,
      inboundPort: hbonePort,
      plaintextPort: 0,
      originalDestination: { outbound: echo, plaintext: echo },
    },
  },
});

// Memory is read after a collection that leaves nothing: garbage of the way there, and the room that V8 made for it, are not what a
// connection costs.
process.on('SIGUSR2', () => releaseMemory());

function onMessage(message: DataMessage): void {
  switch (message.kind) {
    case 'certificate-wanted': {
      const { identity } = message;
      issueCertificate(dir, identity).then(
        (certificate) => part.post({ kind: 'certificate', identity, certificate }),
        (error: unknown) => part.post({ kind: 'certificate-failed', identity, error: String(error) }),
      );
      return;
    }
    case 'pod-served':
      process.stderr.write('ready\n');
      return;
    case 'pod-failed':
      process.stderr.write(`${message.error}\n`);
      process.exitCode = 1;
      return;
    case 'report':
    case 'connections':
    case 'profile':
    case 'drained':
      return;
  }
}

function workload(name: 'client' | 'server'): MeshWorkload {
  return {
    uid: podWorkloadUid(defaultClusterId, 'bench', name),
    name,
    namespace: 'bench',
    addresses: [ips[name]],
    hostname: '',
    network,
    tunnelProtocol: 'hbone',
    nativeTunnel: false,
    trustDomain: 'cluster.local',
    serviceAccount: name,
    node: `node-${name}`,
    canonicalName: name,
    canonicalRevision: 'latest',
    workloadType: 'deployment',
    workloadName: name,
    services: new Map(),
    authorizationPolicies: [policyKey('bench', 'allow-client'), policyKey('bench', 'allow-nobody')],
    status: 'healthy',
    clusterId: defaultClusterId,
    locality: { region: '', zone: '', subzone: '' },
    networkMode: 'standard',
    capacity: 1,
  };
}

/** Allows `account` on the echo port. */
function allowClient(name: string, account: string): Authorization {
  const match: AuthorizationMatch = {
    namespaces: [],
    notNamespaces: [],
    principals: [{ kind: 'exact', value: spiffeId('cluster.local', 'bench', account).slice('spiffe://'.length) }],
    notPrincipals: [],
    sourceIps: [],
    notSourceIps: [],
    destinationIps: [],
    notDestinationIps: [],
    destinationPorts: [Number(echoPort)],
    notDestinationPorts: [],
    serviceAccounts: [],
    notServiceAccounts: [],
  };
  return {
    name,
    namespace: 'bench',
    scope: 'workload-selector',
    action: 'allow',
    rules: [{ clauses: [{ matches: [match] }] }],
    dryRun: false,
  };
}
