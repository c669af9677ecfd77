/** Answers that a route gives by itself, and rewrites. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';
import { hostProblems, isIp } from './hosts.ts';
import { checkPort, checkRegex } from './values.ts';

const largeBody = 100 * 1024;
const tooLargeBody = 1024 * 1024;

/** `route` has the `redirect`, and the matches that a prefix would come from. */
export function checkRedirect(route: FieldView, found: Findings): void {
  const redirect = route.at('redirect');
  if (!redirect.exists) return;
  const [uri, prefix, authority, scheme] = ['uri', 'prefixRewrite', 'authority', 'scheme'].map((field) =>
    redirect.at(field),
  );
  if (!uri?.text && !prefix?.text && !authority?.text && !scheme?.text && !redirect.at('port').exists) {
    found.required(redirect, 'say where to: set uri, authority, scheme or port');
  }
  if (prefix?.text) {
    if (uri?.text) found.forbidden(prefix, 'may not be set together with `uri`');
    const matches = route.at('match').items();
    const all = matches.length > 0 && matches.every((match) => match.at('uri').at('prefix').exists);
    if (!all) found.invalid(prefix, 'needs every match of the route to have a uri.prefix, which it takes the place of');
  }
  const code = redirect.at('redirectCode');
  if (code.number && !(code.number >= 300 && code.number <= 399)) found.invalid(code, 'must be a redirect, 300 to 399');
  if (scheme?.text && scheme.text !== 'http' && scheme.text !== 'https') found.notSupported(scheme, ['http', 'https']);
  checkPort(redirect.at('port'), found);
}

export function checkDirectResponse(response: FieldView, found: Findings): void {
  if (!response.exists) return;
  const status = response.at('status');
  if (status.number !== undefined && !(status.number >= 200 && status.number <= 599))
    found.invalid(status, 'must be a status, 200 to 599');
  const body = response.at('body');
  const { text, bytes } = { text: body.at('string'), bytes: body.at('bytes') };
  const size = text.text === undefined ? Math.floor(((bytes.text ?? '').length * 3) / 4) : Buffer.byteLength(text.text);
  // The value itself would fill the message.
  const view = { ...body, value: `${size} bytes` };
  if (size > tooLargeBody) found.invalid(view, `a body may have at most ${tooLargeBody} bytes`);
  else if (size > largeBody)
    found.warn(view, `a body of ${size} bytes is copied to every proxy: keep it under ${largeBody}`);
}

export function checkRewrite(rewrite: FieldView, found: Findings): void {
  if (!rewrite.exists) return;
  const uri = rewrite.at('uri');
  const authority = rewrite.at('authority');
  const regex = rewrite.at('uriRegexRewrite');
  if (!uri.text && !authority.text && !regex.exists)
    found.required(rewrite, 'say what: set uri, uriRegexRewrite or authority');
  if (uri.text && regex.exists) found.forbidden(regex, 'may not be set together with `uri`');
  if (authority.text) {
    const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(authority.text) ?? [];
    const known = isIp(host.replace(/^\[|\]$/g, '')) || hostProblems(host).length === 0;
    if (!known || Number(port ?? 1) > 65_535) found.invalid(authority, 'must be a host, or host:port');
  }
  if (!regex.exists) return;
  // An empty replacement removes what matches: it must be there, not say something.
  if (!regex.at('match').text) found.required(regex.at('match'));
  if (regex.at('rewrite').text === undefined) found.required(regex.at('rewrite'));
  checkRegex(regex.at('match'), found);
}
