/** `ambit up` */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { messageOf } from '../lib/errors.ts';
import { parsePublishedPort, readManifests, up } from '../local/mesh/index.ts';
import { collect, parseCount, paths, stateOption, usageError, type CliContext, type StateOptions } from './context.ts';
import { startProgress } from './progress.ts';

interface UpCommandOptions extends StateOptions {
  readonly filename?: readonly string[];
  readonly nodes?: number;
  readonly kubeconfig?: string;
  readonly image?: readonly string[];
  readonly kubernetes?: string;
  readonly bare?: boolean;
  readonly publish?: readonly string[];
  readonly egress?: boolean;
  readonly timeout: number;
}

const readyWithinSeconds = 120;

export function upCommand(context: CliContext): Command {
  return new Command('up')
    .description('start a mesh on this machine and apply manifests to it')
    .option('-f, --filename <path>', 'manifest file or folder to apply; may be repeated', collect)
    .option('--nodes <n>', 'number of nodes of a new mesh (default: 2)', parseCount)
    .addOption(stateOption())
    .option('--kubeconfig <file>', 'write the kubeconfig into this file too')
    .option(
      '--image <pattern=command>',
      'what an image name means, e.g. "example.com/app:*=node /srv/app.js"; may be repeated',
      collect,
    )
    .option(
      '--kubernetes <file>',
      "run etcd and Kubernetes' own API server, controllers and scheduler from this binary, in place of the embedded API",
    )
    .option('--bare', 'only the API server and the nodes: install the mesh on them as on any cluster, by its chart')
    .option(
      '--publish <port:namespace/service:port>',
      'serve a Service or a Gateway on a port of 127.0.0.1, e.g. 8080:default/productpage:9080; may be repeated',
      collect,
    )
    .option(
      '--egress',
      'let pods reach addresses outside the mesh through this machine: TCP, and names by its resolvers',
    )
    .option('--timeout <seconds>', 'give up when it is not all ready by then', parseCount, readyWithinSeconds)
    .addHelpText(
      'after',
      '\nA second `up` on the same state folder applies the manifests to the running mesh.\nExample:\n  ambit up -f samples/bookinfo/bookinfo.yaml',
    )
    .action(async (options: UpCommandOptions) => {
      for (const image of options.image ?? []) {
        if (!/^[^=]+=.*\S/.test(image)) throw usageError(`Cannot use --image "${image}": write PATTERN=COMMAND`);
      }
      for (const port of options.publish ?? []) checkPublished(port);
      const manifests = readManifests(options.filename ?? []);
      const progress = startProgress(context);
      const statePaths = paths(context, options);
      try {
        await up({
          ...startOptions(context),
          paths: statePaths,
          images: options.image ?? [],
          manifests,
          ...(options.nodes === undefined ? {} : { nodes: options.nodes }),
          ...(options.kubernetes === undefined ? {} : { kubernetes: resolve(options.kubernetes) }),
          ...(options.bare === undefined ? {} : { bare: options.bare }),
          ...(options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig }),
          ...(options.publish === undefined ? {} : { publish: options.publish }),
          ...(options.egress === undefined ? {} : { egress: options.egress }),
          timeoutMs: options.timeout * 1000,
          onProgress: (step) => progress.step(step),
        });
      } catch (error) {
        progress.stop();
        throw error;
      }
      progress.done('the mesh is ready');
      context.out.write(`export KUBECONFIG=${options.kubeconfig ?? statePaths.kubeconfig}\n`);
    });
}

/** The part of UpOptions that is the same for every command that starts a mesh. */
export function startOptions(
  context: CliContext,
): Pick<Parameters<typeof up>[0], 'self' | 'asRoot' | 'searchPath' | 'signal'> {
  const searchPath = [
    ...(context.env['PATH'] ?? '').split(':').filter(Boolean),
    '/usr/sbin',
    '/sbin',
    '/usr/bin',
    '/bin',
  ];
  return { self: context.self, asRoot: context.isRoot, searchPath, signal: context.signal };
}

function checkPublished(text: string): void {
  try {
    parsePublishedPort(text);
  } catch (error) {
    throw usageError(messageOf(error));
  }
}
