/** What the demo does and what it must see: phases, calls, and one expected row for every connection. */

export type Outcome = 'allowed' | 'denied';

/** A row of the table, before it was seen. */
export interface ExpectedRow {
  readonly phase: string;
  readonly caller: string;
  readonly called: string;
  readonly mutualTls: boolean;
  readonly outcome: Outcome;
  /** Policy that must have decided; absent: none. */
  readonly policy?: string;
  /** The row is seen by the client alone: no ztunnel is in between. */
  readonly direct?: boolean;
}

/** A request that the demo sends: from a pod of `caller` to `url`. */
export interface DemoCall {
  readonly caller: { readonly namespace: string; readonly app: string };
  readonly url: string;
  readonly expect: 'answer' | 'no answer';
}

export interface DemoPhase {
  readonly name: string;
  readonly step: string;
  readonly calls: readonly DemoCall[];
  readonly rows: readonly Omit<ExpectedRow, 'phase'>[];
}

const sleep = { namespace: 'default', app: 'sleep' };
const visitor = { namespace: 'outside', app: 'visitor' };
const page = 'http://productpage.default.svc.cluster.local:9080/productpage';
const ratings = 'http://ratings.default.svc.cluster.local:9080/ratings/0';
const ratingsPolicy = 'default/ratings-viewer';
const strictPolicy = 'istio-system/istio_converted_static_strict';

export const demoPhases: readonly [before: DemoPhase, enrolled: DemoPhase, restricted: DemoPhase] = [
  {
    name: 'before the mesh',
    step: 'sending traffic without the mesh',
    calls: [
      { caller: sleep, url: page, expect: 'answer' },
      { caller: sleep, url: ratings, expect: 'answer' },
      { caller: visitor, url: page, expect: 'answer' },
    ],
    rows: [
      { caller: 'sleep', called: 'productpage-v1', mutualTls: false, outcome: 'allowed', direct: true },
      { caller: 'sleep', called: 'ratings-v1', mutualTls: false, outcome: 'allowed', direct: true },
      { caller: 'visitor', called: 'productpage-v1', mutualTls: false, outcome: 'allowed', direct: true },
    ],
  },
  {
    name: 'in the mesh',
    step: 'sending traffic in the mesh',
    calls: [
      { caller: sleep, url: page, expect: 'answer' },
      { caller: sleep, url: ratings, expect: 'answer' },
      { caller: visitor, url: page, expect: 'answer' },
    ],
    rows: [
      { caller: 'sleep', called: 'productpage-v1', mutualTls: true, outcome: 'allowed' },
      { caller: 'productpage-v1', called: 'details-v1', mutualTls: true, outcome: 'allowed' },
      { caller: 'sleep', called: 'ratings-v1', mutualTls: true, outcome: 'allowed' },
      { caller: 'visitor', called: 'productpage-v1', mutualTls: false, outcome: 'allowed' },
    ],
  },
  {
    name: 'with policies',
    step: 'sending traffic under the policies',
    calls: [
      { caller: sleep, url: page, expect: 'answer' },
      { caller: sleep, url: ratings, expect: 'no answer' },
      { caller: visitor, url: page, expect: 'no answer' },
    ],
    rows: [
      { caller: 'sleep', called: 'productpage-v1', mutualTls: true, outcome: 'allowed' },
      { caller: 'reviews-', called: 'ratings-v1', mutualTls: true, outcome: 'allowed', policy: ratingsPolicy },
      { caller: 'sleep', called: 'ratings-v1', mutualTls: true, outcome: 'denied', policy: ratingsPolicy },
      { caller: 'visitor', called: 'productpage-v1', mutualTls: false, outcome: 'denied', policy: strictPolicy },
    ],
  },
];
