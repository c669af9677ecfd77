/** extensions.istio.io WasmPlugin: a WebAssembly module in the path of requests. */
import { kinds } from '../../kinds.ts';
import { oneOf, record } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { priority, trafficMatch, wasmFields } from './extension.ts';
import { about, ruledAtMostOne } from './field.ts';
import { ageColumn, istioKind } from './kind.ts';
import { selector } from './selector.ts';
import { targetRef, targetRefs } from './target-ref.ts';

const spec = about(
  'The module.',
  ruledAtMostOne(
    record(
      {
        selector,
        targetRef,
        targetRefs,
        ...wasmFields,
        phase: about('Where among the filters it runs.', oneOf('UNSPECIFIED_PHASE', 'AUTHN', 'AUTHZ', 'STATS')),
        priority,
        match: trafficMatch,
      },
      'url',
    ),
    'selector',
    'targetRef',
    'targetRefs',
  ),
);

export const wasmPlugin: CustomKind = istioKind(kinds.WasmPlugin, {
  spec,
  requiresSpec: true,
  versions: ['v1alpha1'],
  columns: [ageColumn],
});
