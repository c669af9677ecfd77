/** Names and labels: the syntax rules of `k8s.io/apimachinery/pkg/util/validation`, in its words. Each returns what is wrong. */

const label1123 = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain1123 = String.raw`${label1123}(\.${label1123})*`;
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValue = '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?';
const configKey = '[-._a-zA-Z0-9]+';

const whole = (pattern: string): RegExp => new RegExp(`^${pattern}$`);
const label1123Pattern = whole(label1123);
const subdomain1123Pattern = whole(subdomain1123);
const label1035Pattern = whole(label1035);
const qualifiedPattern = whole(qualified);
const labelValuePattern = whole(labelValue);
const configKeyPattern = whole(configKey);

export function dns1123Label(value: string): string[] {
  const problems = tooLong(value, 63);
  if (!label1123Pattern.test(value)) {
    problems.push(
      `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label1123}')`,
    );
  }
  return problems;
}

export function dns1123Subdomain(value: string): string[] {
  const problems = tooLong(value, 253);
  if (!subdomain1123Pattern.test(value)) {
    problems.push(
      `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomain1123}')`,
    );
  }
  return problems;
}

export function dns1035Label(value: string): string[] {
  const problems = tooLong(value, 63);
  if (!label1035Pattern.test(value)) {
    problems.push(
      `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '${label1035}')`,
    );
  }
  return problems;
}

/** Keys of labels and annotations: `[prefix/]name`. */
export function qualifiedName(value: string): string[] {
  const parts = value.split('/');
  if (parts.length > 2) {
    return [
      `a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualified}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const problems: string[] = [];
  const name = parts.at(-1) ?? '';
  if (parts.length === 2) {
    const [prefix = ''] = parts;
    if (prefix === '') problems.push('prefix part must be non-empty');
    else problems.push(...dns1123Subdomain(prefix).map((problem) => `prefix part ${problem}`));
  }
  if (name === '') problems.push('name part must be non-empty');
  else problems.push(...tooLong(name, 63).map((problem) => `name part ${problem}`));
  if (!qualifiedPattern.test(name)) {
    problems.push(
      `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualified}')`,
    );
  }
  return problems;
}

export function labelValueProblems(value: string): string[] {
  const problems = tooLong(value, 63);
  if (!labelValuePattern.test(value)) {
    problems.push(
      `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '${labelValue}')`,
    );
  }
  return problems;
}

/** Names of ports (IANA_SVC_NAME, RFC 6335). */
export function portName(value: string): string[] {
  const problems: string[] = [];
  if (value.length > 15) problems.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]*$/.test(value))
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) problems.push('must contain at least one letter (a-z)');
  if (value.includes('--')) problems.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) problems.push('must not begin or end with a hyphen');
  return problems;
}

export function portNumber(value: number): string[] {
  return Number.isInteger(value) && value >= 1 && value <= 65_535 ? [] : ['must be between 1 and 65535, inclusive'];
}

/** Keys of ConfigMaps and Secrets: they become file names. */
export function configMapKey(value: string): string[] {
  const problems = tooLong(value, 253);
  if (!configKeyPattern.test(value)) {
    problems.push(
      `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '${configKey}')`,
    );
  }
  if (value === '.') problems.push("must not be '.'");
  else if (value === '..') problems.push("must not be '..'");
  else if (value.startsWith('..')) problems.push("must not start with '..'");
  return problems;
}

export function environmentName(value: string): string[] {
  return /^[ -<>-~]+$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

function tooLong(value: string, maxBytes: number): string[] {
  return Buffer.byteLength(value) > maxBytes ? [`must be no more than ${maxBytes} bytes`] : [];
}
