/** `ambit node-runtime`: the kubelet of one local node, run in the node's network namespace. */
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/errors.ts';
import { openLog } from '../lib/log.ts';
import { loadKubeconfig, openKubeClient } from '../kube/index.ts';
import { startNodeRuntime, type ImageEntry } from '../local/runtime/index.ts';

const usage =
  'Usage: node-runtime --node NAME --index N [--nodes N] --state DIR --kubeconfig FILE [--manifests DIR] [--image PATTERN=COMMAND]...';
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
    },
  });
  const { node, index, state, kubeconfig, manifests } = values;
  if (!node || !index || !state || !kubeconfig) throw new Error(`An argument is missing. ${usage}`);

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
    ...['curl', 'alpine', 'busybox'].map((name) => ({ pattern: `*${name}*`, command: ['sh'] })),
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
