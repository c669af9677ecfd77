/** extensions.istio.io TrafficExtension: a WebAssembly module or a Lua script in the path of requests. */
import { kinds } from '../../kinds.ts';
import { oneOf, record } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { priority, trafficMatch, wasmFields } from './extension.ts';
import { about, atMostOne, ruled, ruledAtMostOne } from './field.ts';
import { ageColumn, istioKind } from './kind.ts';
import { selector } from './selector.ts';
import { targetRefs } from './target-ref.ts';

const lua = record(
  { inlineCode: about('The script.', { type: 'string', minLength: 1, maxLength: 65_536 }) },
  'inlineCode',
);

const spec = about('The module or script.', {
  ...ruled(
    ruledAtMostOne(
      record({
        selector,
        targetRefs,
        wasm: about('A WebAssembly module.', record(wasmFields, 'url')),
        lua: about('A Lua script.', lua),
        phase: about('Where among the filters it runs.', oneOf('UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS')),
        priority,
        match: trafficMatch,
      }),
      'selector',
      'targetRefs',
    ),
    'has(self.wasm) != has(self.lua)',
    'exactly one of wasm and lua must be set',
  ),
  ...atMostOne('wasm', 'lua'),
});

export const trafficExtension: CustomKind = istioKind(kinds.TrafficExtension, {
  spec,
  requiresSpec: true,
  versions: ['v1alpha1'],
  columns: [ageColumn],
});
