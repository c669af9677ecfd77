/** Faults that a route asks for: a delay, then an end (VirtualService `fault`). */
import type { FaultInjection } from '../../../api/l7/index.ts';
import { HeaderList } from '../../../http/header-list.ts';
import type { FilterKind, LocalReply } from '../../engine/filter.ts';

const name = 'fault';

export const faultFilter: FilterKind = {
  name,
  reads: [],
  build({ services: { clock, random } }) {
    // One object of ours in `run.state` per delayed request: what ends its delay.
    const delays = {};
    return {
      name,
      onRequest(run) {
        const fault = run.route?.fault;
        if (!fault) return undefined;
        const delay = fault.delay && isDrawn(fault.delay.percent, random) ? fault.delay.ms : 0;
        // Drawn by itself, so that each percentage holds whatever the other is.
        const reply = abortOf(fault, random);
        if (delay === 0) return reply;
        run.addFlag('DI');
        return new Promise((resolve) => {
          const cancel = clock.after(delay, () => resolve(reply));
          run.state.set(delays, () => {
            cancel();
            resolve(undefined);
          });
        });
      },
      onFinish(run) {
        const end = run.route?.fault && run.state.get(delays);
        if (typeof end === 'function') end();
      },
    };
  },
};

/** `percent` 0 to 100. Exact to far less than a millionth: `random` gives 53 bits. */
function isDrawn(percent: number, random: () => number): boolean {
  return percent >= 100 || (percent > 0 && random() * 100 < percent);
}

function abortOf({ abort }: FaultInjection, random: () => number): LocalReply | undefined {
  if (!abort || !isDrawn(abort.percent, random)) return undefined;
  const { httpStatus, grpcStatus } = abort;
  return {
    status: httpStatus ?? (grpcStatus === undefined ? 503 : statusOfGrpc(grpcStatus)),
    ...(grpcStatus === undefined ? {} : { headers: new HeaderList(['grpc-status', String(grpcStatus)]) }),
    body: 'fault filter abort',
    flag: 'FI',
    details: 'fault_filter_abort',
    reason: 'the route ends requests on purpose (fault injection)',
  };
}

/** Of clients that do not speak gRPC. */
function statusOfGrpc(status: number): number {
  switch (status) {
    case 0:
      return 200;
    case 1:
      return 499;
    case 3:
    case 9:
    case 11:
      return 400;
    case 4:
      return 504;
    case 5:
      return 404;
    case 6:
    case 10:
      return 409;
    case 7:
      return 403;
    case 8:
      return 429;
    case 12:
      return 501;
    case 14:
      return 503;
    case 16:
      return 401;
    default:
      return 500;
  }
}
