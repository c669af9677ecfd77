/** `ambit version` */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { CliContext } from './context.ts';

export function versionCommand(context: CliContext): Command {
  return new Command('version').description('print the version of Ambit').action(() => {
    const file = join(context.self.binDir, '../../package.json');
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    context.out.write(`ambit ${version}\n`);
  });
}
