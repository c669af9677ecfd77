/** `ambit status` */
import { Command } from 'commander';
import { parsePublishedPort, viewMesh } from '../local/mesh/index.ts';
import { clusterComponents, type ClusterComponent } from './cluster-components.ts';
import {
  ExitCode,
  contextOption,
  kubeconfigOption,
  openCluster,
  outputOption,
  paths,
  stateOption,
  type CliContext,
  type ClusterOptions,
  type OutputFormat,
} from './context.ts';
import { formatAge, printList } from './output.ts';

export function statusCommand(context: CliContext): Command {
  return new Command('status')
    .description(
      'list the processes of the local mesh, or the pods of the one in a cluster; exit code 1 unless all are ready',
    )
    .addOption(stateOption())
    .addOption(kubeconfigOption('kubeconfig of a cluster, whose mesh is listed'))
    .addOption(contextOption('context of the kubeconfig, whose mesh is listed'))
    .addOption(outputOption())
    .addHelpText('after', '\nExamples:\n  ambit status\n  ambit status --context production -o json')
    .action(async (options: ClusterOptions & { readonly output: OutputFormat }) => {
      if (options.kubeconfig !== undefined || options.context !== undefined) return printCluster(context, options);
      const statePaths = paths(context, options);
      const view = await viewMesh(statePaths);
      const processes = view.kind === 'running' ? view.processes : [];
      printList(context, processes, {
        format: options.output,
        columns: [
          { title: 'COMPONENT', value: (row) => row.component },
          { title: 'NODE', value: (row) => row.node },
          { title: 'PID', value: (row) => String(row.pid || '') },
          { title: 'READY', value: (row) => String(row.ready) },
          { title: 'AGE', value: (row) => formatAge(row.since) },
        ],
      });
      if (view.kind === 'running' && options.output === 'table') {
        for (const each of view.published.map(parsePublishedPort))
          context.out.write(`127.0.0.1:${each.hostPort} is ${each.namespace}/${each.service}:${each.port}\n`);
      }
      if (view.kind === 'stopped') {
        context.err.write(`ambit: no mesh runs in ${statePaths.root}: start one with 'ambit up'\n`);
        throw new ExitCode(1);
      }
      if (view.phase.kind === 'starting') context.err.write(`ambit: the mesh is starting: ${view.phase.step}\n`);
      if (view.phase.kind === 'failed') context.err.write(`ambit: the mesh did not start: ${view.phase.message}\n`);
      if (view.phase.kind !== 'ready' || processes.some((process) => !process.ready)) throw new ExitCode(1);
    });
}

async function printCluster(
  context: CliContext,
  options: ClusterOptions & { readonly output: OutputFormat },
): Promise<void> {
  const client = openCluster(context, options);
  let components: readonly ClusterComponent[];
  try {
    components = await clusterComponents(client);
  } finally {
    await client.close();
  }
  printList(context, components, {
    format: options.output,
    columns: [
      { title: 'COMPONENT', value: (row) => row.component },
      { title: 'NODE', value: (row) => row.node },
      { title: 'POD', value: (row) => row.pod },
      { title: 'REVISION', value: (row) => row.revision ?? '' },
      { title: 'READY', value: (row) => String(row.ready) },
      { title: 'AGE', value: (row) => formatAge(row.since) },
    ],
  });
  if (components.length === 0) context.err.write('ambit: no mesh in this cluster: install charts/ambit\n');
  if (components.length === 0 || components.some(({ ready }) => !ready)) throw new ExitCode(1);
}
