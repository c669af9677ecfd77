/** The scalar types that the Gateway API's kinds share: names, hosts, ports, durations, header parts. */
import type { JsonSchema } from '../../schema/schema.ts';
import { count, text } from './shape.ts';

/** Of lower-case letters, digits and inner hyphens. */
export const dnsLabel: string = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
/** DNS labels joined by dots. */
export const dnsSubdomain: string = String.raw`${dnsLabel}(\.${dnsLabel})*`;
/** Characters of a path, or their %-escapes. */
export const pathCharacters: string = "^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$";
/** A host name; `*.` may stand for its first labels. */
export const hostPattern: string = String.raw`^(\*\.)?${dnsSubdomain}$`;
/** A name with the domain of its owner before it: `example.com/name`. */
export const domainPrefixed: string = String.raw`${dnsSubdomain}\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+`;

/** API group; empty for the core one. */
export function group(description: string): JsonSchema {
  return { ...text(description, { max: 253 }), pattern: `^$|^${dnsSubdomain}$` };
}

export function kind(description: string): JsonSchema {
  return { ...text(description, { min: 1, max: 63 }), pattern: '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$' };
}

export function objectName(description: string): JsonSchema {
  return text(description, { min: 1, max: 253 });
}

export function namespace(description: string): JsonSchema {
  return { ...text(description, { min: 1, max: 63 }), pattern: `^${dnsLabel}$` };
}

/** Name of a part of an object: a listener, a port, a rule of a route. */
export function sectionName(description: string): JsonSchema {
  return { ...text(description, { min: 1, max: 253 }), pattern: `^${dnsSubdomain}$` };
}

/** May begin with the wildcard `*.`. */
export function hostname(description: string): JsonSchema {
  return { ...text(description, { min: 1, max: 253 }), pattern: hostPattern };
}

export function preciseHostname(description: string): JsonSchema {
  return { ...text(description, { min: 1, max: 253 }), pattern: `^${dnsSubdomain}$` };
}

export function port(description: string): JsonSchema {
  return count(description, { min: 1, max: 65_535 });
}

/** GEP-2257: up to four numbers of up to five digits, each with h, m, s or ms. */
export function duration(description: string): JsonSchema {
  return { ...text(description), pattern: '^([0-9]{1,5}(h|m|s|ms)){1,4}$' };
}

/** Whose software serves an object: `example.com/controller`. */
export function controllerName(description: string): JsonSchema {
  return { ...text(description, { min: 1, max: 253 }), pattern: `^${domainPrefixed}$` };
}

/** RFC 9110, section 5.1, token. */
export function headerName(description: string): JsonSchema {
  return {
    ...text(description, { min: 1, max: 256 }),
    pattern: String.raw`^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$`,
  };
}

/** Visible characters with single blanks between them. */
export function headerValue(description: string): JsonSchema {
  return { ...text(description, { min: 1, max: 4096 }), pattern: String.raw`^[!-~]+([\t ]?[!-~]+)*$` };
}

/** `scheme://authority...`, RFC 3986. */
export function absoluteUri(description: string): JsonSchema {
  return {
    ...text(description, { min: 1, max: 253 }),
    pattern: String.raw`^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?`,
  };
}

/** The value of an annotation, or of an option of an implementation. */
export const annotationValue: JsonSchema = { type: 'string', minLength: 0, maxLength: 4096 };
