import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAccessLine } from './access-lines.ts';

const line = (fields: string, scope = 'access'): string =>
  `2026-01-02T03:04:05.678901Z\tinfo\t${scope}\tconnection complete\t${fields}`;

describe('access log lines', () => {
  it('give both ends, the tunnel, the policy and the error', () => {
    const parsed = parseAccessLine(
      line(
        'src.addr=10.244.1.2:40000 src.workload="sleep-1" src.namespace="default" src.identity="spiffe://cluster.local/ns/default/sa/sleep" dst.addr=10.244.2.3:15008 dst.hbone_addr=10.244.2.3:9080 dst.workload="ratings" dst.namespace="default" dst.identity="spiffe://cluster.local/ns/default/sa/ratings" direction="inbound" bytes_sent=0 policy="default/viewer" error="connection closed: policy \\"x\\" refused"',
      ),
    );
    assert.deepEqual(parsed, {
      timeMs: Date.parse('2026-01-02T03:04:05.678Z'),
      source: {
        workload: 'sleep-1',
        namespace: 'default',
        identity: 'spiffe://cluster.local/ns/default/sa/sleep',
        ip: '10.244.1.2:40000',
      },
      destination: {
        workload: 'ratings',
        namespace: 'default',
        identity: 'spiffe://cluster.local/ns/default/sa/ratings',
      },
      tunnelTarget: '10.244.2.3:9080',
      policy: 'default/viewer',
      error: 'connection closed: policy "x" refused',
    });
  });

  it('leave out what a line does not say', () => {
    const parsed = parseAccessLine(line('direction="inbound" src.addr=10.0.0.1:1'));
    assert.equal(parsed?.source.identity, '');
    assert.equal(parsed?.error, '');
    assert.equal(parsed?.source.ip, '10.0.0.1:1');
  });

  it('do not take a field for another whose name it ends with', () => {
    const parsed = parseAccessLine(line('direction="inbound" error="direction=outbound error=none" dst.policy="no"'));
    assert.equal(parsed?.error, 'direction=outbound error=none');
    assert.equal(parsed?.policy, '');
  });

  it('are nothing unless they are inbound connections', () => {
    assert.equal(parseAccessLine(line('direction="outbound"')), undefined);
    assert.equal(parseAccessLine(line('direction="inbound"', 'ztunnel')), undefined);
    assert.equal(parseAccessLine('{"level":"info","message":"direction=\\"inbound\\""}'), undefined);
    assert.equal(parseAccessLine(''), undefined);
  });
});
