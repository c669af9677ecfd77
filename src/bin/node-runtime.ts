/** `ambit node-runtime`: the kubelet of one local node, run in the node's network namespace. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/errors.ts';
import { openLog } from '../lib/log.ts';
import { loadKubeconfig, openKubeClient } from '../kube/index.ts';
import { startNodeRuntime, type ImageEntry } from '../local/runtime/index.ts';

const usage = `Usage: ambit node-runtime --kubeconfig FILE --node NAME --index N --state DIR [options]

Runs one node whose pods are namespaces and processes of this machine, joined to the API server that the kubeconfig
names: the embedded one, or any other. It is started in the network namespace of the node, which 'ambit up' lays out.

  --kubeconfig FILE            user system:node:NAME of group system:nodes
  --node NAME                  name of the Node object
  --index N                    from 1: the node is 172.30.1.N, its pods are in 10.244.N.0/24
  --nodes N                    how many nodes there are
  --state DIR                  folder for logs, volumes and the node's unix socket run/NAME.sock
  --manifests DIR              folder of static pod manifests
  --system-namespace NS        give the pods of its DaemonSets the privileges and host paths they ask for; may be repeated
  --image PATTERN=COMMAND      what an image name means; may be repeated
  --tls-cert-file FILE         serve logs, exec, attach and port-forward to the API server on port 10250,
  --tls-private-key-file FILE    with this certificate (address 172.30.1.N) and key,
  --client-ca-file FILE          for callers with a certificate of these, whom the API server
                                 allows "create nodes/proxy" of this node
  --mesh                       pods start once the node agent of the mesh let them
  --egress                     reach addresses outside the mesh through the host, by the socket run/egress.sock of --state
  -h, --help                   print this

The node's account needs what the ClusterRoles system:node (by the Node authorizer) and system:node-proxier give.`;
const log = openLog({ scope: 'node-runtime' });
const repository = dirname(dirname(import.meta.dirname));

try {
  const { values } = parseArgs({
    options: {
      node: { type: 'string' },
      index: { type: 'string' },
      nodes: { type: 'string' },
      state: { type: 'string' },
      kubeconfig: { type: 'string' },
      manifests: { type: 'string' },
      image: { type: 'string', multiple: true, default: [] },
      'system-namespace': { type: 'string', multiple: true, default: [] },
      'tls-cert-file': { type: 'string' },
      'tls-private-key-file': { type: 'string' },
      'client-ca-file': { type: 'string' },
      mesh: { type: 'boolean', default: false },
      egress: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    process.exit(0);
  }
  const { node, index, state, kubeconfig, manifests } = values;
  if (!node || !index || !state || !kubeconfig)
    throw new Error('--node, --index, --state and --kubeconfig are needed; see --help');
  const listener = readListenerFiles(values['tls-cert-file'], values['tls-private-key-file'], values['client-ca-file']);

  const stop = new AbortController();
  const client = openKubeClient(loadKubeconfig(kubeconfig), { log: log.child('kube') });
  const runtime = await startNodeRuntime({
    nodeName: node,
    index: Number(index),
    stateDir: resolve(state),
    client,
    images: [...values.image.map(parseImage), ...builtInImages()],
    nodeLabels: { 'topology.kubernetes.io/region': 'local', 'topology.kubernetes.io/zone': `zone-${index}` },
    hidden: otherMeshes(),
    kept: [repository, dirname(process.execPath)],
    log,
    signal: stop.signal,
    systemNamespaces: values['system-namespace'],
    mesh: values.mesh,
    ...(values.egress ? { egressSocket: join(resolve(state), 'run', 'egress.sock') } : {}),
    ...(listener === undefined ? {} : { listener }),
    ...(manifests === undefined ? {} : { manifestsDir: resolve(manifests) }),
  });
  const shutDown = (): void => {
    log.info('Shutting down');
    void runtime.close().then(() => process.exit(0));
  };
  process.once('SIGTERM', shutDown);
  process.once('SIGINT', shutDown);
} catch (error) {
  log.error('Cannot run the node', { error: messageOf(error) });
  process.exit(1);
}

/** All three, or none. */
function readListenerFiles(
  cert: string | undefined,
  key: string | undefined,
  clientCa: string | undefined,
): { certPem: string; keyPem: string; clientCaPem: string } | undefined {
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  if (cert === undefined || key === undefined || clientCa === undefined)
    throw new Error('--tls-cert-file, --tls-private-key-file and --client-ca-file go together');
  const read = (path: string): string => readFileSync(path, 'utf8');
  return { certPem: read(cert), keyPem: read(key), clientCaPem: read(clientCa) };
}

/** `PATTERN=COMMAND`, the command split at blanks; more than that belongs into a script. */
function parseImage(text: string): ImageEntry {
  const equals = text.indexOf('=');
  const command = text
    .slice(equals + 1)
    .trim()
    .split(/\s+/);
  if (equals < 1 || command[0] === '') throw new Error(`--image ${text} is not PATTERN=COMMAND`);
  return { pattern: text.slice(0, equals), command };
}

function builtInImages(): ImageEntry[] {
  const run = (...path: string[]): string[] => [process.execPath, join(repository, ...path)];
  return [
    { pattern: 'ambit/ambit*', command: [...withCompileCache(), ...run('src', 'bin', 'ambit.ts')] },
    // Istio's image names carry the version, which only reviews looks at.
    ...['reviews-v2', 'reviews-v3', 'reviews', 'productpage', 'details', 'ratings'].map((image) => {
      const [name = '', ...version] = image.split('-');
      return {
        pattern: `*examples-bookinfo-${image}*`,
        command: [...run('samples', 'bookinfo', `${name}.ts`), ...version],
      };
    }),
  ];
}

/** Saves a component of ours 35 MB and its time: with a warm cache Node does not load its type stripper. */
function withCompileCache(): string[] {
  const cache = process.env['NODE_COMPILE_CACHE'];
  return cache === undefined ? [] : ['/usr/bin/env', `NODE_COMPILE_CACHE=${cache}`];
}

/** State folders of other meshes in the usual place: no pod of ours has business there. */
function otherMeshes(): string[] {
  const homes = ['/root', ...list('/home').map((name) => join('/home', name))];
  return homes.flatMap((home) =>
    list(home)
      .filter((name) => name.startsWith('.ambit'))
      .map((name) => join(home, name)),
  );
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
