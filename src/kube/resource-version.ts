/** The order of resource versions: decimal numbers that only grow, as Kubernetes 1.35 promises (KEP 5504). */

/** Below 0: `a` is older. Undefined: one is no such number (aggregated API servers may use anything), so there is no order. */
export function compareVersions(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || b === undefined || !isNumber.test(a) || !isNumber.test(b)) return undefined;
  // They outgrow what a double holds; without leading zeros the longer one is the greater.
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

export function isOlder(a: string | undefined, b: string | undefined): boolean {
  return (compareVersions(a, b) ?? 0) < 0;
}

const isNumber = /^[1-9]\d*$/;
