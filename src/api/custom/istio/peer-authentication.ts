/** security.istio.io PeerAuthentication: whether mutual TLS is required of those who connect. */
import { kinds } from '../../kinds.ts';
import { oneOf, record } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about, ruled } from './field.ts';
import { ageColumn, istioKind, securityVersions, textColumn } from './kind.ts';
import { selector } from './selector.ts';

const mutualTls = record({
  mode: about(
    'STRICT refuses plaintext, PERMISSIVE takes both; UNSET inherits from the namespace, then from the mesh.',
    oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'),
  ),
});

const spec = about(
  'Whether mutual TLS is required.',
  ruled(
    record({
      selector,
      mtls: about('For all ports.', mutualTls),
      portLevelMtls: about(
        'For single ports of the workload; the keys are port numbers.',
        ruled(
          { type: 'object', minProperties: 1, additionalProperties: mutualTls },
          'self.all(key, 0 < int(key) && int(key) <= 65535)',
          'port must be between 1-65535',
        ),
      ),
    }),
    '!has(self.portLevelMtls) || (has(self.selector) && has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)',
    'portLevelMtls requires a selector with labels',
  ),
);

export const peerAuthentication: CustomKind = istioKind(kinds.PeerAuthentication, {
  spec,
  versions: securityVersions,
  shortNames: ['pa'],
  columns: [textColumn('Mode', '.spec.mtls.mode', 'The mode of mutual TLS.'), ageColumn],
});
