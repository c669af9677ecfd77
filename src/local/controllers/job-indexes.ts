/** Completion indexes as a Job's status writes them: `1,3-5,7`. */

export function parseIndexes(text: string | undefined, completions: number): Set<number> {
  const result = new Set<number>();
  for (const part of (text ?? '').split(',').filter((each) => each !== '')) {
    const [first = 0, last = first] = part.split('-').map(Number);
    for (let i = first; i <= Math.min(last, completions - 1); i++) result.add(i);
  }
  return result;
}

/** Two in a row are written apart, three as a range, as Kubernetes does it. */
export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...indexes].toSorted((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end++;
    if (end - i >= 1) parts.push(`${sorted[i]}${end - i === 1 ? ',' : '-'}${sorted[end]}`);
    else parts.push(String(sorted[i]));
    i = end + 1;
  }
  return parts.join(',');
}
