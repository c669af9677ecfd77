/** Istio's own programs (test/istio/peers), where `npm run test:istio` built them. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { repository } from '../support/mesh.ts';

/** The binary; its first argument says which program it is. */
export const peers: string = process.env['AMBIT_TEST_ISTIO'] ?? '';

export const skip: string | false = peers === '' && "no programs of Istio: run 'npm run test:istio'";

/** A folder of Istio's module, as Go keeps it. */
export function istioFolder(path: string): string {
  const module = execFileSync('go', ['list', '-m', '-f', '{{.Dir}}', 'istio.io/istio'], {
    cwd: join(repository, 'test/istio/peers'),
    encoding: 'utf8',
  });
  return join(module.trim(), path);
}
