import { workloadEntry } from '../../custom/istio/workload-entry.ts';
import { validateWorkloadEntry } from './workload-entry.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(workloadEntry, validateWorkloadEntry, {
  fine: {
    'has an address': {
      address: '2.2.2.2',
      labels: { app: 'details-legacy' },
      serviceAccount: 'details-legacy',
      ports: { http: 8080 },
    },
    'has a name': { address: 'vm1.vpc01.corp.net' },
    'is a socket': { address: 'unix://@name' },
  },
  judged: {
    'has no address': [
      {},
      'spec.address: Required value: set address, or network if a gateway of that network leads to it',
    ],
    'is only in a network': [
      { network: 'vpc' },
      'W spec: has no address: it can only be reached through a gateway of its network',
    ],
    'has an address that is none': [
      { address: 'a b' },
      'spec.address: Invalid value: "a b": must be an IP address, a DNS name, or unix:// and a path',
    ],
    'has a socket that is none': [
      { address: 'unix:///x/', ports: { a: 1 } },
      'spec.address: Invalid value: "unix:///x/": must be unix:// and an absolute path of a socket, or unix://@ and a name',
      'spec.ports: Forbidden: a unix socket has no ports',
    ],
    'has ports that are none': [
      { address: '1.2.3.4', ports: { 'a b': 1, http: 70000 } },
      `spec.ports[a b]: Invalid value: "a b": must be the name of a port: letters, digits and '-'`,
      'spec.ports[http]: Invalid value: 70000: must be between 1 and 65535, inclusive',
    ],
    'is nowhere': [
      { address: '1.2.3.4', locality: 'a/b/c/d' },
      `spec.locality: Invalid value: "a/b/c/d": must be region, region/zone or region/zone/subzone, without '*'`,
    ],
  },
});
