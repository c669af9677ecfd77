import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../api/index.ts';
import { captureAll, readCaptureSettings, type CaptureReading } from './capture-settings.ts';

function read(annotations: Record<string, string>): CaptureReading {
  return readCaptureSettings({ metadata: { annotations }, spec: { containers: [] } } as Pod);
}

const sidecar = (name: string, value: string): Record<string, string> => ({
  [`traffic.sidecar.istio.io/${name}`]: value,
});

test('without annotations everything is captured', () => {
  deepEqual(read({}), { settings: captureAll, problems: [] });
});

test("Istio's lists are read, sorted, each entry once", () => {
  const { settings, problems } = read({
    ...sidecar('excludeOutboundPorts', '443, 22,443'),
    ...sidecar('excludeInboundPorts', '9090'),
    ...sidecar('includeInboundPorts', '80,8080'),
    ...sidecar('includeOutboundIPRanges', '10.1.2.3/8,fd00::/8'),
    ...sidecar('includeOutboundPorts', '5432'),
    ...sidecar('excludeOutboundIPRanges', '169.254.0.0/16,169.254.169.254'),
    ...sidecar('excludeInterfaces', 'net1,eth1'),
    'istio.io/reroute-virtual-interfaces': 'k6t-eth0',
    'ambient.istio.io/dns-capture': 'false',
    'ambient.istio.io/bypass-inbound-capture': 'true',
  });
  deepEqual(problems, []);
  deepEqual(settings, {
    bypassInbound: true,
    inboundPorts: [80, 8080],
    excludedInboundPorts: [9090],
    outboundRanges: ['10.0.0.0/8', 'fd00::/8'],
    outboundPorts: [5432],
    excludedOutboundPorts: [22, 443],
    // What another entry covers would make the rules overlap.
    excludedOutboundRanges: ['169.254.0.0/16'],
    excludedInterfaces: ['eth1', 'net1'],
    virtualInterfaces: ['k6t-eth0'],
    dnsCapture: false,
  });
});

test('an empty list includes nothing, and a star everything', () => {
  deepEqual(read(sidecar('includeInboundPorts', '')).settings.inboundPorts, []);
  equal(read(sidecar('includeInboundPorts', '*')).settings.inboundPorts, 'all');
  equal(read(sidecar('includeOutboundIPRanges', '*')).settings.outboundRanges, 'all');
});

test('a value that is wrong in one part lets nothing out, and is named', () => {
  for (const [name, value, problem] of [
    ['excludeOutboundPorts', '443,https', /"https" is no port/],
    ['excludeOutboundPorts', '0', /"0" is no port/],
    ['excludeOutboundPorts', '70000', /no port/],
    ['excludeInboundPorts', '15008', /15008 is the proxy's own/],
    ['excludeOutboundIPRanges', '10.0.0.0/40', /no CIDR/],
    ['excludeOutboundIPRanges', '0.0.0.0/0', /everything.*dataplane-mode=none/],
    ['includeOutboundIPRanges', 'example.com', /no CIDR/],
    ['includeInboundPorts', 'x', /no port/],
    ['excludeInterfaces', 'eth0" accept; drop', /no name of an interface/],
    ['excludeInterfaces', 'lo', /no name of an interface/],
  ] as const) {
    const { settings, problems } = read(sidecar(name, value));
    deepEqual(settings, captureAll, `${name}=${value}`);
    match(problems[0] ?? '', problem);
  }
  const { settings, problems } = read({ 'ambient.istio.io/bypass-inbound-capture': 'yes' });
  equal(settings.bypassInbound, false);
  equal(problems.length, 1);
});
