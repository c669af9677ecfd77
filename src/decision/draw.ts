/** Draws one endpoint by capacity, best group first, around those that just failed. Pure but for the injected random. */
import type { WorkloadUid } from '../api/names.ts';
import type { EndpointGroup, RankedEndpoint, RankedEndpoints } from './ranked-endpoints.ts';

/** What is known against endpoints. */
export interface EndpointAvoidance {
  /** Tried in vain for this very connection: never again. */
  readonly tried: ReadonlySet<WorkloadUid>;
  /** Failed a moment ago: only when nothing else is left. */
  isSuspect(uid: WorkloadUid): boolean;
  /** Whether anything is suspect at all. */
  readonly anySuspect: boolean;
}

/** Undefined when every endpoint was tried, or there is none. */
export function drawEndpoint(
  { groups }: RankedEndpoints,
  random: () => number,
  avoid?: EndpointAvoidance,
): RankedEndpoint | undefined {
  if (!avoid || (avoid.tried.size === 0 && !avoid.anySuspect)) {
    const best = groups[0];
    return best && at(best, random);
  }
  // A group whose endpoints all failed a moment ago hands over to the next: that is what failover is for.
  for (const group of groups) {
    const found = drawAccepted(group, random, (uid) => !avoid.tried.has(uid) && !avoid.isSuspect(uid));
    if (found) return found;
  }
  for (const group of groups) {
    const found = drawAccepted(group, random, (uid) => !avoid.tried.has(uid));
    if (found) return found;
  }
  return undefined;
}

const quickTries = 4;

function drawAccepted(
  group: EndpointGroup,
  random: () => number,
  accepts: (uid: WorkloadUid) => boolean,
): RankedEndpoint | undefined {
  // Few endpoints of many are avoided: then a draw or two finds another, and the group is not walked.
  for (let i = 0; i < quickTries; i++) {
    const drawn = at(group, random);
    if (drawn && accepts(drawn.workload.uid)) return drawn;
  }
  let total = 0;
  for (const { workload } of group.endpoints) if (accepts(workload.uid)) total += workload.capacity;
  let rest = random() * total;
  for (const endpoint of group.endpoints) {
    if (!accepts(endpoint.workload.uid)) continue;
    rest -= endpoint.workload.capacity;
    if (rest < 0) return endpoint;
  }
  return undefined;
}

function at({ endpoints, upTo }: EndpointGroup, random: () => number): RankedEndpoint | undefined {
  const wanted = random() * (upTo[upTo.length - 1] ?? 0);
  let low = 0;
  let high = upTo.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (wanted < (upTo[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return endpoints[low];
}
