/** The scopes of a proxy's log, of which each may have a level of its own. */
import type { LogScopes } from '../../telemetry/admin/log-levels.ts';

export const logScopes: LogScopes = {
  process: 'proxy',
  names: [
    'admin',
    'certificates',
    'discovery',
    'metrics',
    'proxy',
    'proxy.extension',
    'readiness',
    'telemetry',
    'telemetry.spans',
    'trust',
    'upstream',
    'upstream.hbone',
  ],
};
