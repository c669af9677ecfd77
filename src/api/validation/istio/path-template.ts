/** Paths with the segments `{*}` (one segment) and `{**}` (any number of them, the last of the template). */

/** Characters of a path segment, RFC 3986. */
const literal = /^[-A-Za-z0-9._~%!$&'()+,;=:@]*$/;

/** What is wrong with the template; nothing for a path that is none. */
export function pathTemplateProblems(path: string): string[] {
  if (!/[{}]/.test(path)) return [];
  const segments = path.split('/');
  const templates = segments.filter((segment) => /[{}]/.test(segment));
  if (templates.some((segment) => segment !== '{*}' && segment !== '{**}')) {
    return ['only the segments {*} and {**} are supported in a path template'];
  }
  if (templates.filter((segment) => segment === '{**}').length > 1) return ['{**} may be used at most once'];
  if (path.replaceAll(/\{\*\*?\}/g, '').includes('*')) return ['may not mix * with {*} or {**}'];
  if (!path.startsWith('/')) return ['a path template must begin with /'];
  if (segments.includes('{**}') && templates.at(-1) !== '{**}') return ['{**} must come after every {*}'];
  return segments.every((segment) => templates.includes(segment) || literal.test(segment))
    ? []
    : ['the other segments of a path template may only have the characters of a path'];
}
