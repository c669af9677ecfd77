/** What WasmPlugin and TrafficExtension have in common. */
import { integer, list, oneOf, open, record, text, type JsonSchema } from '../../schema/schema.ts';
import { about, listBy, nullable, ruled } from './field.ts';

const shortText: JsonSchema = { type: 'string', minLength: 1, maxLength: 256 };

const env = {
  ...listBy(
    'name',
    ruled(
      record(
        {
          name: about('Name of the variable.', shortText),
          valueFrom: about('INLINE: value; HOST: the variable of the same name of the proxy.', oneOf('INLINE', 'HOST')),
          value: about('Its value.', { type: 'string', maxLength: 2048 }),
        },
        'name',
      ),
      "!has(self.valueFrom) || self.valueFrom != 'HOST' || !has(self.value)",
      'value may only be set when valueFrom is INLINE',
    ),
  ),
  maxItems: 256,
};

/** Where the module comes from and how it is run. */
export const wasmFields: Readonly<Record<string, JsonSchema>> = {
  url: about(
    'Where the module is: an image (oci://, or no scheme), http://, https:// or file://.',
    ruled(
      { type: 'string', minLength: 1 },
      "!self.contains('://') || self.matches('^(oci|https?|file)://')",
      'url must have one of the schemes http, https, file, oci',
    ),
  ),
  sha256: about('SHA-256 of the module, or of the image, in hex.', { type: 'string', pattern: '(^$|^[a-f0-9]{64}$)' }),
  imagePullPolicy: about('When the image is fetched again.', oneOf('UNSPECIFIED_POLICY', 'IfNotPresent', 'Always')),
  imagePullSecret: about('Secret with the credentials for the registry.', {
    type: 'string',
    minLength: 1,
    maxLength: 253,
  }),
  verificationKey: about('Not in use.', text),
  pluginConfig: about('Configuration for the module.', open),
  pluginName: about('Name of the plugin inside of the module.', shortText),
  failStrategy: about(
    'What happens when the module fails: refuse requests (FAIL_CLOSE, the default), go on without it, or load it again.',
    oneOf('FAIL_CLOSE', 'FAIL_OPEN', 'FAIL_RELOAD'),
  ),
  vmConfig: about(
    'The machine that the module runs in.',
    record({ env: about('Environment variables of the module.', env) }),
  ),
  type: about('What the module handles.', oneOf('UNSPECIFIED_PLUGIN_TYPE', 'HTTP', 'NETWORK')),
};

export const priority: JsonSchema = about('Order within the phase: high ones first.', nullable(integer));

export const trafficMatch: JsonSchema = about(
  'Traffic that it is for: that which any entry matches. Without it, all.',
  list(
    record({
      mode: about('The side of the connection.', oneOf('UNDEFINED', 'CLIENT', 'SERVER', 'CLIENT_AND_SERVER')),
      ports: about(
        'Ports, any of which matches.',
        listBy(
          'number',
          record({ number: about('Number of the port.', { type: 'integer', minimum: 1, maximum: 65_535 }) }, 'number'),
        ),
      ),
    }),
  ),
);
