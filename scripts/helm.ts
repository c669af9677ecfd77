/** Builds helm into .cache where there is none: the chart's tests run it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from './run.ts';

const version = 'v3.19.2';

/** Only a help: where it fails, the tests that need helm say so and are skipped. */
export function ensureHelm(): void {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const cache = join(root, '.cache');
  if ([...folders, cache].some((folder) => existsSync(join(folder, 'helm')))) return;
  mkdirSync(cache, { recursive: true });
  console.error(`building helm ${version} (once)`);
  spawnSync('go', ['install', '-trimpath', `helm.sh/helm/v3/cmd/helm@${version}`], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, GOBIN: cache },
    timeout: 600_000,
  });
}
