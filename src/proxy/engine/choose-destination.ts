/** Which of a rule's destinations one request goes to. Pure. */
import type { WeightedDestination } from '../../api/l7/index.ts';
import { drawDestination } from '../../decision/routes/index.ts';

/** The one that the client's session is at, if it has a weight still; else by weight, drawn at `random` from 0 to 1. */
export function chooseDestination(
  destinations: readonly WeightedDestination[],
  ofSession: string | undefined,
  random: () => number,
): WeightedDestination | undefined {
  return (
    (ofSession === undefined ? undefined : atBackend(destinations, ofSession)) ??
    drawDestination(destinations, random())
  );
}

function atBackend(destinations: readonly WeightedDestination[], backend: string): WeightedDestination | undefined {
  return destinations.find(
    ({ weight, target }) => weight > 0 && target.kind === 'backend' && target.backend === backend,
  );
}
