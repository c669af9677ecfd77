/** Telemetry: one way to trace, tags with a value, filters that can be read. */
import { parse } from '@marcbachmann/cel-js';
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkAttachment } from './attachment.ts';
import { checkObject } from './object.ts';
import { checkDuration, checkPercent } from './values.ts';

const tagSources = ['literal', 'environment', 'header', 'formatter'];

export function validateTelemetry(telemetry: FieldView): Validation {
  const found = new Findings();
  const spec = telemetry.at('spec');
  checkObject(telemetry, found);
  checkAttachment(spec, found);
  checkTracing(spec.at('tracing'), found);
  for (const metrics of spec.at('metrics').items()) checkMetrics(metrics, found);
  for (const logging of spec.at('accessLogging').items()) {
    checkProviders(logging.at('providers'), found);
    checkExpression(logging.at('filter').at('expression'), found);
  }
  return found;
}

function checkTracing(tracing: FieldView, found: Findings): void {
  const items = tracing.items();
  if (items.length > 1) found.warn(tracing, 'only one entry is used: put it all into one');
  for (const item of items) {
    const providers = item.at('providers');
    if (providers.items().length > 1) found.warn(providers, 'only the first provider is used');
    checkProviders(providers, found);
    checkPercent(item.at('randomSamplingPercentage'), found);
    for (const [name, tag] of item.at('customTags').entries()) checkTag(name, tag, found);
  }
}

function checkTag(name: string, tag: FieldView, found: Findings): void {
  if (name === '') found.invalid({ ...tag, value: name }, 'a tag must have a name');
  const given = tagSources.filter((field) => tag.at(field).exists);
  if (given.length !== 1) found.invalid(tag, `must have exactly one of ${tagSources.join(', ')}`);
  for (const field of given) {
    const text = tag.at(field).at(field === 'literal' || field === 'formatter' ? 'value' : 'name');
    if (!text.text) found.required(text);
  }
}

function checkMetrics(metrics: FieldView, found: Findings): void {
  checkProviders(metrics.at('providers'), found);
  checkDuration(metrics.at('reportingInterval'), found);
  for (const override of metrics.at('overrides').items()) {
    const match = override.at('match');
    if (match.at('customMetric').text === '') found.invalid(match.at('customMetric'), 'must not be empty');
    if (match.at('metric').exists && match.at('customMetric').exists) {
      found.forbidden(match.at('customMetric'), 'may not be set together with `metric`');
    }
    for (const [name, tag] of override.at('tagOverrides').entries()) {
      const value = tag.at('value');
      if (name === '') found.invalid({ ...tag, value: name }, 'a tag must have a name');
      if (tag.at('operation').text === 'REMOVE') {
        if (value.text) found.forbidden(value, 'may not be set when operation is REMOVE');
      } else if (!value.text) found.required(value, 'UPSERT needs a value');
    }
  }
}

function checkProviders(providers: FieldView, found: Findings): void {
  for (const provider of providers.items()) if (!provider.at('name').text) found.required(provider.at('name'));
}

function checkExpression(expression: FieldView, found: Findings): void {
  if (expression.text === undefined) return;
  if (expression.text.trim() === '') return found.invalid(expression, 'must not be empty');
  try {
    parse(expression.text);
  } catch (cause) {
    // The first line says what, the others point at it.
    const [reason = ''] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    found.invalid(expression, `must be a CEL expression: ${reason}`);
  }
}
