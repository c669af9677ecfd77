/** The page that lists what the admin port has. */

export interface AdminPage {
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly does: string;
}

export function dashboard(
  { name, version }: { readonly name: string; readonly version: string },
  pages: readonly AdminPage[],
): string {
  const rows = pages
    .map(({ path, method, does }) => {
      const shown = method === 'GET' ? `<a href="${path}">${path}</a>` : path;
      return `<tr><td>${method}</td><td>${shown}</td><td>${escapeHtml(does)}</td></tr>`;
    })
    .join('\n');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escapeHtml(name)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color-scheme: light dark }
td { padding: .3rem 1rem .3rem 0; vertical-align: top }
td:first-child, a { font-family: ui-monospace, monospace }
</style>
<h1>${escapeHtml(name)}</h1>
<p>Ambit ${escapeHtml(version)}</p>
<table>
${rows}
</table>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
