/** `grpc-timeout`: up to eight digits and a unit. */

const unitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
const largestAmount = 99_999_999;

/** Milliseconds, perhaps with a fraction; undefined when the text is none. */
export function parseGrpcTimeout(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return amount === undefined || unit === undefined ? undefined : Number(amount) * (unitsMs[unit] as number);
}

/** Rounded up, in the finest unit from milliseconds on that holds it. */
export function formatGrpcTimeout(timeoutMs: number): string {
  for (const unit of ['m', 'S', 'M'] as const) {
    const amount = Math.ceil(timeoutMs / (unitsMs[unit] as number));
    if (amount <= largestAmount) return `${amount}${unit}`;
  }
  return `${largestAmount}H`;
}
