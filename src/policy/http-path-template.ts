/** Paths with `{*}` (one segment) and `{**}` (any number of them, also none), as AuthorizationPolicy knows them. */
import type { TextTest } from './text-match.ts';

/**
 * The text around the operators is literal. `/a/{**}` fits `/a/` and `/a/b/c`, not `/a`. Linear: `{*}` cannot pass a slash, and
 * there is at most one `{**}`, after which no `{*}` comes.
 */
export function compilePathTemplate(template: string): TextTest {
  const source = template
    .split(/(\{\*\*?\})/)
    .map((part) => (part === '{*}' ? '[^/]+' : part === '{**}' ? '.*' : RegExp.escape(part)))
    .join('');
  const pattern = new RegExp(`^${source}$`, 's');
  return (path) => pattern.test(path);
}
