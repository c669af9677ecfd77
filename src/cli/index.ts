/** The command line: one file a command, one place that turns failures into a line and an exit code. */
import { Command, CommanderError } from 'commander';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { completionCommand } from './completion.ts';
import { ExitCode, type CliContext } from './context.ts';
import { demoCommand } from './demo/index.ts';
import { downCommand } from './down.ts';
import { execCommand } from './exec.ts';
import { logsCommand } from './logs.ts';
import { statusCommand } from './status.ts';
import { upCommand } from './up.ts';
import { versionCommand } from './version.ts';
import { ztunnelConfigCommand } from './ztunnel-config.ts';

const exitCodes = { ok: 0, failure: 1, usage: 2 } as const;

/** Runs one command line. Resolves to its exit code: 0, 1 failure, 2 usage, or that of the command `exec` ran. */
export async function runCli(
  args: readonly string[],
  environment: Omit<CliContext, 'out' | 'err' | 'signal'>,
): Promise<number> {
  const interrupted = new AbortController();
  let interruptions = 0;
  const interrupt = (): void => {
    interruptions += 1;
    interrupted.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const context: CliContext = { ...environment, out: process.stdout, err: process.stderr, signal: interrupted.signal };
  try {
    await buildProgram(context).parseAsync(args as string[], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    return report(context, error);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

function buildProgram(context: CliContext): Command {
  const program = new Command('ambit')
    .description('An ambient service mesh in TypeScript: zero trust and traffic control without sidecars.')
    .helpCommand('help [command]', 'list all commands, or explain one')
    .showHelpAfterError(false);
  const commands = [
    demoCommand(context),
    upCommand(context),
    downCommand(context),
    statusCommand(context),
    logsCommand(context),
    execCommand(context),
    ztunnelConfigCommand(context),
    versionCommand(context),
    completionCommand(context, program),
  ];
  for (const command of commands) program.addCommand(quiet(command));
  program.addHelpText(
    'after',
    '\nComponents, run by a mesh itself: apiserver, control, node-agent, node-runtime, ztunnel.',
  );
  return quiet(program);
}

/** Errors are thrown and reported in one place, in one line. */
function quiet(command: Command): Command {
  return command.exitOverride().configureOutput({ writeErr: () => undefined });
}

function report(context: CliContext, error: unknown): number {
  if (error instanceof ExitCode) return error.code;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.ok;
    if (error.code === 'commander.help') {
      context.err.write("ambit: no command: run 'ambit help' to list them\n");
      return exitCodes.usage;
    }
    context.err.write(`ambit: ${messageOf(error).replace(/^error: /, '')} (run 'ambit help')\n`);
    return exitCodes.usage;
  }
  context.err.write(`ambit: ${messageOf(error)}\n`);
  return error instanceof AmbitError && error.code === 'cli.usage' ? exitCodes.usage : exitCodes.failure;
}
