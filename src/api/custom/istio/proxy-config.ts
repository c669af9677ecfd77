/** networking.istio.io ProxyConfig: settings of the proxies of workloads. */
import { kinds } from '../../kinds.ts';
import { integer, record, text } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about, nullable } from './field.ts';
import { istioKind } from './kind.ts';
import { selector } from './selector.ts';

const spec = about(
  'Settings of proxies.',
  record({
    selector,
    concurrency: about('Threads that do work; 0 for one for each core.', nullable({ ...integer, minimum: 0 })),
    environmentVariables: about('Environment variables of the proxy.', {
      type: 'object',
      additionalProperties: { type: 'string', maxLength: 2048 },
    }),
    image: about(
      'Image of the proxy.',
      record({ imageType: about('Variant of the image: default, debug or distroless.', text) }),
    ),
  }),
);

export const proxyConfig: CustomKind = istioKind(kinds.ProxyConfig, { spec, versions: ['v1beta1'] });
