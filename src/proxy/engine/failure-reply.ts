/** What a client is told of an upstream that failed: statuses, bodies and flags that people know (ambient-l7, 15.1). */
import { HeaderList } from '../../http/header-list.ts';
import type { UpstreamFailure } from '../upstream/upstream.ts';
import type { LocalReply } from './filter.ts';

export function replyToFailure(failure: UpstreamFailure): LocalReply {
  const { kind, flag, message } = failure;
  const common = { status: 503, flag, reason: message };
  switch (kind) {
    case 'no-backend':
      return { ...common, details: 'cluster_not_found' };
    case 'no-healthy-host':
      return { ...common, body: 'no healthy upstream', details: 'no_healthy_upstream' };
    case 'overflow':
      return {
        ...common,
        headers: new HeaderList(['x-envoy-overloaded', 'true']),
        body: body('overflow'),
        details: 'upstream_reset_before_response_started{overflow}',
      };
    case 'name-not-resolved':
      return { ...common, body: 'DNS resolution failure', details: 'dns_resolution_failure' };
    case 'connect-failure':
    case 'connect-timeout': {
      const reason = kind === 'connect-timeout' ? 'connection timeout' : 'connection failure';
      return {
        ...common,
        body: body(reason),
        details: `upstream_reset_before_response_started{${underscored(reason)}}`,
      };
    }
    case 'connection-termination':
      return {
        ...common,
        body: body('connection termination'),
        details: 'upstream_reset_before_response_started{connection_termination}',
      };
    case 'remote-reset':
      return { ...common, body: body('remote reset'), details: 'upstream_reset_before_response_started{remote_reset}' };
    case 'refused':
      return {
        ...common,
        body: body('remote refused stream reset'),
        details: 'upstream_reset_before_response_started{remote_refused_stream_reset}',
      };
    case 'protocol-error':
      return {
        ...common,
        status: 502,
        body: body('protocol error'),
        details: 'upstream_reset_before_response_started{protocol_error}',
      };
    case 'local-reset':
      return { ...common, body: body('local reset'), details: 'upstream_reset_before_response_started{local_reset}' };
  }
}

function body(reason: string): string {
  return `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`;
}

function underscored(text: string): string {
  return text.replaceAll(' ', '_');
}

export const noRoute: LocalReply = {
  status: 404,
  flag: 'NR',
  details: 'route_not_found',
  reason: 'no route matches the request',
};

export function timeoutReply(timeoutMs: number, perTry: boolean): LocalReply {
  return {
    status: 504,
    body: 'upstream request timeout',
    flag: 'UT',
    details: perTry ? 'upstream_per_try_timeout' : 'response_timeout',
    reason: perTry
      ? `no attempt was answered within the ${timeoutMs} ms that the route gives to each`
      : `there was no answer within the route's timeout of ${timeoutMs} ms`,
  };
}
