/** `ambit down` */
import { Command } from 'commander';
import { down } from '../local/mesh/index.ts';
import { paths, stateOption, type CliContext, type StateOptions } from './context.ts';
import { startProgress } from './progress.ts';

export function downCommand(context: CliContext): Command {
  return new Command('down')
    .description('stop the mesh of a state folder; its objects come back with the next `up`')
    .addOption(stateOption())
    .option('--purge', 'remove the state folder too')
    .addHelpText('after', '\nExamples:\n  ambit down\n  ambit down --state /tmp/mesh --purge')
    .action(async (options: StateOptions & { readonly purge?: boolean }) => {
      const progress = startProgress(context);
      const ran = await down({
        paths: paths(context, options),
        purge: options.purge ?? false,
        onProgress: (step) => progress.step(step),
      });
      progress.done(ran ? 'the mesh is down' : 'no mesh was running');
    });
}
