/** EnvoyFilter: patches with an operation, a value, and a match of the same kind of thing. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkAttachment } from './attachment.ts';
import { checkObject } from './object.ts';
import { checkRegex } from './values.ts';

const matches = ['listener', 'routeConfiguration', 'cluster'] as const;

/** What each class of `applyTo` is matched by. */
const matchOf: Readonly<Record<string, (typeof matches)[number]>> = {
  LISTENER: 'listener',
  FILTER_CHAIN: 'listener',
  LISTENER_FILTER: 'listener',
  NETWORK_FILTER: 'listener',
  HTTP_FILTER: 'listener',
  ROUTE_CONFIGURATION: 'routeConfiguration',
  VIRTUAL_HOST: 'routeConfiguration',
  HTTP_ROUTE: 'routeConfiguration',
  CLUSTER: 'cluster',
};

const httpConnectionManager = ['envoy.filters.network.http_connection_manager', 'envoy.http_connection_manager'];

export function validateEnvoyFilter(filter: FieldView): Validation {
  const found = new Findings();
  const spec = filter.at('spec');
  checkObject(filter, found);
  checkAttachment(spec, found, 'workloadSelector');
  for (const patch of spec.at('configPatches').items()) checkPatch(patch, found);
  return found;
}

function checkPatch(config: FieldView, found: Findings): void {
  const applyTo = config.at('applyTo');
  if (!applyTo.text || applyTo.text === 'INVALID') found.required(applyTo, 'say what is patched');
  const patch = config.at('patch');
  const operation = patch.at('operation');
  if (!patch.exists) found.required(patch);
  else if (!operation.text || operation.text === 'INVALID') found.required(operation, 'say how the patch is applied');
  else if (operation.text !== 'REMOVE' && !patch.at('value').exists)
    found.required(patch.at('value'), `${operation.text} needs a value`);
  const match = config.at('match');
  checkRegex(match.at('proxy').at('proxyVersion'), found);
  const wanted = matchOf[applyTo.text ?? ''];
  for (const field of matches) {
    if (wanted && field !== wanted && match.at(field).exists) {
      found.forbidden(match.at(field), `may not be set with applyTo ${applyTo.text}, which is matched by ${wanted}`);
    }
  }
  checkFilterMatch(match.at('listener').at('filterChain').at('filter'), applyTo.text, found);
}

function checkFilterMatch(filter: FieldView, applyTo: string | undefined, found: Findings): void {
  if (!filter.exists) return;
  if (!filter.at('name').text) found.required(filter.at('name'));
  const sub = filter.at('subFilter');
  if (!sub.exists) return;
  if (applyTo !== 'HTTP_FILTER') found.forbidden(sub, 'may only be set with applyTo HTTP_FILTER');
  if (!sub.at('name').text) found.required(sub.at('name'));
  if (filter.at('name').text && !httpConnectionManager.includes(filter.at('name').text ?? '')) {
    found.invalid(filter.at('name'), `must be ${httpConnectionManager[0]} when subFilter is set`);
  }
}
