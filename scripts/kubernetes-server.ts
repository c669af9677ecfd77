/** Builds Kubernetes' own server (test/kubernetes/server) once. Prints its path. */
import { buildGoBinary, type GoBinary } from './go-binary.ts';

/** Rejects when the build fails. A cold one takes 3 GB of disk. */
export function buildKubernetesServer(): Promise<GoBinary> {
  return buildGoBinary({
    sources: 'test/kubernetes/server',
    module: 'k8s.io/kubernetes',
    name: 'server',
    takes: '8 to 15 minutes',
    stamps(version) {
      const [, major, minor] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
      return [
        `k8s.io/component-base/version.gitVersion=${version}`,
        `k8s.io/component-base/version.gitMajor=${major}`,
        `k8s.io/component-base/version.gitMinor=${minor}`,
        `k8s.io/client-go/pkg/version.gitVersion=${version}`,
      ];
    },
  });
}

if (import.meta.main) {
  const server = await buildKubernetesServer();
  if (server.kind === 'built') console.log(server.path);
  else console.error(`skip  Kubernetes' own server: ${server.reason}`);
}
