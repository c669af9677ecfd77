/** A draw in proportion to weights: sums once, then a binary search a draw. */

export interface WeightSums {
  /** `upTo[i]` is the weight of 0 to i together. */
  readonly upTo: Float64Array;
  readonly total: number;
}

export function sumWeights(weights: readonly number[]): WeightSums {
  const upTo = new Float64Array(weights.length);
  let total = 0;
  for (let i = 0; i < weights.length; i++) upTo[i] = total += weights[i] as number;
  return { upTo, total };
}

/** The index that `at`, in [0, 1), falls on; -1 when there is no weight. */
export function drawIndex({ upTo, total }: WeightSums, at: number): number {
  if (!(total > 0)) return -1;
  const wanted = at * total;
  let low = 0;
  let high = upTo.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((upTo[middle] as number) > wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}
