/** Where a listener of a Gateway or Sidecar listens. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';
import { checkUnixAddress, isUnix } from './endpoint.ts';
import { isIp } from './hosts.ts';
import { checkProtocol } from './protocol.ts';
import { checkPort } from './values.ts';

/** An IP address with a port, or a unix socket with none. */
export function checkListenerPort(listener: FieldView, found: Findings): void {
  const port = listener.at('port');
  const bind = listener.at('bind');
  const number = port.at('number');
  checkProtocol(port.at('protocol'), found);
  if (isUnix(bind.text)) {
    checkUnixAddress(bind, found);
    if (number.number) found.invalid(number, 'must be 0 when `bind` is a unix socket');
  } else {
    if (bind.text && !isIp(bind.text)) found.invalid(bind, 'must be an IP address, or unix:// and a path');
    if (port.exists && number.number === undefined) found.required(number);
    checkPort(number, found);
  }
  if (port.at('targetPort').number) found.warn(port.at('targetPort'), 'is deprecated and has no effect');
}
