/** telemetry.istio.io Telemetry: traces, metrics and access logs of workloads. */
import { kinds } from '../../kinds.ts';
import { flag, list, mapOf, oneOf, record, text, type JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about, atMostOne, duration, filledText, nullable, percent, ruled, ruledAtMostOne } from './field.ts';
import { ageColumn, istioKind } from './kind.ts';
import { selector } from './selector.ts';
import { targetRef, targetRefs } from './target-ref.ts';

const optionalFlag = nullable(flag);
const mode = about(
  'The side of the connection: CLIENT, SERVER, or both.',
  oneOf('CLIENT_AND_SERVER', 'CLIENT', 'SERVER'),
);
const match = about('Which traffic.', record({ mode }));
const providers = about(
  'Extension providers of the mesh configuration.',
  list(record({ name: about('Name of the provider.', filledText) }, 'name')),
);

/** A value with what stands in for it. */
function valueOf(description: string): JsonSchema {
  return about(
    description,
    record(
      { name: about('Its name.', filledText), defaultValue: about('What to say where it is missing.', text) },
      'name',
    ),
  );
}

const customTag: JsonSchema = {
  ...record({
    literal: about('Always this.', record({ value: about('The value.', filledText) }, 'value')),
    environment: valueOf('An environment variable of the proxy.'),
    header: valueOf('A header of the request.'),
    formatter: about(
      'Text with operators, as in access logs.',
      record({ value: about('The text.', filledText) }, 'value'),
    ),
  }),
  ...atMostOne('literal', 'environment', 'header', 'formatter'),
};

const tracing = record({
  match,
  providers,
  randomSamplingPercentage: about('Of the requests without a decision, traced.', percent),
  disableSpanReporting: about('Whether spans are not sent.', optionalFlag),
  disableContextPropagation: about('Whether trace headers are left as they are.', optionalFlag),
  customTags: about('Further tags of spans, by name.', mapOf(customTag)),
  useRequestIdForTraceSampling: about('Whether the request id decides.', optionalFlag),
  enableIstioTags: about("Whether spans have Istio's own tags.", optionalFlag),
});

const metricNames = [
  'ALL_METRICS',
  'REQUEST_COUNT',
  'REQUEST_DURATION',
  'REQUEST_SIZE',
  'RESPONSE_SIZE',
  'TCP_OPENED_CONNECTIONS',
  'TCP_CLOSED_CONNECTIONS',
  'TCP_SENT_BYTES',
  'TCP_RECEIVED_BYTES',
  'GRPC_REQUEST_MESSAGES',
  'GRPC_RESPONSE_MESSAGES',
];

const tagOverride = ruled(
  ruled(
    record({
      operation: about('Set the tag, or remove it.', oneOf('UPSERT', 'REMOVE')),
      value: about('CEL expression for the value.', text),
    }),
    "!has(self.operation) || self.operation != 'UPSERT' || (has(self.value) && self.value != '')",
    'value must be set when operation is UPSERT',
  ),
  "!has(self.operation) || self.operation != 'REMOVE' || !has(self.value)",
  'value must not be set when operation is REMOVE',
);

const metrics = record({
  providers,
  overrides: about(
    'Changes of metrics, in order.',
    list(
      record({
        match: about('Which metrics.', {
          ...record({
            metric: about("One of Istio's metrics.", oneOf(...metricNames)),
            customMetric: about('A metric by its name.', filledText),
            mode,
          }),
          ...atMostOne('metric', 'customMetric'),
        }),
        disabled: about('Whether the metric is left out.', optionalFlag),
        tagOverrides: about('Changes of tags, by name.', mapOf(tagOverride)),
      }),
    ),
  ),
  reportingInterval: about('Time between reports of an open connection.', duration),
});

const accessLogging = record({
  match,
  providers,
  disabled: about('Whether nothing is logged.', optionalFlag),
  filter: about(
    'Which requests and connections.',
    record({ expression: about('CEL expression that is true for those.', text) }),
  ),
});

const spec = about(
  'What is reported.',
  ruledAtMostOne(
    record({
      selector,
      targetRef,
      targetRefs,
      tracing: about('Traces.', list(tracing)),
      metrics: about('Metrics.', list(metrics)),
      accessLogging: about('Access logs.', list(accessLogging)),
    }),
    'selector',
    'targetRef',
    'targetRefs',
  ),
);

export const telemetry: CustomKind = istioKind(kinds.Telemetry, {
  spec,
  versions: ['v1alpha1', 'v1'],
  preferred: 'v1',
  shortNames: ['telemetry'],
  columns: [ageColumn],
});
