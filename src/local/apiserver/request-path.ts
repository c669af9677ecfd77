/** What a REST path asks for: group, version, namespace, resource, name, subresource. */

/** The addressed part of `/api/v1/...` or `/apis/GROUP/VERSION/...`, not yet matched against the kinds served. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  /** Lower-case plural. */
  readonly plural: string;
  /** Undefined when the path names none (cluster scope, or all namespaces). */
  readonly namespace: string | undefined;
  /** Undefined: the collection. */
  readonly name: string | undefined;
  /** "" for none; `log`, `status`, `binding`, ... */
  readonly subresource: string;
}

/** The resource a path addresses; undefined when the path has another form. Throws URIError for bad percent-encoding. */
export function parseResourcePath(pathname: string): ResourcePath | undefined {
  const segments = pathname.split('/').slice(1).map(decodeURIComponent);
  if (segments.at(-1) === '') segments.pop();
  // A name holds no slash: one that was encoded addresses nothing.
  if (segments.some((segment) => ['', '.', '..'].includes(segment) || segment.includes('/'))) return undefined;
  let rest: string[];
  let group = '';
  let version: string | undefined;
  if (segments[0] === 'api') [version, ...rest] = segments.slice(1);
  else if (segments[0] === 'apis') {
    [group = '', version, ...rest] = segments.slice(1);
  } else return undefined;
  if (version === undefined || rest.length === 0) return undefined;

  // `namespaces/x` and `namespaces/x/status` address the Namespace itself.
  const inNamespace =
    rest[0] === 'namespaces' && rest.length >= 3 && !(rest.length === 3 && namespaceSubresources.has(rest[2] ?? ''));
  const namespace = inNamespace ? rest[1] : undefined;
  const [plural = '', name, ...tail] = inNamespace ? rest.slice(2) : rest;
  if (tail.length > 1) return undefined;
  return { group, version, plural, namespace, name, subresource: tail[0] ?? '' };
}

const namespaceSubresources = new Set(['status', 'finalize']);
