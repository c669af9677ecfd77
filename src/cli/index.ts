/** The command line: one file a command, one place that turns failures into a line and an exit code. */
import { Command, CommanderError } from 'commander';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { packageVersion } from '../lib/program.ts';
import { completionCommand } from './completion.ts';
import { ExitCode, type CliContext } from './context.ts';
import { demoCommand } from './demo/index.ts';
import { downCommand } from './down.ts';
import { explainCommand } from './explain.ts';
import { execCommand } from './exec.ts';
import { logsCommand } from './logs.ts';
import { portForwardCommand } from './port-forward.ts';
import { proxyConfigCommand } from './proxy-config/index.ts';
import { proxyStatusCommand } from './proxy-status.ts';
import { statusCommand } from './status.ts';
import { upCommand } from './up.ts';
import { versionCommand } from './version.ts';
import { waypointCommand } from './waypoint/index.ts';
import { ztunnelConfigCommand } from './ztunnel-config/index.ts';

const exitCodes = { ok: 0, failure: 1, usage: 2 } as const;

/** Runs one command line. Resolves to its exit code: 0, 1 failure, 2 usage, or that of the command `exec` ran. */
export async function runCli(args: readonly string[], environment: Omit<CliContext, 'signal'>): Promise<number> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  // A reader that has seen enough (`| head`) is no failure: the command ends early and without a word.
  let isReaderGone = false;
  const onOutputError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    isReaderGone = true;
    interrupted.abort();
  };
  environment.out.on('error', onOutputError);
  const context: CliContext = { ...environment, signal: interrupted.signal };
  try {
    await buildProgram(context).parseAsync(args as string[], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    return isReaderGone ? exitCodes.ok : report(context, error, args);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

function buildProgram(context: CliContext): Command {
  const program = new Command('ambit')
    .description('An ambient service mesh in TypeScript: zero trust and traffic control without sidecars.')
    .version(`ambit ${packageVersion()}`, '-V, --version', 'print the version of Ambit')
    .helpCommand('help [command]', 'list all commands, or explain one')
    .showHelpAfterError(false);
  const commands = [
    demoCommand(context),
    upCommand(context),
    downCommand(context),
    statusCommand(context),
    logsCommand(context),
    execCommand(context),
    portForwardCommand(context),
    waypointCommand(context),
    explainCommand(context),
    proxyConfigCommand(context),
    proxyStatusCommand(context),
    ztunnelConfigCommand(context),
    versionCommand(context),
    completionCommand(context, program),
  ];
  for (const command of commands) program.addCommand(quiet(context, command));
  program.addHelpText(
    'after',
    '\nComponents, run by a mesh itself: apiserver, control, node-agent, node-runtime, proxy, ztunnel.',
  );
  return quiet(context, program);
}

/** Errors are thrown and reported in one place, in one line. */
function quiet(context: CliContext, command: Command): Command {
  return command.exitOverride().configureOutput({
    writeOut: (text) => void context.out.write(text),
    writeErr: () => undefined,
  });
}

function report(context: CliContext, error: unknown, args: readonly string[]): number {
  if (error instanceof ExitCode) return error.code;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.ok;
    if (error.code === 'commander.help') {
      const asked = args[0] === 'help' && args[1] !== undefined ? `unknown command '${args[1]}'` : 'no command';
      context.err.write(`ambit: ${asked}: run 'ambit help' to list them\n`);
      return exitCodes.usage;
    }
    const known = error.code !== 'commander.unknownCommand' && /^[a-z]/.test(args[0] ?? '');
    const advice = known ? `ambit help ${args[0]}` : 'ambit help';
    context.err.write(`ambit: ${messageOf(error).replace(/^error: |\.$/g, '')}: run '${advice}'\n`);
    return exitCodes.usage;
  }
  context.err.write(`ambit: ${messageOf(error)}\n`);
  return error instanceof AmbitError && error.code === 'cli.usage' ? exitCodes.usage : exitCodes.failure;
}
