/** Traffic policies of a DestinationRule: of the host, of a subset, of a port. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';
import { checkClientTls } from './client-tls.ts';
import { hostProblems, isIp } from './hosts.ts';
import { checkLoadBalancer } from './load-balancer.ts';
import { checkDuration, checkNonNegative, checkPercent, checkPort } from './values.ts';

const portFields = ['loadBalancer', 'connectionPool', 'outlierDetection', 'tls'];
const fields = [...portFields, 'portLevelSettings', 'tunnel', 'proxyProtocol', 'retryBudget'];

export function checkTrafficPolicy(policy: FieldView, found: Findings): void {
  if (!policy.exists) return;
  if (!fields.some((field) => policy.at(field).exists))
    found.required(policy, `set at least one of ${fields.join(', ')}`);
  checkPortFields(policy, found);
  for (const settings of policy.at('portLevelSettings').items()) {
    const port = settings.at('port').at('number');
    if (port.number === undefined) found.required(port, 'say which port the settings are for');
    checkPort(port, found);
    if (!portFields.some((field) => settings.at(field).exists))
      found.required(settings, `set at least one of ${portFields.join(', ')}`);
    checkPortFields(settings, found);
  }
  const tunnel = policy.at('tunnel');
  if (tunnel.exists && policy.at('proxyProtocol').exists)
    found.forbidden(policy.at('proxyProtocol'), 'may not be set together with `tunnel`');
  checkTunnel(tunnel, found);
  const budget = policy.at('retryBudget');
  checkPercent(budget.at('percent'), found);
  checkDuration(budget.at('budgetInterval'), found);
}

function checkPortFields(policy: FieldView, found: Findings): void {
  checkConnectionPool(policy.at('connectionPool'), found);
  checkOutlierDetection(policy.at('outlierDetection'), found);
  checkLoadBalancer(policy.at('loadBalancer'), policy.at('outlierDetection').exists, found);
  checkClientTls(policy.at('tls'), found);
}

export function checkConnectionPool(pool: FieldView, found: Findings): void {
  if (!pool.exists) return;
  const tcp = pool.at('tcp');
  const http = pool.at('http');
  if (!tcp.exists && !http.exists) found.required(pool, 'set tcp, http, or both');
  checkNonNegative(tcp.at('maxConnections'), found);
  checkDuration(tcp.at('connectTimeout'), found);
  checkDuration(tcp.at('maxConnectionDuration'), found);
  checkDuration(tcp.at('idleTimeout'), found, 'accept');
  for (const field of ['time', 'interval']) checkDuration(tcp.at('tcpKeepalive').at(field), found);
  for (const field of [
    'http1MaxPendingRequests',
    'http2MaxRequests',
    'maxRequestsPerConnection',
    'maxRetries',
    'maxConcurrentStreams',
  ]) {
    checkNonNegative(http.at(field), found);
  }
  checkDuration(http.at('idleTimeout'), found);
  if (http.at('h2UpgradePolicy').text === 'UPGRADE' && http.at('useClientProtocol').boolean) {
    found.forbidden(
      http.at('useClientProtocol'),
      'may not be set while h2UpgradePolicy is UPGRADE: they say opposite things',
    );
  }
  const keepAlive = http.at('http2KeepAlive');
  for (const field of keepAlive.exists ? ['interval', 'timeout'] : []) {
    if (!keepAlive.at(field).exists) found.required(keepAlive.at(field), 'interval and timeout must both be set');
    checkDuration(keepAlive.at(field), found);
  }
}

function checkOutlierDetection(outlier: FieldView, found: Findings): void {
  if (!outlier.exists) return;
  checkDuration(outlier.at('interval'), found);
  checkDuration(outlier.at('baseEjectionTime'), found);
  checkPercent(outlier.at('maxEjectionPercent'), found);
  checkPercent(outlier.at('minHealthPercent'), found);
  const local = outlier.at('consecutiveLocalOriginFailures');
  if ((local.number ?? 0) > 0 && !outlier.at('splitExternalLocalOriginErrors').boolean) {
    found.forbidden(local, 'may only be set when splitExternalLocalOriginErrors is true');
  }
  if (outlier.at('consecutiveErrors').exists) {
    found.warn(outlier.at('consecutiveErrors'), 'is deprecated: use consecutiveGatewayErrors or consecutive5xxErrors');
  }
}

function checkTunnel(tunnel: FieldView, found: Findings): void {
  if (!tunnel.exists) return;
  const protocol = tunnel.at('protocol');
  if (protocol.text && protocol.text !== 'CONNECT' && protocol.text !== 'POST')
    found.notSupported(protocol, ['CONNECT', 'POST']);
  const host = tunnel.at('targetHost');
  if (!host.text) found.required(host);
  else if (!isIp(host.text)) found.invalidAll(host, hostProblems(host.text));
  checkPort(tunnel.at('targetPort'), found);
}
