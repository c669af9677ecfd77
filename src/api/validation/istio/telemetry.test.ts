import { telemetry } from '../../custom/istio/telemetry.ts';
import { validateTelemetry } from './telemetry.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(telemetry, validateTelemetry, {
  fine: {
    reports: {
      tracing: [
        {
          providers: [{ name: 'otel' }],
          randomSamplingPercentage: 10,
          customTags: { a: { literal: { value: 'x' } }, b: { header: { name: 'y' } } },
        },
      ],
      metrics: [
        {
          providers: [{ name: 'prometheus' }],
          overrides: [
            {
              match: { metric: 'REQUEST_COUNT' },
              tagOverrides: { a: { operation: 'UPSERT', value: 'request.host' }, b: { operation: 'REMOVE' } },
            },
          ],
          reportingInterval: '5s',
        },
      ],
      accessLogging: [{ filter: { expression: 'response.code >= 400' } }],
    },
  },
  judged: {
    'traces twice': [
      {
        tracing: [{ providers: [{ name: 'a' }, { name: 'b' }] }, { providers: [{}] }],
      },
      'spec.tracing[1].providers[0].name: Required value',
      'W spec.tracing: only one entry is used: put it all into one',
      'W spec.tracing[0].providers: only the first provider is used',
    ],
    'traces too much': [
      {
        tracing: [
          {
            randomSamplingPercentage: 101,
            customTags: {
              a: {},
              b: { header: {} },
              c: { literal: { value: 'x' }, header: { name: 'y' } },
              '': { literal: { value: 'x' } },
            },
          },
        ],
      },
      'spec.tracing[0].randomSamplingPercentage: Invalid value: 101: must be between 0 and 100',
      'spec.tracing[0].customTags[a]: Invalid value: {}: must have exactly one of literal, environment, header, formatter',
      'spec.tracing[0].customTags[b].header.name: Required value',
      'spec.tracing[0].customTags[c]: Invalid value: {"literal":{"value":"x"},"header":{"name":"y"}}: must have exactly one of literal, environment, header, formatter',
      'spec.tracing[0].customTags[]: Invalid value: "": a tag must have a name',
    ],
    'counts what is none': [
      {
        metrics: [
          {
            providers: [{ name: '' }],
            reportingInterval: '1us',
            overrides: [
              { match: { customMetric: '' } },
              {
                match: { metric: 'REQUEST_COUNT', customMetric: 'x' },
                tagOverrides: {
                  a: { operation: 'REMOVE', value: 'x' },
                  b: { operation: 'UPSERT' },
                  '': { value: 'x' },
                },
              },
            ],
          },
        ],
      },
      'spec.metrics[0].providers[0].name: Required value',
      'spec.metrics[0].reportingInterval: Invalid value: "1us": must be a duration of at least 1ms',
      'spec.metrics[0].overrides[0].match.customMetric: Invalid value: "": must not be empty',
      'spec.metrics[0].overrides[1].match.customMetric: Forbidden: may not be set together with `metric`',
      'spec.metrics[0].overrides[1].tagOverrides[a].value: Forbidden: may not be set when operation is REMOVE',
      'spec.metrics[0].overrides[1].tagOverrides[b].value: Required value: UPSERT needs a value',
      'spec.metrics[0].overrides[1].tagOverrides[]: Invalid value: "": a tag must have a name',
    ],
    'filters by what is no expression': [
      {
        accessLogging: [{ filter: { expression: 'response.code >=' } }, { filter: { expression: ' ' } }],
      },
      'spec.accessLogging[0].filter.expression: Invalid value: "response.code >=": must be a CEL expression: Unexpected token: EOF',
      'spec.accessLogging[1].filter.expression: Invalid value: " ": must not be empty',
    ],
    'selects and targets': [
      { selector: { matchLabels: { a: 'b' } }, targetRefs: [{ kind: 'Service', name: 'x' }] },
      'spec.targetRefs: Forbidden: may not be set together with `selector`',
    ],
  },
});
