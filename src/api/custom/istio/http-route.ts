/** What an HTTP route of a VirtualService can do besides leading somewhere. */
import { flag, integer, list, oneOf, record, text, type JsonSchema } from '../../schema/schema.ts';
import { destination } from './destination.ts';
import { about, atMostOne, double, duration, nullable, unsigned } from './field.ts';
import { stringMatch } from './string-match.ts';

const percentage = about('Of the requests, from 0 to 100.', record({ value: about('The number.', double) }));

export const redirect: JsonSchema = {
  ...record({
    uri: about('Path of the new location.', text),
    prefixRewrite: about('What takes the place of the prefix that matched.', text),
    authority: about('Host of the new location.', text),
    scheme: about('Scheme of the new location, http or https.', text),
    port: about('Port of the new location.', unsigned),
    derivePort: about(
      'Where the port of the new location comes from.',
      oneOf('FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'),
    ),
    redirectCode: about('Status of the answer; 301 if nothing is said.', unsigned),
  }),
  ...atMostOne('port', 'derivePort'),
};

export const directResponse: JsonSchema = record(
  {
    status: about('Status of the answer.', unsigned),
    body: about('Body of the answer.', {
      ...record({
        string: about('As text.', text),
        bytes: about('In base64.', { type: 'string', format: 'byte' }),
      }),
      ...atMostOne('string', 'bytes'),
    }),
  },
  'status',
);

export const rewrite: JsonSchema = record({
  uri: about('What takes the place of the prefix, or path, that matched.', text),
  authority: about('The new host.', text),
  uriRegexRewrite: about(
    'Replacement in the path by an expression.',
    record({
      match: about('RE2 expression for what is replaced.', text),
      rewrite: about(String.raw`What takes its place; \1 is what the first group matched.`, text),
    }),
  ),
});

export const retries: JsonSchema = record({
  attempts: about('How many; 0 for none.', integer),
  perTryTimeout: about('How long each may take.', duration),
  retryOn: about('Causes, with commas between: 5xx, reset, connect-failure, 503, ...', text),
  backoff: about('Time before the first; it grows. 25ms if nothing is said.', duration),
  retryRemoteLocalities: about('Whether endpoints elsewhere are tried.', nullable(flag)),
  retryIgnorePreviousHosts: about('Whether endpoints that failed are left out.', nullable(flag)),
});

export const fault: JsonSchema = record({
  delay: about('Time that requests are held for.', {
    ...record({
      fixedDelay: about('The time.', duration),
      exponentialDelay: about('Not in use.', duration),
      percentage,
      percent: about('Older spelling of percentage.', integer),
    }),
    ...atMostOne('fixedDelay', 'exponentialDelay'),
  }),
  abort: about('An answer in place of that of the backend.', {
    ...record({
      httpStatus: about('Status of the answer.', integer),
      grpcStatus: about('gRPC status of the answer, as UNAVAILABLE.', text),
      http2Error: about('Not in use.', text),
      percentage,
    }),
    ...atMostOne('httpStatus', 'grpcStatus', 'http2Error'),
  }),
});

const olderPercent = about('Older spelling of mirrorPercentage.', nullable(unsigned));

export const mirroring: Readonly<Record<string, JsonSchema>> = {
  mirror: about('Where a copy of each request goes, whose answer is dropped.', destination),
  mirrorPercentage: about(
    'Of the requests, from 0 to 100; all if nothing is said.',
    record({ value: about('The number.', double) }),
  ),
  mirrorPercent: olderPercent,
  mirror_percent: olderPercent,
  mirrors: about(
    'Where copies go, if to several places.',
    list(record({ destination: about('Where to.', destination), percentage }, 'destination')),
  ),
};

export const corsPolicy: JsonSchema = record({
  allowOrigins: about('Origins that may ask.', list(stringMatch)),
  allowOrigin: about('No longer in use: see allowOrigins.', list(text)),
  allowMethods: about('Methods that they may use.', list(text)),
  allowHeaders: about('Headers that they may send.', list(text)),
  exposeHeaders: about('Headers of the answer that they may read.', list(text)),
  maxAge: about('For how long the answer to a preflight may be kept.', duration),
  allowCredentials: about('Whether they may send credentials.', nullable(flag)),
  unmatchedPreflights: about('What happens to preflights of other origins.', oneOf('UNSPECIFIED', 'FORWARD', 'IGNORE')),
});
