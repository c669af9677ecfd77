import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { hasPlugin, listFileOf, networkFiles, withoutPlugin, withPlugin } from './conflist.ts';

const options = { runDir: '/var/run/istio-cni', excludedNamespaces: ['kube-system'], systemNamespace: 'istio-system' };
const list = JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'calico' }, { type: 'portmap' }] });

test('the plugin goes to the end of the chain, once', () => {
  const once = withPlugin(list, options);
  equal(withPlugin(once, options), once);
  const parsed = JSON.parse(once) as { plugins: Record<string, unknown>[]; name: string };
  deepEqual(
    parsed.plugins.map((plugin) => plugin['type']),
    ['calico', 'portmap', 'istio-cni'],
  );
  equal(parsed.plugins[2]?.['cni_agent_run_dir'], '/var/run/istio-cni');
  equal(parsed.name, 'net');
});

test('a single configuration becomes a list of one', () => {
  const parsed = JSON.parse(withPlugin('{"cniVersion":"0.3.1","name":"n","type":"bridge","mtu":1400}', options)) as {
    plugins: unknown[];
  };
  deepEqual(parsed.plugins[0], { type: 'bridge', mtu: 1400 });
  const nameless = JSON.parse(withPlugin('{"type":"bridge"}', options)) as { name: string; cniVersion: string };
  deepEqual([nameless.name, nameless.cniVersion], ['k8s-pod-network', '0.3.1']);
});

test('taking it out gives back what was there', () => {
  deepEqual(JSON.parse(withoutPlugin(withPlugin(list, options)) ?? ''), JSON.parse(list));
  equal(withoutPlugin(list), undefined);
  equal(hasPlugin(list), false);
  equal(hasPlugin('not json'), false);
});

test('what is no network is refused', () => {
  throws(() => withPlugin('[]', options));
  throws(() => withPlugin('{"name":"x"}', options));
  throws(() => withPlugin('{"name":"x","plugins":[]}', options), /no plugin that makes a network/);
  throws(() => withPlugin('{"name":"x","plugins":[{"type":"istio-cni"}]}', options), /no plugin that makes a network/);
});

test('files are looked at as runtimes do', () => {
  deepEqual(
    networkFiles(['99-z.conf', 'x.json.new', '10-a.conflist', 'README', '10-a.conf.ambit-saved', '05-b.json']),
    ['05-b.json', '10-a.conflist', '99-z.conf'],
  );
  equal(listFileOf('10-a.conf'), '10-a.conflist');
  equal(listFileOf('10-a.conflist'), '10-a.conflist');
});
