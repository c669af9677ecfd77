/** How far the data planes of this replica are, in the resource versions of the API. */
import type { ReplicaReport, ResourceName } from './replica-report.ts';

type Positions = ReplicaReport['held'];

export interface WatermarkOptions {
  /** Says that a set of changes was published. Returns its number. */
  readonly publish: () => number;
  /** Every data plane holds what was published up to this number. */
  readonly heldEpoch: () => number;
}

export class Watermark {
  readonly #options: WatermarkOptions;
  /** Published but perhaps not held yet, oldest first; the first entry is held. */
  readonly #published: { epoch: number; positions: Positions }[] = [];

  constructor(options: WatermarkOptions) {
    this.#options = options;
  }

  /** What came from the API up to `positions` has just been published. */
  published(positions: Positions): void {
    this.#published.push({ epoch: this.#options.publish(), positions });
  }

  /** Absent before the first publication. */
  held(): Positions | undefined {
    const epoch = this.#options.heldEpoch();
    while (this.#published.length > 1 && (this.#published[1]?.epoch ?? Infinity) <= epoch) this.#published.shift();
    const [first] = this.#published;
    return first && first.epoch <= epoch ? first.positions : undefined;
  }
}

/** Whether a replica that holds up to `position` holds what was written as `version`. */
export function isHeld(
  held: Positions | undefined,
  resource: ResourceName,
  version: string,
  isOlder: (a: string | undefined, b: string | undefined) => boolean,
): boolean {
  const position = held?.[resource];
  return position !== undefined && !isOlder(position, version);
}
