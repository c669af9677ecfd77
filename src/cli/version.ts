/** `ambit version` */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { CliContext } from './context.ts';

export function versionCommand(context: CliContext): Command {
  return new Command('version').description('print the version of Ambit').action(() => {
    context.out.write(`ambit ${readVersion(context)}\n`);
  });
}

/** The version that package.json states. */
export function readVersion(context: CliContext): string {
  const file = join(context.self.binDir, '../../package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
