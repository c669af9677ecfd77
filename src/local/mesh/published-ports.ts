/** Services that the host reaches on a port of its loopback: `HOST-PORT:NAMESPACE/SERVICE:PORT`. */
import { join } from 'node:path';
import { AmbitError } from '../../lib/errors.ts';
import type { StatePaths } from './state-dir.ts';

export interface PublishedPort {
  readonly hostPort: number;
  readonly namespace: string;
  readonly service: string;
  /** A port of the Service by number or name. */
  readonly port: string;
}

const form = /^(\d{1,5}):([a-z0-9-]{1,63})\/([a-z0-9-]{1,63}):([a-z0-9-]{1,63})$/;

/** Throws `local.publish`. */
export function parsePublishedPort(text: string): PublishedPort {
  const [, number = '', namespace = '', service = '', port = ''] = form.exec(text) ?? [];
  const hostPort = Number(number);
  if (hostPort < 1 || hostPort > 65_535) {
    throw new AmbitError(`Cannot publish "${text}": write HOST-PORT:NAMESPACE/SERVICE:PORT`, {
      code: 'local.publish',
      blame: 'downstream',
    });
  }
  return { hostPort, namespace, service, port };
}

/** Where connections from the host come out in the mesh. */
export function publishedSocket(paths: StatePaths, { hostPort }: PublishedPort): string {
  return join(paths.sockets, `pub-${hostPort}.sock`);
}
