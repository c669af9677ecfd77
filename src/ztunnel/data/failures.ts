/** How failures are told: to metrics as a flag, to people with what to look at. */
import { codeOf, messageOf } from '../../lib/errors.ts';
import { HboneRefusedError } from '../../hbone/index.ts';
import { hbonePort } from '../ports.ts';
import type { ResponseFlags } from './traffic.ts';

/** What is known of the connection that failed. */
export interface FailureContext {
  readonly direction: 'inbound' | 'outbound';
  readonly protocol: 'HBONE' | 'TCP';
  /** `ip:port` that was dialled, or that took the connection. */
  readonly actualDst: string;
}

interface Failure {
  readonly flags: ResponseFlags;
  /** What to look at, where the message alone does not say it. Never anything that came over the wire. */
  readonly hint?: string | ((context: FailureContext, error: unknown) => string | undefined);
}

const notIssued =
  "the control plane must be reachable on port 15012 and know the pod: see 'ambit ztunnel-config certificates'";
const clocks = "compare the clocks of both nodes, and see 'ambit ztunnel-config certificates'";
const blocked = `a NetworkPolicy or firewall may block port ${hbonePort}, or the pod is gone`;
const tlsRefused = 'the log of the other end says why it refused';

/** By code, as specific as it is known; a code's first part stands for all that are not listed. */
const failures: Readonly<Record<string, Failure>> = {
  policy: { flags: 'DENY' },
  'outbound.registry-only': { flags: 'DENY' },

  identity: { flags: 'TLS_FAILURE' },
  'identity.unavailable': { flags: 'IDENTITY_ERROR', hint: notIssued },
  'identity.not-issued': { flags: 'IDENTITY_ERROR', hint: notIssued },
  'identity.given-up': { flags: 'IDENTITY_ERROR', hint: notIssued },
  'identity.bad-answer': { flags: 'IDENTITY_ERROR', hint: "the control plane's certificate is not what was asked for" },
  'identity.revoked': { flags: 'CERT_REVOKED' },
  'identity.expired': { flags: 'TLS_FAILURE', hint: `it was not renewed, or a clock is wrong: ${clocks}` },
  'identity.not-yet-valid': { flags: 'TLS_FAILURE', hint: `a clock is wrong: ${clocks}` },
  'identity.unknown-authority': {
    flags: 'TLS_FAILURE',
    hint: "the two ends trust different roots: compare them by 'ambit ztunnel-config certificates'",
  },
  'identity.not-trusted': {
    flags: 'TLS_FAILURE',
    hint: "the two ends trust different roots: compare them by 'ambit ztunnel-config certificates'",
  },
  'identity.no-certificate': { flags: 'TLS_FAILURE', hint: 'who calls is not part of the mesh' },
  'identity.unexpected-identity': {
    flags: 'TLS_FAILURE',
    hint: 'the address may belong to another pod by now, or its service account has changed',
  },
  'identity.handshake-failed': { flags: 'TLS_FAILURE', hint: tlsRefused },
  'identity.timeout': { flags: 'TLS_FAILURE', hint: 'what answers there may not speak TLS' },

  h2: { flags: 'H2_HANDSHAKE_FAILURE' },
  hbone: { flags: 'CONNECT' },
  'hbone.dial-timeout': { flags: 'NETWORK_POLICY', hint: blocked },
  'hbone.refused': { flags: 'CONNECT', hint: refusedByPeer },

  net: { flags: 'CONNECT' },
  'net.connection-refused': { flags: 'CONNECT', hint: refused },
  'net.connect-timeout': { flags: 'CONNECT', hint: unanswered },
  'net.unreachable': { flags: 'CONNECT', hint: 'there is no route: the pod may be gone' },
};

const unknown: Failure = { flags: 'CONNECT' };

/** The response flag of what kept a connection from being established. */
export function flagsOf(error: unknown): ResponseFlags {
  return failureOf(error).flags;
}

/** The response flag of what cut an established connection: `-` but for policies and revoked certificates. */
export function flagsOfCut(error: unknown): ResponseFlags {
  const { flags } = failureOf(error);
  return flags === 'DENY' || flags === 'CERT_REVOKED' ? flags : '-';
}

/** The message of an error with what to look at. One line. */
export function describeFailure(error: unknown, context: FailureContext): string {
  const message = messageOf(error);
  const { hint } = failureOf(error);
  if (hint === undefined) return message;
  const text = typeof hint === 'string' ? hint : hint(context, error);
  if (text === undefined) return message;
  // Some messages say it themselves.
  return message.includes('NetworkPolicy') && text.includes('NetworkPolicy') ? message : `${message}: ${text}`;
}

function failureOf(error: unknown): Failure {
  const codes = codesOf(error);
  const cause = codes.at(-1) ?? '';
  // A tunnel that nobody answers; what dialled it only knows that nobody answered.
  if (cause === 'net.connect-timeout' && codes.length > 1 && codes[0]?.startsWith('hbone.') === true) {
    return failures['hbone.dial-timeout'] ?? unknown;
  }
  return failures[cause] ?? failures[cause.slice(0, cause.indexOf('.'))] ?? unknown;
}

/** The pool wraps what its dial threw: the innermost code says what really happened. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    const code = codeOf(current);
    // Node's own have no dot.
    if (code?.includes('.') === true) codes.push(code);
    current = current.cause;
  }
  return codes;
}

function refused({ direction, protocol, actualDst }: FailureContext): string {
  if (direction === 'outbound' && protocol === 'HBONE') {
    return `no ztunnel takes connections there: is the pod still part of the mesh, is the ztunnel of its node up?`;
  }
  if (direction === 'outbound') return `nothing listens on ${actualDst}`;
  return 'the application may listen on localhost only, on another port, or not be up yet';
}

/** A peer of ours gives its reason. */
function refusedByPeer(_context: FailureContext, error: unknown): string | undefined {
  const isTold = error instanceof HboneRefusedError && error.reason !== undefined;
  return isTold ? undefined : "the access log of the destination's ztunnel says why";
}

function unanswered({ direction, protocol }: FailureContext): string {
  if (direction === 'inbound') return 'the application does not take connections: it may be overloaded';
  return protocol === 'HBONE' ? blocked : 'a NetworkPolicy or firewall may block it, or nobody has this address';
}
