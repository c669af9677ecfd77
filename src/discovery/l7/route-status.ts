/** What the status of a route says of each of its parents (ambient-l7, 15.4). Pure. */
import type { ObjectVerdict } from '../waypoint-binding.ts';
import type { ReferenceProblem } from './gateway-api-backends.ts';
import type { ParentOutcome, ParentRef } from './gateway-api-parents.ts';
import type { DroppedRule } from './http-route-rules.ts';

/** Of one route. */
export interface RouteVerdict {
  readonly generation: number | undefined;
  /** One entry for each parent of ours. */
  readonly parents: readonly ParentVerdict[];
}

export interface ParentVerdict {
  readonly parentRef: ParentRef;
  readonly controllerName: string;
  /** By type: Accepted, ResolvedRefs; PartiallyInvalid, ResolvedWaypoints where they apply. */
  readonly conditions: Readonly<Record<string, ObjectVerdict>>;
}

export interface RuleFindings {
  readonly problems: readonly ReferenceProblem[];
  readonly dropped: readonly DroppedRule[];
  /** Of the rules that remain. */
  readonly ruleCount: number;
}

export function parentVerdict(outcome: ParentOutcome, findings: RuleFindings): ParentVerdict {
  const { parentRef, controllerName, hasWaypoint } = outcome;
  return {
    parentRef,
    controllerName,
    conditions: {
      Accepted: acceptance(outcome, findings),
      ResolvedRefs: resolution(findings.problems),
      ...partialInvalidity(outcome, findings),
      ...(hasWaypoint === undefined ? {} : { ResolvedWaypoints: waypoints(hasWaypoint) }),
    },
  };
}

function acceptance({ bindings, refusal }: ParentOutcome, { dropped, ruleCount }: RuleFindings): ObjectVerdict {
  if (refusal) return { status: 'False', ...refusal };
  if (dropped.length > 0 && ruleCount === 0) {
    return { status: 'False', reason: 'UnsupportedValue', message: textOf(dropped) };
  }
  const message =
    bindings.length === 1 ? 'the route is valid' : `the route is valid, and bound to ${bindings.length} places`;
  return { status: 'True', reason: 'Accepted', message };
}

/** The first fault gives the reason; all of them are told. */
function resolution(problems: readonly ReferenceProblem[]): ObjectVerdict {
  const [first] = problems;
  if (!first) return { status: 'True', reason: 'ResolvedRefs', message: 'all references hold' };
  return { status: 'False', reason: first.reason, message: textOf(problems) };
}

function partialInvalidity(
  { refusal }: ParentOutcome,
  { dropped, ruleCount }: RuleFindings,
): Readonly<Record<string, ObjectVerdict>> {
  if (refusal || dropped.length === 0 || ruleCount === 0) return {};
  return {
    PartiallyInvalid: { status: 'True', reason: 'UnsupportedValue', message: `Dropped Rule: ${textOf(dropped)}` },
  };
}

function waypoints(hasWaypoint: boolean): ObjectVerdict {
  if (hasWaypoint) return { status: 'True', reason: 'ResolvedWaypoints', message: 'a waypoint follows the route' };
  return {
    status: 'False',
    reason: 'MissingUseWaypointLabel',
    message: 'nobody follows the route: neither the parent nor its namespace is labelled istio.io/use-waypoint',
  };
}

const maxTold = 5;

function textOf(faults: readonly { readonly path: string; readonly message: string }[]): string {
  const told = faults.slice(0, maxTold).map(({ path, message }) => `${path}: ${message}`);
  return [...told, ...(faults.length > maxTold ? [`and ${faults.length - maxTold} more`] : [])].join('; ');
}
