/** The pods that a mesh in a cluster is made of. */
import { kinds, systemNamespace, type Pod } from '../api/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { isPodReady } from './find-pod.ts';

export interface ClusterComponent {
  readonly component: 'control' | 'node-agent' | 'ztunnel';
  readonly node: string;
  readonly pod: string;
  /** Of a control plane. */
  readonly revision?: string;
  readonly ready: boolean;
  readonly since: string;
}

/** By the labels that they have in Istio's charts too. */
const components: Readonly<Record<string, ClusterComponent['component']>> = {
  istiod: 'control',
  'istio-cni-node': 'node-agent',
  ztunnel: 'ztunnel',
};

/** Control planes first, then node by node. */
export async function clusterComponents(client: KubeClient): Promise<readonly ClusterComponent[]> {
  const pods = (await client.list(kinds.Pod, { namespace: systemNamespace })).items;
  const order = Object.values(components);
  return pods
    .flatMap(componentOf)
    .toSorted(
      (a, b) =>
        Number(a.component !== 'control') - Number(b.component !== 'control') ||
        a.node.localeCompare(b.node) ||
        order.indexOf(a.component) - order.indexOf(b.component) ||
        a.pod.localeCompare(b.pod),
    );
}

function componentOf(pod: Pod): ClusterComponent[] {
  const { labels = {}, name = '', creationTimestamp = '' } = pod.metadata;
  const component = components[labels['app'] ?? labels['k8s-app'] ?? ''];
  if (component === undefined) return [];
  const revision = labels['istio.io/rev'];
  return [
    {
      component,
      node: pod.spec?.nodeName ?? '',
      pod: name,
      ...(revision === undefined ? {} : { revision }),
      ready: isPodReady(pod),
      since: pod.status?.startTime ?? creationTimestamp,
    },
  ];
}
