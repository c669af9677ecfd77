/** `ambit demo`: a mesh, an application, a policy, and a table of what was seen. */
import { join } from 'node:path';
import { styleText } from 'node:util';
import { Command } from 'commander';
import { down, openMeshClient, readManifests, statePaths, up, type StatePaths } from '../../local/mesh/index.ts';
import {
  ExitCode,
  outputOption,
  stateOption,
  type CliContext,
  type OutputFormat,
  type StateOptions,
} from '../context.ts';
import { printList } from '../output.ts';
import { startProgress, type Progress } from '../progress.ts';
import { startOptions } from '../up.ts';
import { pagePort, pageUrl, publishedPage, requirePage } from './page.ts';
import { runScenario, type SeenRow } from './run-scenario.ts';

interface DemoOptions extends StateOptions {
  readonly once?: boolean;
  readonly output: OutputFormat;
}

const readyWithinMs = 120_000;

export function demoCommand(context: CliContext): Command {
  return new Command('demo')
    .description('show the mesh at work: two nodes, Bookinfo behind a gateway, mutual TLS, a policy')
    .option('--once', 'take everything down after the table; exit code 1 if a row was wrong')
    .option('--state <dir>', stateOption().description.replace('~/.ambit)', '~/.ambit-demo)'))
    .addOption(outputOption())
    .addHelpText('after', '\nThe mesh stays up until Ctrl-C. Example:\n  ambit demo --once')
    .action(async (options: DemoOptions) => {
      const paths = statePaths(options.state ?? join(context.home, '.ambit-demo'));
      const progress = startProgress(context);
      const port = await pagePort();
      let wrong: readonly SeenRow[];
      try {
        const rows = await play(context, { paths, port, progress });
        progress.done('done');
        printRows(context, rows, options.output);
        wrong = rows.filter((row) => row.wrong !== undefined);
        for (const row of wrong)
          context.err.write(`ambit: wrong row: ${row.phase}: ${row.caller} -> ${row.called} ${row.wrong}\n`);
        if (!options.once && wrong.length === 0) await stayUp(context, paths, pageUrl(port));
      } finally {
        progress.stop();
        const ending = startProgress(context);
        await down({ paths, purge: true, onProgress: (step) => ending.step(step) });
        ending.done('the demo is over, nothing of it is left');
      }
      if (wrong.length > 0) throw new ExitCode(1);
    });
}

async function play(
  context: CliContext,
  { paths, port, progress }: { readonly paths: StatePaths; readonly port: number; readonly progress: Progress },
): Promise<SeenRow[]> {
  const samples = join(context.self.binDir, '../../samples');
  const onProgress = (step: string): void => progress.step(step);
  // A demo that was cut off may have left its mesh.
  await down({ paths, purge: true, onProgress });
  await up({
    ...startOptions(context),
    paths,
    images: [],
    publish: [publishedPage(port)],
    manifests: readManifests([
      join(samples, 'bookinfo/bookinfo.yaml'),
      join(samples, 'bookinfo/gateway.yaml'),
      join(samples, 'sleep/sleep.yaml'),
      join(samples, 'demo/visitor.yaml'),
    ]),
    timeoutMs: readyWithinMs,
    onProgress,
  });
  const client = openMeshClient(paths);
  try {
    const rows = await runScenario({ client, node: context.self.node, samples, onProgress, signal: context.signal });
    onProgress('asking for the page through the gateway');
    await requirePage(pageUrl(port), context.signal);
    return rows;
  } finally {
    await client.close();
  }
}

function printRows(context: CliContext, rows: readonly SeenRow[], format: OutputFormat): void {
  const colour = (context.out as { isTTY?: boolean }).isTTY === true;
  const paint = (row: SeenRow): string =>
    colour ? styleText(row.outcome === 'denied' ? 'red' : 'green', row.outcome) : row.outcome;
  printList(context, rows, {
    format,
    columns: [
      { title: 'WHEN', value: (row) => row.phase },
      { title: 'CALLER', value: (row) => row.caller },
      { title: 'IDENTITY', value: (row) => row.callerIdentity },
      { title: 'CALLED', value: (row) => row.called },
      { title: 'MTLS', value: (row) => (row.mutualTls ? 'yes' : 'no') },
      { title: 'POLICY', value: (row) => row.policy ?? '' },
      { title: 'RESULT', value: (row) => (row.wrong === undefined ? paint(row) : `WRONG: ${row.wrong}`) },
    ],
  });
}

async function stayUp(context: CliContext, paths: StatePaths, page: string): Promise<void> {
  context.err.write(
    `\nThe mesh stays up until Ctrl-C. Bookinfo is at ${page}. Look around:\n  export KUBECONFIG=${paths.kubeconfig}\n  ambit ztunnel-config workloads\n  kubectl get pods -A\n`,
  );
  if (context.signal.aborted) return;
  const keepAlive = setInterval(() => undefined, 60_000);
  await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
  clearInterval(keepAlive);
}
