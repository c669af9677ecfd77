/** `ztunnel-config log` and `proxy-config log`: read and set log levels. */
import { usageError, type CliContext } from './context.ts';

export async function changeLevels(
  context: CliContext,
  { level, reset }: { readonly level?: string; readonly reset?: boolean },
  send: (path: string) => Promise<readonly { readonly proxy: string; readonly answer: string }[]>,
): Promise<void> {
  if (level !== undefined && reset === true) throw usageError('Cannot use --level with --reset: write one of them');
  const query = new URLSearchParams();
  if (level !== undefined) query.set('level', level);
  if (reset === true) query.set('reset', '');
  const path = query.size === 0 ? '/logging' : `/logging?${query.toString()}`;
  for (const { proxy, answer } of await send(path)) context.out.write(`${proxy}:\n${answer.trimEnd()}\n`);
}
