/** Reads `meshConfig.extensionProviders`. */
import type { ExtensionProvider, ExtensionProviderUse } from '../api/extension-provider.ts';
import type { FieldView } from '../api/field-view.ts';
import { optionalDurationMs, portOf } from './mesh-config-values.ts';

const callable = [
  'envoyExtAuthzHttp',
  'envoyExtAuthzGrpc',
  'envoyRateLimitGrpc',
  'zipkin',
  'opentelemetry',
  'envoyFileAccessLog',
  'prometheus',
] as const;

/** Adds to `problems` what is wrong; a provider of a type that is unknown is one all the same. */
export function parseExtensionProviders(list: FieldView, problems: string[]): ExtensionProvider[] {
  if (list.exists && !Array.isArray(list.value)) problems.push(`${list.path}: must be a list`);
  const names = new Set<string>();
  return list.items().flatMap((provider) => {
    const name = provider.at('name').text ?? '';
    if (name === '') problems.push(`${provider.path}.name: must be there`);
    if (names.has(name)) problems.push(`${provider.path}.name: ${JSON.stringify(name)} is the name of another, too`);
    names.add(name);
    const types = provider.entries().flatMap(([type]) => (type === 'name' ? [] : [type]));
    const [type] = types;
    if (type === undefined || types.length > 1) {
      problems.push(`${provider.path}: must have one field besides its name, for what it is`);
      return [];
    }
    return [{ name, ...useOf(type, provider.at(type), problems) }];
  });
}

function useOf(type: string, view: FieldView, problems: string[]): ExtensionProviderUse {
  const known = callable.find((one) => one === type);
  switch (known) {
    case undefined:
      return { kind: 'unsupported', type };
    case 'prometheus':
      return { kind: 'prometheus' };
    case 'envoyFileAccessLog':
      return fileAccessLog(view);
    case 'zipkin':
      return {
        kind: 'zipkin',
        ...address(view, problems),
        path: view.at('path').text ?? '/api/v2/spans',
        ...optionalDurationMs('timeoutMs', view.at('timeout'), problems),
      };
    case 'opentelemetry':
      return openTelemetry(view, problems);
    case 'envoyRateLimitGrpc':
      return { kind: 'envoyRateLimitGrpc', ...address(view, problems) };
    case 'envoyExtAuthzGrpc':
      return { kind: 'envoyExtAuthzGrpc', ...extAuthz(view, problems) };
    case 'envoyExtAuthzHttp':
      return {
        kind: 'envoyExtAuthzHttp',
        ...extAuthz(view, problems),
        pathPrefix: view.at('pathPrefix').text ?? '',
        includeRequestHeadersInCheck: headerPatterns(view.at('includeRequestHeadersInCheck'), problems),
        includeAdditionalHeadersInCheck: texts(view.at('includeAdditionalHeadersInCheck')),
        headersToUpstreamOnAllow: headerPatterns(view.at('headersToUpstreamOnAllow'), problems),
        headersToDownstreamOnDeny: headerPatterns(view.at('headersToDownstreamOnDeny'), problems),
        headersToDownstreamOnAllow: headerPatterns(view.at('headersToDownstreamOnAllow'), problems),
      };
  }
}

type ExtAuthzFields = Omit<Extract<ExtensionProviderUse, { kind: 'envoyExtAuthzGrpc' }>, 'kind'>;

function extAuthz(view: FieldView, problems: string[]): ExtAuthzFields {
  const status = view.at('statusOnError');
  const statusOnError = status.exists ? Number(status.text ?? status.number) : undefined;
  if (statusOnError !== undefined && !(statusOnError >= 200 && statusOnError <= 599))
    problems.push(`${status.path}: must be a status of HTTP`);
  const body = view.at('includeRequestBodyInCheck');
  return {
    ...address(view, problems),
    ...optionalDurationMs('timeoutMs', view.at('timeout'), problems),
    failOpen: view.at('failOpen').boolean ?? false,
    ...(statusOnError === undefined ? {} : { statusOnError }),
    ...(body.exists
      ? {
          body: {
            maxRequestBytes: body.at('maxRequestBytes').number ?? 0,
            allowPartialMessage: body.at('allowPartialMessage').boolean ?? false,
            packAsBytes: body.at('packAsBytes').boolean ?? false,
          },
        }
      : {}),
  };
}

function openTelemetry(view: FieldView, problems: string[]): ExtensionProviderUse {
  const http = view.at('http');
  const grpc = view.at('grpc');
  const pairs = (list: FieldView, key: string): (readonly [string, string])[] =>
    list.items().map((item) => [item.at(key).text ?? '', item.at('value').text ?? ''] as const);
  return {
    kind: 'opentelemetry',
    ...address(view, problems),
    ...(http.exists
      ? {
          http: {
            path: http.at('path').text ?? '/v1/traces',
            ...optionalDurationMs('timeoutMs', http.at('timeout'), problems),
            headers: pairs(http.at('headers'), 'name'),
          },
        }
      : {}),
    ...(grpc.exists
      ? {
          grpc: {
            ...optionalDurationMs('timeoutMs', grpc.at('timeout'), problems),
            initialMetadata: pairs(grpc.at('initialMetadata'), 'name'),
          },
        }
      : {}),
  };
}

function fileAccessLog(view: FieldView): ExtensionProviderUse {
  const format = view.at('logFormat');
  const labels = format.at('labels');
  const path = view.at('path').text ?? '/dev/stdout';
  if (labels.exists) return { kind: 'envoyFileAccessLog', path, format: { kind: 'json', fields: texts(labels) } };
  const template = format.at('text').text;
  if (!template) return { kind: 'envoyFileAccessLog', path };
  return { kind: 'envoyFileAccessLog', path, format: { kind: 'text', template } };
}

function address(view: FieldView, problems: string[]): { readonly service: string; readonly port: number } {
  const service = view.at('service').text ?? '';
  if (!/^(?:[a-z0-9-]+\/)?[a-zA-Z0-9.-]+$/.test(service))
    problems.push(`${view.path}.service: must be a host, or namespace/host`);
  return { service: service.toLowerCase(), port: portOf(view.at('port'), problems) };
}

/** A name, or `prefix*`, or `*suffix`. */
function headerPatterns(list: FieldView, problems: string[]): string[] {
  return list.items().map((item) => {
    const text = item.text ?? '';
    if (!/^\*?[-_A-Za-z0-9]+$|^[-_A-Za-z0-9]+\*$/.test(text))
      problems.push(`${item.path}: must be the name of a header, or a part of it with * before or after`);
    return text.toLowerCase();
  });
}

function texts(view: FieldView): Record<string, string> {
  return Object.fromEntries(view.entries().map(([name, value]) => [name, value.text ?? JSON.stringify(value.value)]));
}
