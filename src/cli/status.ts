/** `ambit status` */
import { Command } from 'commander';
import { viewMesh } from '../local/mesh/index.ts';
import {
  ExitCode,
  outputOption,
  paths,
  stateOption,
  type CliContext,
  type OutputFormat,
  type StateOptions,
} from './context.ts';
import { formatAge, printList } from './output.ts';

export function statusCommand(context: CliContext): Command {
  return new Command('status')
    .description('list the processes of the local mesh; exit code 1 unless all are ready')
    .addOption(stateOption())
    .addOption(outputOption())
    .action(async (options: StateOptions & { readonly output: OutputFormat }) => {
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
      if (view.kind === 'stopped') {
        context.err.write(`ambit: no mesh runs in ${statePaths.root}: start one with 'ambit up'\n`);
        throw new ExitCode(1);
      }
      if (view.phase.kind === 'starting') context.err.write(`ambit: the mesh is starting: ${view.phase.step}\n`);
      if (view.phase.kind === 'failed') context.err.write(`ambit: the mesh did not start: ${view.phase.message}\n`);
      if (view.phase.kind !== 'ready' || processes.some((process) => !process.ready)) throw new ExitCode(1);
    });
}
