/** `ambit listener-holder`: keeps the pods' listening sockets while there is no ztunnel. Configured by its environment. */
import { messageOf } from '../lib/errors.ts';
import { openLog } from '../lib/log.ts';
import { releaseMemory } from '../net/index.ts';
import { startListenerHolder } from '../ztunnel/holder/listener-holder.ts';

const log = openLog({ scope: 'listener-holder', level: 'info' });

try {
  const path = process.env['LISTENER_HOLDER_SOCKET'] ?? '/var/run/ztunnel/listener-holder.sock';
  const holder = startListenerHolder({ path, log });
  const end = (): void => {
    holder.close();
    process.exit(0);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  releaseMemory();
  log.info('listener holder is ready', { path });
} catch (error) {
  log.error('Cannot run the listener holder', { error: messageOf(error) });
  process.exit(1);
}
