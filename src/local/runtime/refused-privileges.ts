/** What a container asks for and does not get on this machine, as Events about it. */
import type { Container, Pod } from '../../api/index.ts';
import { refusedPrivileges } from './confinement.ts';

export type ContainerEvent = (type: 'Normal' | 'Warning', reason: string, message: string) => void;

/** `isSystem`: it is one of the mesh's own, and has its privileges. */
export function tellRefusals(pod: Pod, container: Container, isSystem: boolean, event: ContainerEvent): void {
  const user = container.securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser ?? 0;
  if (user !== 0) {
    event(
      'Normal',
      'UserEmulated',
      `Container ${container.name} sees itself as user ${user}; its files belong to the one user that the pods of this machine share`,
    );
  }
  if (isSystem) return;
  const { hostPID, hostIPC } = pod.spec;
  const refused = [
    refusedPrivileges(container),
    ...(hostPID ? ['hostPID'] : []),
    ...(hostIPC ? ['hostIPC'] : []),
  ].filter((each) => each !== '');
  if (refused.length === 0) return;
  event(
    'Warning',
    'PrivilegesRefused',
    `Container ${container.name} runs without what it asks for (${refused.join(', ')}): pods of this machine are kept apart, only those of the node's own manifests get more`,
  );
}
