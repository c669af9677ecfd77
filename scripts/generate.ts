/** Makes src/gen from proto/. With --check nothing is written: it fails when src/gen is not what proto/ gives. Works offline. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { root } from './run.ts';

const committed = join(root, 'src/gen');

if (process.argv.includes('--check')) {
  const fresh = mkdtempSync(join(tmpdir(), 'ambit-gen-'));
  try {
    buf(['generate', '--output', fresh]);
    const differing = differingFiles(join(fresh, 'src/gen'), committed);
    for (const file of differing) console.error(`src/gen/${file} is not what proto/ gives: run npm run generate`);
    process.exitCode = differing.length === 0 ? 0 : 1;
  } finally {
    rmSync(fresh, { recursive: true });
  }
} else {
  buf(['lint']);
  buf(['generate']);
}

function buf(args: readonly string[]): void {
  const bin = join(root, 'node_modules/.bin');
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  execFileSync(join(bin, 'buf'), args, { cwd: root, stdio: 'inherit', env });
}

function differingFiles(left: string, right: string): string[] {
  const names = new Set([...readdirSync(left), ...readdirSync(right)]);
  return [...names].filter((name) => contentOf(join(left, name)) !== contentOf(join(right, name)));
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
