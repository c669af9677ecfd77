/** kubectl, where there is one: AMBIT_TEST_KUBECTL, what is installed, or the one that is built with Kubernetes' own server. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const { env } = process;

function find(): readonly string[] | undefined {
  const named = env['AMBIT_TEST_KUBECTL'];
  if (named) return [named];
  const server = env['AMBIT_TEST_KUBERNETES'];
  if (server) return [server, 'kubectl'];
  const folders = (env['PATH'] ?? '').split(delimiter);
  const installed = folders.map((folder) => join(folder, 'kubectl')).find((path) => existsSync(path));
  return installed === undefined ? undefined : [installed];
}

/** The command, with the words that come before the arguments. */
export const kubectl: readonly string[] | undefined = find();

/** For tests that need it: the reason why they cannot run, or false. */
export const noKubectl: string | false =
  kubectl === undefined && 'no kubectl (1.29 or newer): install it, or run npm run test:kubernetes';
