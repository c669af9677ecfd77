/** A resource that nothing can be made of. It refuses the whole configuration, naming the resource. */
import { AmbitError } from '../../lib/errors.ts';
import type { ProxyResource } from '../../api/l7/index.ts';
import { proxyResourceName } from '../../wire/index.ts';

/** Code `proxy.bad-config`. `problem` says what cannot be done with it. */
export class ConfigError extends AmbitError {
  constructor(resource: Pick<ProxyResource, 'kind' | 'name'>, problem: string) {
    super(`${proxyResourceName(resource)}: ${problem}`, { code: 'proxy.bad-config', blame: 'upstream' });
    this.name = 'ConfigError';
  }
}
