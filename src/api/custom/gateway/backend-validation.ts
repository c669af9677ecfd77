/** How a backend's certificate is checked. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import { absoluteUri, dnsSubdomain, hostname, preciseHostname } from './names.ts';
import { localReference } from './references.ts';
import { choice, listOf, object, rule, text, withRules } from './shape.ts';

const subjectAltName: JsonSchema = withRules(
  object(
    'A name that the certificate may have.',
    {
      type: choice('What the name is.', 'Hostname', 'URI'),
      hostname: hostname('A host name; *. stands for its first label.'),
      uri: absoluteUri('A URI, such as a SPIFFE ID.'),
    },
    'type',
  ),
  ...nameOfType('Hostname', 'hostname'),
  ...nameOfType('URI', 'uri'),
);

const givesAuthorities = 'has(self.caCertificateRefs) && size(self.caCertificateRefs) > 0';
const namesAuthorities = 'has(self.wellKnownCACertificates) && self.wellKnownCACertificates != ""';

export const backendValidation: JsonSchema = withRules(
  object(
    'How the certificate of the backend is checked.',
    {
      caCertificateRefs: listOf(
        'Objects with the certificates of trusted authorities.',
        localReference('An object with certificates of authorities, such as a ConfigMap with the key ca.crt.'),
        { max: 8 },
      ),
      wellKnownCACertificates: {
        ...text('Authorities by name instead: System for those of the host, or domain/name.', { min: 1, max: 253 }),
        pattern: `^(System|(${dnsSubdomain}/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$`,
      },
      hostname: preciseHostname(
        'The server name that is asked for, and that the certificate must be for unless subjectAltNames is given.',
      ),
      subjectAltNames: listOf('Names of which the certificate must have one.', subjectAltName, { max: 5 }),
    },
    'hostname',
  ),
  rule(
    'must not contain both CACertificateRefs and WellKnownCACertificates',
    `!(${givesAuthorities} && ${namesAuthorities})`,
  ),
  rule(
    'must specify either CACertificateRefs or WellKnownCACertificates',
    `(${givesAuthorities} || ${namesAuthorities})`,
  ),
);

function nameOfType(type: string, field: string): ValidationRule[] {
  return [
    rule(
      `SubjectAltName element must contain ${type}, if Type is set to ${type}`,
      `!(self.type == "${type}" && (!has(self.${field}) || self.${field} == ""))`,
    ),
    rule(
      `SubjectAltName element must not contain ${type}, if Type is not set to ${type}`,
      `!(self.type != "${type}" && has(self.${field}) && self.${field} != "")`,
    ),
  ];
}
