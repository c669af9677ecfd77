/** How field names appear in CEL: words of the language and characters that no identifier has are escaped (`k8s.io/apiserver/pkg/cel/escaping.go`). */

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

/** `spec` → `spec`, `namespace` → `__namespace__`, `a-b` → `a__dash__b`; undefined for a name that CEL cannot reach. */
export function celName(field: string): string | undefined {
  if (reserved.has(field)) return `__${field}__`;
  if (!/^[A-Za-z_][A-Za-z0-9_./-]*$/.test(field)) return undefined;
  return field
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}
