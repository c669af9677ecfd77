/**
 * `npm run bundle [-- DIR]`: Ambit's programs as a few files of JavaScript, as the image has them, with a package.json, in DIR
 * (`.cache/bundle` unless told). A process then reads no TypeScript, has a module where the tree has
 * hundreds, and holds a third less memory. Names stay as they are, so that stacks can be read.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build, type BuildOptions } from 'esbuild';
import { root } from './run.ts';

/** They share what they have in common: the others are threads of the first. */
const together = ['bin/ambit', 'ztunnel/data/worker', 'proxy/workers/worker'];
/** Each a file by itself: one may read nothing else, the other is copied to the host. */
const alone = ['bin/extension-host', 'bin/cni-plugin'];

/** Writes DIR/package.json and DIR/dist. What is native stays in node_modules, which Node looks for from DIR upwards. */
export async function bundle(dir: string): Promise<void> {
  const dist = join(dir, 'dist');
  await rm(dist, { recursive: true, force: true });
  const source = (names: readonly string[]): string[] => names.map((name) => join(root, 'src', `${name}.ts`));
  await build({ ...options(dist), entryPoints: source(together), splitting: true, chunkNames: 'chunks/[name]-[hash]' });
  await build({ ...options(dist), entryPoints: source(alone) });
  const { name, version, license } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest;
  await mkdir(dir, { recursive: true });
  await writeFile(
    join(dir, 'package.json'),
    `${JSON.stringify({ name, version, license, type: 'module' }, undefined, 2)}\n`,
  );
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

function options(outdir: string): BuildOptions {
  return {
    absWorkingDir: root,
    outdir,
    outbase: join(root, 'src'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    external: ['koffi'],
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'linked',
    // Packages in CommonJS ask for Node's own modules by require.
    banner: {
      js: "import{createRequire as ambitRequire}from'node:module';const require=ambitRequire(import.meta.url);",
    },
    logLevel: 'warning',
  };
}

if (import.meta.main) {
  const dir = resolve(process.argv[2] ?? join(root, '.cache/bundle'));
  await bundle(dir);
  console.log(`bundled into ${join(dir, 'dist')}: start it with node ${join(dir, 'dist/bin/ambit.js')}`);
}
