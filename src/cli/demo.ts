/** `ambit demo` */
import { Command } from 'commander';
import type { CliContext } from './context.ts';
export function demoCommand(_context: CliContext): Command {
  return new Command('demo');
}
