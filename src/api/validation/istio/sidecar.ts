/** Sidecar: listeners that can be told apart, and hosts that can be reached. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkDestination } from './destination.ts';
import { checkUnixAddress, isUnix } from './endpoint.ts';
import { checkScopedHost } from './hosts.ts';
import { checkListenerPort } from './listener-port.ts';
import { checkObject } from './object.ts';
import { isTls } from './protocol.ts';
import { checkServerTls } from './server-tls.ts';
import { checkConnectionPool } from './traffic-policy.ts';
import { checkWorkloadSelector, isPort } from './values.ts';

const localEndpoint = /^(?:127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):(\d{1,5})$/;

export function validateSidecar(sidecar: FieldView): Validation {
  const found = new Findings();
  const spec = sidecar.at('spec');
  checkObject(sidecar, found);
  const isEmpty =
    ['ingress', 'egress'].every((field) => spec.at(field).items().length === 0) &&
    !spec.at('inboundConnectionPool').exists &&
    !spec.at('outboundTrafficPolicy').exists;
  if (isEmpty)
    found.required(spec, 'set at least one of ingress, egress, inboundConnectionPool, outboundTrafficPolicy');
  checkWorkloadSelector(spec.at('workloadSelector'), found);
  checkIngress(spec.at('ingress'), found);
  checkEgress(spec.at('egress'), found);
  checkConnectionPool(spec.at('inboundConnectionPool'), found);
  const policy = spec.at('outboundTrafficPolicy');
  const proxy = policy.at('egressProxy');
  if (proxy.exists && policy.at('mode').text !== 'ALLOW_ANY')
    found.forbidden(proxy, 'may only be set when mode is ALLOW_ANY');
  checkDestination(proxy, found);
  return found;
}

function checkIngress(ingress: FieldView, found: Findings): void {
  const seen = new Set<number>();
  for (const listener of ingress.items()) {
    const port = listener.at('port');
    if (!port.exists) found.required(port);
    checkListenerPort(listener, found);
    checkUnique(port, seen, found);
    checkDefaultEndpoint(listener.at('defaultEndpoint'), found);
    checkConnectionPool(listener.at('connectionPool'), found);
    const tls = listener.at('tls');
    if (!tls.exists) continue;
    if (!isTls(port.at('protocol').text))
      found.forbidden(tls, 'may only be set when the protocol of the port is HTTPS or TLS');
    const mode = tls.at('mode');
    if (mode.text !== 'SIMPLE' && mode.text !== 'MUTUAL') found.notSupported(mode, ['SIMPLE', 'MUTUAL']);
    for (const field of ['credentialName', 'credentialNames']) {
      if (tls.at(field).exists) found.forbidden(tls.at(field), 'is not supported by a Sidecar: use files');
    }
    checkServerTls(tls, found);
  }
}

function checkDefaultEndpoint(endpoint: FieldView, found: Findings): void {
  if (!endpoint.text) return;
  if (isUnix(endpoint.text)) return checkUnixAddress(endpoint, found);
  const port = localEndpoint.exec(endpoint.text)?.[1];
  if (port === undefined || !isPort(Number(port))) {
    found.invalid(endpoint, 'must be 127.0.0.1, 0.0.0.0, [::1] or [::] with a port, or unix:// and a path');
  }
}

function checkEgress(egress: FieldView, found: Findings): void {
  const seen = new Set<number>();
  const listeners = egress.items();
  const hosts = new Map<string, FieldView>();
  for (const [i, listener] of listeners.entries()) {
    const port = listener.at('port');
    if (!port.exists) {
      if (i !== listeners.length - 1)
        found.required(port, 'only the last egress listener may be without a port: it takes what the others leave');
      if (listener.at('bind').text) found.forbidden(listener.at('bind'), 'may not be set without `port`');
    } else {
      checkListenerPort(listener, found);
      checkUnique(port, seen, found);
    }
    if (isUnix(listener.at('bind').text) && listener.at('captureMode').text === 'IPTABLES') {
      found.invalid(listener.at('captureMode'), 'must be DEFAULT or NONE when `bind` is a unix socket');
    }
    const items = listener.at('hosts').items();
    if (items.length === 0) found.required(listener.at('hosts'), 'name at least one host, as ./*');
    hosts.clear();
    for (const host of items) {
      checkScopedHost(host, 'sidecar', found);
      if (hosts.has(host.text ?? '')) found.warn(host, 'is named twice');
      hosts.set(host.text ?? '', host);
    }
    if (items.length > 1 && hosts.has('*/*'))
      found.warn(listener.at('hosts'), '*/* is every host: the others have no effect');
  }
}

function checkUnique(port: FieldView, seen: Set<number>, found: Findings): void {
  const number = port.at('number');
  if (number.number && seen.has(number.number)) found.duplicate(number);
  if (number.number) seen.add(number.number);
}
