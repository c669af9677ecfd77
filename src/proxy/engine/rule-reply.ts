/** What a rule answers by itself, and what no rule is there for. Pure. */
import type { HttpRule, WeightedDestination } from '../../api/l7/index.ts';
import { redirectLocation, type PickedRule } from '../../decision/routes/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { RequestHead } from '../../http/message.ts';
import { noRoute } from './failure-reply.ts';
import type { LocalReply } from './filter.ts';

/** Undefined: the rule forwards the request. `port`: that the client connected to. */
export function replyOfRule(
  picked: PickedRule | undefined,
  request: RequestHead,
  port: number,
): LocalReply | undefined {
  if (!picked || (request.method === 'CONNECT' && request.upgrade === undefined)) return noRoute;
  if (request.upgrade !== undefined && request.upgrade !== 'websocket') {
    return {
      status: 403,
      flag: '',
      details: 'upgrade_failed',
      reason: `upgrading to ${request.upgrade} is not allowed`,
    };
  }
  const { action } = picked.rule;
  switch (action.kind) {
    case 'respond':
      return {
        status: action.status,
        ...(action.body === undefined ? {} : { body: action.body }),
        ...(action.contentType === undefined ? {} : { contentType: action.contentType }),
        flag: '',
        details: 'direct_response',
        reason: '',
      };
    case 'redirect': {
      const { scheme, authority, path } = request;
      const location = redirectLocation({ scheme, authority, path, port }, action, picked.match);
      const headers = new HeaderList(['location', location]);
      return { status: action.status, headers, flag: '', details: 'direct_response', reason: '' };
    }
    case 'forward':
      return undefined;
  }
}

/** Of a rule whose destination is invalid, or that has none with a weight. */
export function replyWithoutDestination(rule: HttpRule, destination: WeightedDestination | undefined): LocalReply {
  const invalid = destination?.target.kind === 'invalid' ? destination.target : undefined;
  return {
    status: invalid?.status ?? 500,
    // GRPCRoute: UNAVAILABLE.
    headers: new HeaderList(['grpc-status', '14']),
    flag: invalid?.status === 503 ? 'NC' : '',
    details: invalid ? 'cluster_not_found' : 'no_destination',
    reason: invalid?.reason ?? `rule ${rule.name} has no destination with a weight`,
  };
}
