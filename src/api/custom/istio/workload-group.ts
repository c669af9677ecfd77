/** networking.istio.io WorkloadGroup: the pattern by which endpoints that are no pods register themselves. */
import { kinds } from '../../kinds.ts';
import { integer, list, record, text, textMap, type JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about, atMostOne, filledText, ruled, strictPort } from './field.ts';
import { ageColumn, istioKind, networkingVersions } from './kind.ts';
import { workloadTemplate } from './workload-entry-fields.ts';

const count: JsonSchema = { ...integer, minimum: 0 };
const fewTexts: JsonSchema = { ...textMap, maxProperties: 256 };

const httpGet = record(
  {
    path: about('Path to ask for; / if nothing is said.', text),
    port: about('Port to ask at.', strictPort),
    host: about('Host to ask; the endpoint if nothing is said.', text),
    scheme: about('HTTP or HTTPS.', ruled(text, "self in ['', 'HTTP', 'HTTPS']", 'scheme must be HTTP or HTTPS')),
    httpHeaders: about(
      'Headers of the request.',
      list(
        record({
          name: about('Name of the header.', { type: 'string', pattern: '^[-_A-Za-z0-9]+$' }),
          value: about('Its value.', text),
        }),
      ),
    ),
  },
  'port',
);

const probe: JsonSchema = {
  ...record({
    httpGet: about('An HTTP request that must be answered with 2xx or 3xx.', httpGet),
    tcpSocket: about(
      'A connection that must open.',
      record({ host: about('Host to connect to.', text), port: about('Port to connect to.', strictPort) }, 'port'),
    ),
    exec: about(
      'A command that must end with 0.',
      record({ command: about('Program and arguments.', list(filledText)) }, 'command'),
    ),
    grpc: about(
      'A gRPC health check that must say SERVING.',
      record({ service: about('Service to ask about.', text), port: about('Port to ask at.', strictPort) }),
    ),
    initialDelaySeconds: about('Time until the first probe.', count),
    timeoutSeconds: about('How long a probe may take; 1 if nothing is said.', count),
    periodSeconds: about('Time between probes; 10 if nothing is said.', count),
    successThreshold: about('Successes in a row until it is healthy; 1 if nothing is said.', count),
    failureThreshold: about('Failures in a row until it is not; 3 if nothing is said.', count),
  }),
  ...atMostOne('httpGet', 'tcpSocket', 'exec', 'grpc'),
};

const spec = about(
  'The pattern.',
  record(
    {
      metadata: about(
        'Metadata of the entries.',
        record({
          labels: about('Labels of the entries.', fewTexts),
          annotations: about('Annotations of the entries.', fewTexts),
        }),
      ),
      template: about('What the entries are like.', workloadTemplate),
      probe: about('How the health of an endpoint is found.', probe),
    },
    'template',
  ),
);

export const workloadGroup: CustomKind = istioKind(kinds.WorkloadGroup, {
  spec,
  requiresSpec: true,
  versions: networkingVersions,
  shortNames: ['wg'],
  columns: [ageColumn],
});
