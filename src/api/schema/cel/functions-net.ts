/** CEL functions for addresses, URLs and quantities that Kubernetes adds (`k8s.io/apiserver/pkg/cel/library`: ip, cidr, urls, quantity). */
import { EvaluationError, type Environment } from '@marcbachmann/cel-js';
import { cidrContains, formatIp, isLoopback, tryParseCidr, tryParseIp, type Cidr } from '../../../lib/ip.ts';
import { parseQuantity } from '../../validation/quantity.ts';

const sync = { async: false };

class Ip {
  readonly text: string;
  readonly bytes: Uint8Array;

  constructor(text: string, bytes: Uint8Array) {
    this.text = text;
    this.bytes = bytes;
  }
}

/** For `ip.isCanonical(text)`. */
class Ips {
  readonly name = 'ip';
}

class IpRange {
  readonly text: string;
  readonly cidr: Cidr;

  constructor(text: string, cidr: Cidr) {
    this.text = text;
    this.cidr = cidr;
  }
}

class Url {
  readonly text: string;
  readonly parts: UrlParts;

  constructor(text: string, parts: UrlParts) {
    this.text = text;
    this.parts = parts;
  }
}

class Quantity {
  readonly amount: number;

  constructor(amount: number) {
    this.amount = amount;
  }
}

export function registerNetFunctions(env: Environment): void {
  registerIps(env);
  registerCidrs(env);
  registerUrls(env);
  registerQuantities(env);
}

function registerIps(env: Environment): void {
  env
    .registerType('net.IP', Ip)
    .registerFunction('isIP(string): bool', (text: string) => parseIp(text) !== undefined, sync)
    .registerFunction('ip(string): net.IP', toIp, sync)
    .registerFunction('string(net.IP): string', (ip: Ip) => formatIp(ip.bytes), sync)
    .registerType('kubernetes.IPs', Ips)
    .registerConstant('ip', 'kubernetes.IPs', new Ips())
    .registerFunction(
      'kubernetes.IPs.isCanonical(string): bool',
      (_: Ips, text: string) => formatIp(toIp(text).bytes) === text,
      sync,
    )
    .registerFunction('net.IP.family(): int', (ip: Ip) => (ip.bytes.length === 4 ? 4n : 6n), sync)
    .registerFunction('net.IP.isUnspecified(): bool', (ip: Ip) => ip.bytes.every((byte) => byte === 0), sync)
    .registerFunction('net.IP.isLoopback(): bool', (ip: Ip) => isLoopback(ip.bytes), sync)
    .registerFunction('net.IP.isLinkLocalMulticast(): bool', (ip: Ip) => isLinkLocalMulticast(ip.bytes), sync)
    .registerFunction('net.IP.isLinkLocalUnicast(): bool', (ip: Ip) => isLinkLocalUnicast(ip.bytes), sync)
    .registerFunction('net.IP.isGlobalUnicast(): bool', (ip: Ip) => isGlobalUnicast(ip.bytes), sync)
    .registerOperator('net.IP == net.IP', (a: Ip, b: Ip) => formatIp(a.bytes) === formatIp(b.bytes));
}

