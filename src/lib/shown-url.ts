/** URLs as logs, dumps and conditions show them. */

const hidden = '[hidden]';

/** Without user information and the values of its query, which may be credentials: of a URL, or of a text with one at its end. */
export function shownUrl(text: string): string {
  const query = text.indexOf('?');
  const path = query < 0 ? text : text.slice(0, query);
  const shown = path.replace(/\/\/[^/\\#]*@/, `//${hidden}@`);
  if (query < 0) return shown;
  const parameters = text.slice(query + 1).split('&');
  return `${shown}?${parameters.map((one) => (one.includes('=') ? one.replace(/=.*/s, `=${hidden}`) : hidden)).join('&')}`;
}
