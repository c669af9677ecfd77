import { peerAuthentication } from '../../custom/istio/peer-authentication.ts';
import { validatePeerAuthentication } from './peer-authentication.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(peerAuthentication, validatePeerAuthentication, {
  fine: {
    'is strict for the mesh': { mtls: { mode: 'STRICT' } },
    'has an exception for a port': {
      selector: { matchLabels: { app: 'finance' } },
      mtls: { mode: 'STRICT' },
      portLevelMtls: { '8080': { mode: 'DISABLE' } },
    },
  },
  judged: {
    'has an exception for all workloads': [
      { portLevelMtls: { '8080': { mode: 'DISABLE' } } },
      'spec.portLevelMtls: Forbidden: may only be set together with a `selector` that has labels',
    ],
    'has no exception': [
      { selector: { matchLabels: { app: 'x' } }, portLevelMtls: {} },
      'spec.portLevelMtls: Required value: must not be empty when it is set',
    ],
    'has ports that are none': [
      { selector: { matchLabels: { app: 'x' } }, portLevelMtls: { '0': {}, '70000': {}, http: {} } },
      'spec.portLevelMtls[0]: Invalid value: "0": must be between 1 and 65535, inclusive',
      'spec.portLevelMtls[70000]: Invalid value: "70000": must be between 1 and 65535, inclusive',
      'spec.portLevelMtls[http]: Invalid value: "http": must be between 1 and 65535, inclusive',
    ],
    'selects by a wildcard': [
      { selector: { matchLabels: { 'a*': 'x' } } },
      'spec.selector.matchLabels[a*]: Invalid value: "x": wildcard is not supported in selector',
    ],
  },
});
