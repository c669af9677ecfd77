/** Decoders of what many resources of a proxy have: origins, matches of text, names of policies. */
import type { Origin, PolicyAttachment, TextMatch } from '../api/l7/index.ts';
import { integer, list, name, object, oneOf, optional, text, union, type Decoder } from './proxy-resource-fields.ts';

export const names: Decoder<readonly string[]> = list(name);

export const origin: Decoder<Origin> = object<Origin>({
  kind: name,
  namespace: text,
  name,
  generation: integer(),
  path: optional(text),
});

export const textMatch: Decoder<TextMatch> = union<TextMatch, 'kind'>('kind', {
  exact: object<Extract<TextMatch, { kind: 'exact' }>>({ kind: oneOf('exact'), value: text }),
  prefix: object<Extract<TextMatch, { kind: 'prefix' }>>({ kind: oneOf('prefix'), value: text }),
  suffix: object<Extract<TextMatch, { kind: 'suffix' }>>({ kind: oneOf('suffix'), value: text }),
  regex: object<Extract<TextMatch, { kind: 'regex' }>>({ kind: oneOf('regex'), value: text }),
  present: object<Extract<TextMatch, { kind: 'present' }>>({ kind: oneOf('present') }),
});

export const policyAttachment: Decoder<PolicyAttachment> = object<PolicyAttachment>({
  authorization: names,
  authentication: names,
  rateLimits: names,
  telemetry: names,
  extensions: names,
});
