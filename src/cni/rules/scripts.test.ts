import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { probeIptablesScript, probeScript } from '../probe-rules.ts';
import { captureAll } from './capture-settings.ts';
import {
  hasIptablesRules,
  iptablesRedirectScript,
  iptablesReleaseScript,
  missingJumps,
  type Family,
} from './iptables-script.ts';
import { nftRedirectScript, nftReleaseScript, nftRemoveScript } from './nft-script.ts';
import { podMark } from './node-marks.ts';
import type { PodRuleSet } from './pod-rule-set.ts';

const rules: PodRuleSet = {
  probeIp4: '169.254.7.127',
  probeIp6: 'fd16::1',
  probesFrom: undefined,
  capture: captureAll,
  mark: 0xabcd1234,
  plainMark: false,
  dns: { kind: 'off' },
};
const noJumps = missingJumps('');
const scripts = (more: Partial<PodRuleSet> = {}): string[] => [
  nftRedirectScript({ ...rules, ...more }),
  ...(['IPv4', 'IPv6'] as const).map((family: Family) =>
    iptablesRedirectScript({ ...rules, ...more }, family, noJumps),
  ),
];

test('only opening packets are redirected, so that older connections live on', () => {
  for (const script of scripts({ dns: { kind: 'everything' } })) {
    for (const line of script.split('\n')) {
      if (/redirect|REDIRECT/.test(line) && !/udp/.test(line))
        match(line, /fin\|syn\|rst\|ack\) == syn|FIN,SYN,RST,ACK SYN/);
    }
  }
});

test('an opening packet that cannot be redirected any more is dropped where it would be redirected', () => {
  const capture = {
    ...captureAll,
    excludedInboundPorts: [9090],
    excludedOutboundRanges: ['10.9.0.0/16', 'fd09::/16'],
    outboundPorts: [5432],
    outboundRanges: ['10.0.0.0/8', 'fd00::/8'],
    virtualInterfaces: ['k6t'],
  };
  for (const script of scripts({ capture, dns: { kind: 'everything' } })) {
    const lines = script.split('\n').map((line) => line.trim());
    const redirected = lines.filter((line) => /(redirect|REDIRECT)/.test(line) && !/dport 53/.test(line));
    const dropped = lines.filter((line) => /(drop|-j DROP)$/.test(line) && !/limit/.test(line));
    deepEqual(
      dropped.map((line) => line.replace(/drop$|-j DROP$/, '')),
      redirected.map((line) => line.replace(/redirect to :\d+$|-j REDIRECT --to-ports \d+$/, '')),
    );
    ok(dropped.length >= 4);
  }
});

test('only the secret mark is believed, but for proxies that know none', () => {
  for (const script of scripts()) {
    equal(script.includes('0x539'), false);
    match(script, /mark 0xabcd1234/);
  }
  for (const script of scripts({ plainMark: true })) match(script, /0x539/);
});

test('in ingress mode nothing inbound is redirected', () => {
  for (const script of scripts({ capture: { ...captureAll, bypassInbound: true } })) {
    equal(script.includes('15006'), false);
    ok(script.includes('15001'));
  }
});

test('what comes from virtual interfaces is outbound, and goes no further', () => {
  const [nft = '', iptables = ''] = scripts({ capture: { ...captureAll, virtualInterfaces: ['k6t'] } });
  match(nft, /iifname "k6t" tcp flags .* redirect to :15001\n\s+iifname "k6t" accept/);
  match(iptables, /-i k6t -p tcp .* --to-ports 15001\n-A ISTIO_PRERT -i k6t -j ACCEPT/);
});

test('probes of a node without an address for them are exempted by source and port', () => {
  const [nft = '', iptables = '', ip6tables = ''] = scripts({ probesFrom: { ips: ['10.0.0.1'], ports: [8080] } });
  match(nft, /ip saddr 10\.0\.0\.1 tcp dport \{ 8080 \} accept/);
  match(iptables, /-s 10\.0\.0\.1 -p tcp --dport 8080 -j ACCEPT/);
  equal(ip6tables.includes('10.0.0.1'), false);
});

test('release keeps the chains that live connections hang on, without any redirection', () => {
  const script = nftReleaseScript(rules);
  equal(script.includes('redirect'), false);
  match(script, /chain prerouting-nat/);
  match(script, /ct mark set 0x111/);
  equal(nftRemoveScript().includes('chain'), false);
  const iptables = iptablesReleaseScript(rules, noJumps);
  equal(iptables.includes('REDIRECT'), false);
  match(iptables, /:ISTIO_OUTPUT/);
});

test('jumps are added where there are none', () => {
  const saved = '*nat\n:ISTIO_OUTPUT - [0:0]\n-A OUTPUT -j ISTIO_OUTPUT\nCOMMIT';
  ok(hasIptablesRules(saved));
  equal(missingJumps(saved).has('nat OUTPUT'), false);
  equal(missingJumps(saved).has('mangle OUTPUT'), true);
  equal(iptablesRedirectScript(rules, 'IPv4', missingJumps(saved)).split('-A OUTPUT -j ISTIO_OUTPUT').length - 1, 2);
});

test('the probe rules hold each address in the set of its family', () => {
  const options = { probeIp4: '169.254.7.127', probeIp6: 'fd16::1' };
  const script = probeScript(['10.0.0.1', 'fd00::1', '10.0.0.2'], options);
  match(script, /set pods4 \{\n\s+type ipv4_addr\n\s+elements = \{ 10\.0\.0\.1, 10\.0\.0\.2 \}/);
  match(script, /set pods6 \{\n\s+type ipv6_addr\n\s+elements = \{ fd00::1 \}/);
  equal(probeScript([], options).includes('elements'), false);
  match(
    probeIptablesScript(['10.0.0.1'], '169.254.7.127', true),
    /--socket-exists -j SNAT --to-source 169\.254\.7\.127/,
  );
});

test('where the kubelet marks its probes, no other connection of the node is taken for one', () => {
  const script = probeScript(['10.0.0.1'], { probeIp4: '169.254.7.127', probeIp6: 'fd16::1', mark: 0xabc });
  const rules = script.split('\n').filter((line) => line.includes('snat ip'));
  equal(rules.length, 2);
  for (const rule of rules) match(rule, /meta mark 0xabc /);
  match(
    probeIptablesScript(['10.0.0.1'], '169.254.7.127', true, 0xabc),
    /--socket-exists -m mark --mark 0xabc -j SNAT/,
  );
});

test('marks are stable, differ between pods and nodes, and are none of the well-known', () => {
  const secret = 'ab'.repeat(32);
  equal(podMark(secret, 'uid-1'), podMark(secret, 'uid-1'));
  const marks = new Set(Array.from({ length: 5000 }, (_, i) => podMark(secret, `uid-${i}`)));
  ok(marks.size > 4990);
  for (const mark of marks) ok(mark > 0xfff && (mark & 0xfff) !== 0x539 && (mark & 0xfff) !== 0x111);
  ok(podMark('cd'.repeat(32), 'uid-1') !== podMark(secret, 'uid-1'));
});
