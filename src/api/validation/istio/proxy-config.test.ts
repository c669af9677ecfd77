import { proxyConfig } from '../../custom/istio/proxy-config.ts';
import { validateProxyConfig } from './proxy-config.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(proxyConfig, validateProxyConfig, {
  fine: {
    'sets a number of threads': {
      selector: { matchLabels: { app: 'ratings' } },
      concurrency: 0,
      image: { imageType: 'debug' },
      environmentVariables: { A: 'b' },
    },
  },
  judged: {
    'sets less than none': [
      { concurrency: -1 },
      'spec.concurrency: Invalid value: -1: must be greater than or equal to 0',
    ],
    'has names that are none': [
      { environmentVariables: { 'a=b': 'x', '': 'y' } },
      `spec.environmentVariables: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='`,
      'spec.environmentVariables: Invalid value: "": a name must not be empty',
    ],
  },
});
