/** When an endpoint is left out because it fails. */
import { flag, integer, list, record, type JsonSchema } from '../../schema/schema.ts';
import { about, duration, nullable, unsigned } from './field.ts';

const failures = nullable(unsigned);

export const outlierDetection: JsonSchema = record({
  consecutive5xxErrors: about('Answers 5xx in a row; 5 if nothing is said, 0 for never.', failures),
  consecutiveGatewayErrors: about('Answers 502, 503 or 504 in a row; 0 for never.', failures),
  consecutiveErrors: about('No longer in use: see consecutiveGatewayErrors.', integer),
  splitExternalLocalOriginErrors: about('Whether failures to connect count apart from answers.', flag),
  consecutiveLocalOriginFailures: about('Failures to connect in a row, when they count apart.', failures),
  outlierDetectionHttpErrorCodes: about(
    'Status codes that count as errors.',
    list({ type: 'integer', minimum: 100, maximum: 599 }),
  ),
  interval: about('Time between looks; 10s if nothing is said.', duration),
  baseEjectionTime: about('How long an endpoint stays out the first time; 30s if nothing is said.', duration),
  maxEjectionPercent: about('Of the endpoints, out at a time; 10 if nothing is said.', integer),
  minHealthPercent: about('Of the endpoints, healthy, below which all are used again.', integer),
});