function registerCidrs(env: Environment): void {
  const toIpOf = (ip: Ip | string): Ip => (typeof ip === 'string' ? toIp(ip) : ip);
  const toRangeOf = (range: IpRange | string): IpRange => (typeof range === 'string' ? toRange(range) : range);
  const containsIp = (range: IpRange, ip: Ip | string): boolean => cidrContains(range.cidr, toIpOf(ip).bytes);
  const containsRange = (range: IpRange, given: IpRange | string): boolean => {
    const { cidr } = toRangeOf(given);
    return cidr.prefixLength >= range.cidr.prefixLength && cidrContains(range.cidr, cidr.address);
  };
  env
    .registerType('net.CIDR', IpRange)
    .registerFunction('isCIDR(string): bool', (text: string) => parseRange(text) !== undefined, sync)
    .registerFunction('cidr(string): net.CIDR', toRange, sync)
    .registerFunction('string(net.CIDR): string', (range: IpRange) => range.text, sync)
    .registerFunction('net.CIDR.containsIP(string): bool', containsIp, sync)
    .registerFunction('net.CIDR.containsIP(net.IP): bool', containsIp, sync)
    .registerFunction('net.CIDR.containsCIDR(string): bool', containsRange, sync)
    .registerFunction('net.CIDR.containsCIDR(net.CIDR): bool', containsRange, sync)
    .registerFunction('net.CIDR.ip(): net.IP', (range: IpRange) => toIp(range.text.split('/', 1)[0] ?? ''), sync)
    .registerFunction('net.CIDR.prefixLength(): int', (range: IpRange) => BigInt(range.cidr.prefixLength), sync)
    .registerFunction(
      'net.CIDR.masked(): net.CIDR',
      ({ cidr }: IpRange) => toRange(`${formatIp(cidr.address)}/${cidr.prefixLength}`),
      sync,
    )
    .registerOperator('net.CIDR == net.CIDR', (a: IpRange, b: IpRange) => a.text === b.text);
}

interface UrlParts {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
}

