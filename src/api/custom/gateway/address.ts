/** Addresses of a Gateway, wanted and given. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import { domainPrefixed, hostPattern } from './names.ts';
import { listOf, object, rule, text, withDefault, withRules } from './shape.ts';

const validHost = `self.value.matches(r"""${hostPattern}""")`;

const addressType: JsonSchema = withDefault(
  {
    ...text('IPAddress, Hostname, NamedAddress, or domain/type of an implementation.', { min: 1, max: 253 }),
    pattern: `^Hostname|IPAddress|NamedAddress|${domainPrefixed}$`,
  },
  'IPAddress',
);

/** An IPAddress must be one. */
const ipOrOther: readonly JsonSchema[] = [
  {
    properties: {
      type: { enum: ['IPAddress'] },
      value: { anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] },
    },
  },
  { properties: { type: { not: { enum: ['IPAddress'] } } } },
];

/** `spec.addresses`; without a value, any address of the type will do. */
export const wantedAddresses: JsonSchema = withRules(
  listOf(
    'Addresses to listen on; the implementation chooses, if absent.',
    withRules(
      {
        ...object('An address.', { type: addressType, value: text('The address; any, if absent.', { max: 253 }) }),
        oneOf: ipOrOther,
      },
      rule(
        `Hostname value must be empty or contain only valid characters (matching ${hostPattern})`,
        `self.type == 'Hostname' ? (!has(self.value) || ${validHost}): true`,
      ),
    ),
    { max: 16 },
  ),
  eachOnce('IPAddress'),
  eachOnce('Hostname'),
);

/** `status.addresses` */
export const givenAddresses: JsonSchema = listOf(
  'Addresses that the gateway listens on.',
  withRules(
    {
      ...object('An address.', { type: addressType, value: text('The address.', { min: 1, max: 253 }) }, 'value'),
      oneOf: ipOrOther,
    },
    rule(
      `Hostname value must only contain valid characters (matching ${hostPattern})`,
      `self.type == 'Hostname' ? ${validHost}: true`,
    ),
  ),
  { max: 16 },
);

function eachOnce(type: string): ValidationRule {
  const sameValue = 'self.exists_one(a2, a2.type == a1.type && has(a2.value) && a2.value == a1.value)';
  return rule(
    `${type} values must be unique`,
    `self.all(a1, a1.type == '${type}' && has(a1.value) ? ${sameValue} : true )`,
  );
}
