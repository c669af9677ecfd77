/**
 * Makes what is generated: src/gen from proto/, and charts/crds and src/api/custom/types.gen.ts from src/api/custom. With --check
 * nothing is written: it fails when something is not what its source gives. Works offline.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { crdFolder, generateCrds } from './generated-crds.ts';
import { generateTypes, typesFile } from './generated-types.ts';
import { root } from './run.ts';

const isCheck = process.argv.includes('--check');
const stale = [...messages(), ...definitions(), ...types()];
for (const file of stale) console.error(`${file} is not what its source gives: run npm run generate`);
process.exitCode = stale.length === 0 ? 0 : 1;

function messages(): string[] {
  if (!isCheck) {
    buf(['lint']);
    buf(['generate']);
    return [];
  }
  const fresh = mkdtempSync(join(tmpdir(), 'ambit-gen-'));
  try {
    buf(['generate', '--output', fresh]);
    const from = join(fresh, 'src/gen');
    return sync('src/gen', new Map(readdirSync(from).map((name) => [name, readFileSync(join(from, name), 'utf8')])));
  } finally {
    rmSync(fresh, { recursive: true });
  }
}

function definitions(): string[] {
  return sync(crdFolder, generateCrds());
}

function types(): string[] {
  const text = generateTypes();
  if (contentOf(join(root, typesFile)) === text) return [];
  if (isCheck) return [typesFile];
  writeFileSync(join(root, typesFile), text);
  return [];
}

/** Makes the folder hold just these files; with --check, says which it does not. */
function sync(folder: string, files: ReadonlyMap<string, string>): string[] {
  const path = join(root, folder);
  mkdirSync(path, { recursive: true });
  const names = new Set([...files.keys(), ...readdirSync(path)]);
  const differing = [...names].filter((name) => contentOf(join(path, name)) !== files.get(name));
  if (isCheck) return differing.map((name) => `${folder}/${name}`);
  for (const name of differing) {
    const text = files.get(name);
    if (text === undefined) rmSync(join(path, name));
    else writeFileSync(join(path, name), text);
  }
  return [];
}

function buf(args: readonly string[]): void {
  const bin = join(root, 'node_modules/.bin');
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  execFileSync(join(bin, 'buf'), args, { cwd: root, stdio: 'inherit', env });
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
