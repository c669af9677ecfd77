import { equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { redirectScript, releaseScript, removeScript } from './pod-rules.ts';
import { probeScript } from './probe-rules.ts';

const options = { probeIp4: '169.254.7.127', probeIp6: 'fd16::1', bypassInbound: false };

test('only opening packets are redirected, so that older connections live on', () => {
  for (const line of redirectScript(options).split('\n')) {
    if (line.includes('redirect')) match(line, /tcp flags & \(fin\|syn\|rst\|ack\) == syn/);
  }
});

test('tunnels, probes and our own packets are left alone', () => {
  const script = redirectScript(options);
  match(script, /tcp dport != 15008 meta mark & 0xfff != 0x539 redirect to :15006/);
  match(script, /ip saddr 169\.254\.7\.127 accept/);
  match(script, /ip6 saddr fd16::1 accept/);
  match(script, /meta mark & 0xfff == \{ 0x539, 0x111 \} accept/);
});

test('in ingress mode nothing inbound is redirected', () => {
  const script = redirectScript({ ...options, bypassInbound: true });
  equal(script.includes('15006'), false);
  ok(script.includes('redirect to :15001'));
});

test('release keeps the chains that live connections hang on, without any redirection', () => {
  const script = releaseScript();
  equal(script.includes('redirect'), false);
  match(script, /chain prerouting-nat/);
  match(script, /ct mark set 0x111/);
  equal(removeScript().includes('chain'), false);
});

test('the probe rules hold each address in the set of its family', () => {
  const script = probeScript(['10.0.0.1', 'fd00::1', '10.0.0.2'], options);
  match(script, /set pods4 \{\n\s+type ipv4_addr\n\s+elements = \{ 10\.0\.0\.1, 10\.0\.0\.2 \}/);
  match(script, /set pods6 \{\n\s+type ipv6_addr\n\s+elements = \{ fd00::1 \}/);
  equal(probeScript([], options).includes('elements'), false);
});
