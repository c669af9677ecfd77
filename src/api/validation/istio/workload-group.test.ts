import { workloadGroup } from '../../custom/istio/workload-group.ts';
import { validateWorkloadGroup } from './workload-group.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(workloadGroup, validateWorkloadGroup, {
  fine: {
    'is probed': {
      metadata: { labels: { app: 'reviews' }, annotations: { 'a.b/c': 'x y' } },
      template: { ports: { grpc: 3550 }, serviceAccount: 'default' },
      probe: {
        initialDelaySeconds: 5,
        periodSeconds: 0,
        httpGet: { path: '/', port: 8080, scheme: 'HTTP', httpHeaders: [{ name: 'lit', value: 'x' }] },
      },
    },
    'is asked': { template: {}, probe: { grpc: {} } },
  },
  judged: {
    'has no template': [{}, 'spec.template: Required value'],
    'has metadata that is none': [
      { metadata: { labels: { app: 'a b' }, annotations: { 'a b': 'x' } }, template: {} },
      `spec.metadata.labels: Invalid value: "a b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end...`,
      `spec.metadata.annotations: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric...`,
    ],
    'probes nothing': [
      { template: {}, probe: {} },
      'spec.probe: Required value: set one of httpGet, tcpSocket, exec, grpc',
    ],
    'probes twice': [
      { template: {}, probe: { exec: { command: ['x'] }, tcpSocket: { port: 1 } } },
      'spec.probe.exec: Forbidden: may not be set together with `tcpSocket`',
    ],
    'probes what is none': [
      {
        template: { address: 'a b' },
        probe: {
          initialDelaySeconds: -1,
          timeoutSeconds: -1,
          periodSeconds: -1,
          successThreshold: -1,
          failureThreshold: -1,
          httpGet: { scheme: 'FTP', httpHeaders: [{ name: 'a b' }] },
        },
      },
      'spec.template.address: Invalid value: "a b": must be an IP address, a DNS name, or unix:// and a path',
      'spec.probe.initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0',
      'spec.probe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0',
      'spec.probe.periodSeconds: Invalid value: -1: must be greater than or equal to 0',
      'spec.probe.successThreshold: Invalid value: -1: must be greater than or equal to 0',
      'spec.probe.failureThreshold: Invalid value: -1: must be greater than or equal to 0',
      'spec.probe.httpGet.port: Required value',
      'spec.probe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
      `spec.probe.httpGet.httpHeaders[0].name: Invalid value: "a b": a header name has letters, digits, '-' and '_'`,
    ],
    'runs nothing': [{ template: {}, probe: { exec: {} } }, 'spec.probe.exec.command: Required value'],
    'connects to no port': [{ template: {}, probe: { tcpSocket: {} } }, 'spec.probe.tcpSocket.port: Required value'],
  },
});
