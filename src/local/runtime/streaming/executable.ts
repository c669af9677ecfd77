/** Finds the program of a command as the container sees it, to say what container runtimes say when there is none. */
import { readlinkSync, statSync, lstatSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { codeOf } from '../../../lib/errors.ts';

const maxLinks = 40;

/** Why the program cannot be started, undefined when nothing speaks against it. `root` is the container's root as we see it. */
export function missingExecutable(
  root: string,
  program: string,
  options: { readonly path: string; readonly directory: string },
): string | undefined {
  if (program.includes('/')) {
    const found = look(root, isAbsolute(program) ? program : join(options.directory, program));
    if (found === 'missing') return `exec: ${JSON.stringify(program)}: stat ${program}: no such file or directory`;
    return found === 'denied' ? `exec: ${JSON.stringify(program)}: permission denied` : undefined;
  }
  const results = options.path.split(':').map((folder) => look(root, join('/', folder, program)));
  if (results.includes('found')) return undefined;
  return `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
}

function look(root: string, path: string): 'found' | 'missing' | 'denied' {
  try {
    const info = statSync(join(root, resolveInside(root, path)));
    return info.isFile() && (info.mode & 0o111) !== 0 ? 'found' : 'denied';
  } catch (error) {
    // Whatever else is wrong shows when it is started.
    return ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '') ? 'missing' : 'found';
  }
}

/** The path without links, each followed inside `root`. Throws what the system says when a part is not there. */
function resolveInside(root: string, path: string): string {
  let rest = normalize(path).split('/').filter(Boolean);
  let at = '/';
  for (let links = 0; rest.length > 0;) {
    const [name = '', ...others] = rest;
    rest = others;
    if (name === '..') {
      at = dirname(at);
      continue;
    }
    const next = join(at, name);
    if (!lstatSync(join(root, next)).isSymbolicLink()) {
      at = next;
      continue;
    }
    if (++links > maxLinks) throw new Error('too many links');
    const target = readlinkSync(join(root, next));
    if (isAbsolute(target)) at = '/';
    rest = [...target.split('/').filter((part) => part !== '' && part !== '.'), ...rest];
  }
  return at;
}
