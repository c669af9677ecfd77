/** The scopes of a ztunnel's log, of which each may have a level of its own. */
import type { LogScopes } from '../telemetry/admin/log-levels.ts';

export const logScopes: LogScopes = {
  process: 'ztunnel',
  names: [
    'access',
    'admin',
    'certificates',
    'data',
    'data.dns',
    'data.pool',
    'discovery',
    'holder',
    'metrics',
    'pods',
    'readiness',
    'trust',
    'zds',
  ],
};
