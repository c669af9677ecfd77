/** Entry point of everything: a component by its name, else the command line. */
import { homedir } from 'node:os';

/** Long-running processes, each an entry point of its own; imported only when asked for. */
const components: Readonly<Record<string, () => Promise<unknown>>> = {
  apiserver: () => import('./apiserver.ts'),
  control: () => import('./control.ts'),
  forwarder: () => import('./forwarder.ts'),
  'listener-holder': () => import('./listener-holder.ts'),
  'node-agent': () => import('./node-agent.ts'),
  'node-runtime': () => import('./node-runtime.ts'),
  proxy: () => import('./proxy.ts'),
  supervisor: () => import('./supervisor.ts'),
  ztunnel: () => import('./ztunnel.ts'),
};

const [, , name = ''] = process.argv;
const component = components[name];
if (component) {
  // The component reads its own arguments as if it had been started directly.
  process.argv.splice(2, 1);
  await component();
} else {
  const { runCli } = await import('../cli/index.ts');
  const compileCache = process.env['NODE_COMPILE_CACHE'];
  process.exitCode = await runCli(process.argv.slice(2), {
    self: {
      node: process.execPath,
      binDir: import.meta.dirname,
      ...(compileCache === undefined ? {} : { compileCache }),
    },
    env: process.env,
    home: homedir(),
    isRoot: process.getuid?.() === 0,
    out: process.stdout,
    err: process.stderr,
  });
}