function registerUrls(env: Environment): void {
  const { hostname, port } = { hostname: /^(?:\[([^\]]*)\]|([^:]*))/, port: /:(\d*)$/ };
  env
    .registerType('net.URL', Url)
    .registerFunction('isURL(string): bool', (text: string) => parseUrl(text) !== undefined, sync)
    .registerFunction(
      'url(string): net.URL',
      (text: string) => {
        const parts = parseUrl(text);
        if (!parts)
          throw new EvaluationError(
            `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
          );
        return new Url(text, parts);
      },
      sync,
    )
    .registerFunction('net.URL.getScheme(): string', (url: Url) => url.parts.scheme, sync)
    .registerFunction('net.URL.getHost(): string', (url: Url) => url.parts.host, sync)
    .registerFunction(
      'net.URL.getHostname(): string',
      (url: Url) => {
        const [, bracketed, plain = ''] = hostname.exec(url.parts.host) ?? [];
        return bracketed ?? plain;
      },
      sync,
    )
    .registerFunction('net.URL.getPort(): string', (url: Url) => port.exec(url.parts.host)?.[1] ?? '', sync)
    .registerFunction('net.URL.getEscapedPath(): string', (url: Url) => url.parts.path, sync)
    .registerFunction('net.URL.getQuery(): map<string, list<string>>', (url: Url) => queryOf(url.parts.query), sync)
    .registerOperator('net.URL == net.URL', (a: Url, b: Url) => a.text === b.text);
}

function registerQuantities(env: Environment): void {
  const binary = (name: string, apply: (a: number, b: number) => unknown, result: string): void => {
    env.registerFunction(
      `kubernetes.Quantity.${name}(kubernetes.Quantity): ${result}`,
      (a: Quantity, b: Quantity) => apply(a.amount, b.amount),
      sync,
    );
  };
  env
    .registerType('kubernetes.Quantity', Quantity)
    .registerFunction('isQuantity(string): bool', (text: string) => parseQuantity(text) !== undefined, sync)
    .registerFunction(
      'quantity(string): kubernetes.Quantity',
      (text: string) => {
        const amount = parseQuantity(text);
        if (amount === undefined) throw new EvaluationError('quantity parse error');
        return new Quantity(amount);
      },
      sync,
    )
    .registerFunction('kubernetes.Quantity.sign(): int', (one: Quantity) => BigInt(Math.sign(one.amount)), sync)
    .registerFunction(
      'kubernetes.Quantity.isInteger(): bool',
      (one: Quantity) => Number.isSafeInteger(one.amount),
      sync,
    )
    .registerFunction(
      'kubernetes.Quantity.asInteger(): int',
      (one: Quantity) => {
        if (!Number.isInteger(one.amount)) throw new EvaluationError('cannot convert value to integer');
        return BigInt(one.amount);
      },
      sync,
    )
    .registerFunction('kubernetes.Quantity.asApproximateFloat(): double', (one: Quantity) => one.amount, sync)
    .registerOperator(
      'kubernetes.Quantity == kubernetes.Quantity',
      (a: Quantity, b: Quantity) => a.amount === b.amount,
    );
  binary('compareTo', (a, b) => BigInt(Math.sign(a - b)), 'int');
  binary('isGreaterThan', (a, b) => a > b, 'bool');
  binary('isLessThan', (a, b) => a < b, 'bool');
  binary('add', (a, b) => new Quantity(a + b), 'kubernetes.Quantity');
  binary('sub', (a, b) => new Quantity(a - b), 'kubernetes.Quantity');
}

/** Zones and IPv4 in IPv6 clothes are refused, as by Kubernetes' library. */
function parseIp(text: string): Uint8Array | undefined {
  if (text.includes('%') || /^::ffff:/i.test(text)) return undefined;
  return tryParseIp(text);
}

function toIp(text: string): Ip {
  const bytes = parseIp(text);
  if (!bytes) throw new EvaluationError(`IP Address ${JSON.stringify(text)} parse error during conversion from string`);
  return new Ip(text, bytes);
}

function parseRange(text: string): Cidr | undefined {
  const [, address = '', length = ''] = /^([^/]+)\/(\d+)$/.exec(text) ?? [];
  return parseIp(address) && String(Number(length)) === length ? tryParseCidr(text) : undefined;
}

function toRange(text: string): IpRange {
  const cidr = parseRange(text);
  if (!cidr)
    throw new EvaluationError(
      `network address parse error during conversion from string: invalid CIDR ${JSON.stringify(text)}`,
    );
  return new IpRange(text, cidr);
}

/** Go's `url.ParseRequestURI`: absolute, or a rooted path. */
function parseUrl(text: string): UrlParts | undefined {
  if (/[\s\p{Cc}]/u.test(text)) return undefined;
  const match = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?]*)(?:\?(.*))?$/.exec(text);
  const [, scheme, authority, path = '', query = ''] = match ?? [];
  if (!match || (scheme === undefined && !text.startsWith('/'))) return undefined;
  if (scheme === undefined && authority !== undefined) return { scheme: '', host: '', path: text, query };
  if (/%(?![0-9a-fA-F]{2})/.test(path)) return undefined;
  const host = (authority ?? '').replace(/^.*@/, '');
  if (!/^(?:\[[0-9a-fA-F:.%]+\]|[^[\]:]*)(?::\d*)?$/.test(host)) return undefined;
  return {
    scheme: (scheme ?? '').toLowerCase(),
    host,
    path: authority === undefined && scheme !== undefined && !path.startsWith('/') ? '' : path,
    query,
  };
}

function queryOf(text: string): Record<string, string[]> {
  const result = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of new URLSearchParams(text)) (result[name] ??= []).push(value);
  return result;
}

function isLinkLocalMulticast([a = 0, b = 0, c = 0, , ...rest]: Uint8Array): boolean {
  return rest.length === 0 ? a === 224 && b === 0 && c === 0 : a === 0xff && (b & 0x0f) === 0x02;
}

function isLinkLocalUnicast([a = 0, b = 0, , , ...rest]: Uint8Array): boolean {
  return rest.length === 0 ? a === 169 && b === 254 : a === 0xfe && (b & 0xc0) === 0x80;
}

function isGlobalUnicast(bytes: Uint8Array): boolean {
  const [a = 0] = bytes;
  const isMulticast = bytes.length === 4 ? a >= 224 && a < 240 : a === 0xff;
  const isBroadcast = bytes.length === 4 && bytes.every((byte) => byte === 255);
  const isUnspecified = bytes.every((byte) => byte === 0);
  return !isMulticast && !isBroadcast && !isUnspecified && !isLoopback(bytes) && !isLinkLocalUnicast(bytes);
}
