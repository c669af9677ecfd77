/** `ambit version` */
import { Command } from 'commander';
import { packageVersion } from '../lib/program.ts';
import type { CliContext } from './context.ts';

export function versionCommand(context: CliContext): Command {
  return new Command('version').description('print the version of Ambit').action(() => {
    context.out.write(`ambit ${packageVersion()}\n`);
  });
}
