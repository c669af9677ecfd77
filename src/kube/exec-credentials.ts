/** Credentials from a command (client-go credential plugins): run when needed, kept until they expire or are refused. */
import { spawn } from 'node:child_process';
import { systemClock, type Clock } from '../lib/clock.ts';
import { AmbitError, codeOf, messageOf } from '../lib/errors.ts';
import type { Credential, CredentialSource } from './access.ts';
import type { ExecConfig } from './exec-config.ts';

export interface ExecCredentialsOptions {
  /** What the command inherits; the stanza's own variables go on top. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly isInteractive?: boolean;
  readonly clock?: Clock;
  /** The command is killed after this long; default 60 s, as it may open a browser for its user. */
  readonly timeoutMs?: number;
}

const maxOutputBytes = 1024 * 1024;
/** What is kept of standard error, for the message. */
const maxErrorBytes = 2048;

/** Concurrent calls share one run. `get` throws `kube.exec-credential`. */
export function createExecCredentials(config: ExecConfig, options: ExecCredentialsOptions = {}): CredentialSource {
  const { clock = systemClock } = options;
  let kept: { readonly credential: Credential; readonly expiresAtMs: number } | undefined;
  let running: Promise<Credential> | undefined;
  return {
    async get(refused) {
      // Somebody else's 401 may have been for what was replaced since.
      const isRefused = refused !== undefined && kept !== undefined && isSame(kept.credential, refused);
      if (kept && !isRefused && clock.nowMs() < kept.expiresAtMs) return kept.credential;
      running ??= (async () => {
        try {
          kept = readExecCredential(await runPlugin(config, options), config);
          return kept.credential;
        } finally {
          running = undefined;
        }
      })();
      return running;
    },
  };
}

function isSame(a: Credential, b: Credential): boolean {
  return a.token === b.token && a.clientCertPem === b.clientCertPem;
}

/** Runs the command; resolves with what it wrote. */
function runPlugin(config: ExecConfig, options: ExecCredentialsOptions): Promise<string> {
  const { command, args, interactiveMode } = config;
  const isInteractive = interactiveMode !== 'Never' && options.isInteractive === true;
  if (interactiveMode === 'Always' && !isInteractive) {
    throw failure(
      config,
      `"${command}" wants to ask somebody (interactiveMode Always), and standard input is no terminal`,
    );
  }
  const info = {
    apiVersion: config.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: isInteractive, ...(config.cluster ? { cluster: config.cluster } : {}) },
  };
  const env = {
    ...options.env,
    ...Object.fromEntries(config.env.map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: JSON.stringify(info),
  };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env,
      // A plugin that asks somebody writes its questions there.
      stdio: [isInteractive ? 'inherit' : 'ignore', 'pipe', isInteractive ? 'inherit' : 'pipe'],
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL',
    });
    const output: Buffer[] = [];
    let size = 0;
    let complaint = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxOutputBytes) child.kill('SIGKILL');
      else output.push(chunk);
    });
    child.stderr?.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-maxErrorBytes)));
    child.once('error', (error) => {
      const hint = config.installHint ? `. ${config.installHint}` : '';
      const what = codeOf(error) === 'ENOENT' ? `"${command}" was not found${hint}` : messageOf(error);
      reject(failure(config, what, error));
    });
    child.once('close', (code, signal) => {
      if (size > maxOutputBytes) return reject(failure(config, `"${command}" wrote more than ${maxOutputBytes} bytes`));
      if (signal)
        return reject(failure(config, `"${command}" was ended by ${signal}: it took too long, or somebody killed it`));
      if (code !== 0) return reject(failure(config, `"${command}" ended with code ${code}: ${complaint.trim()}`));
      resolve(Buffer.concat(output).toString('utf8'));
    });
  });
}

interface ExecCredential {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly status?: {
    readonly token?: unknown;
    readonly clientCertificateData?: unknown;
    readonly clientKeyData?: unknown;
    readonly expirationTimestamp?: unknown;
  };
}

function readExecCredential(
  output: string,
  config: ExecConfig,
): { readonly credential: Credential; readonly expiresAtMs: number } {
  const fail = (what: string): AmbitError => failure(config, `the answer of "${config.command}" ${what}`);
  let answer: ExecCredential | null;
  try {
    answer = JSON.parse(output) as ExecCredential | null;
  } catch {
    // The answer holds secrets: no part of it is shown.
    throw fail('is no JSON');
  }
  if (answer?.kind !== 'ExecCredential') throw fail('is no ExecCredential');
  if (answer.apiVersion !== config.apiVersion) throw fail(`is not of apiVersion ${config.apiVersion}`);
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp: expires } = answer.status ?? {};
  if ((cert === undefined) !== (key === undefined)) throw fail('has a certificate or a key without the other');
  if (token === undefined && cert === undefined) throw fail('holds neither token nor certificate');
  const text = (value: unknown): string | undefined => {
    if (value === undefined || (typeof value === 'string' && value !== '')) return value;
    throw fail('holds a credential that is no text');
  };
  const tokenText = text(token);
  const certPem = text(cert);
  const keyPem = text(key);
  const expiresAtMs = expires === undefined || expires === null ? Infinity : Date.parse(text(expires) ?? '');
  if (Number.isNaN(expiresAtMs)) throw fail('has an expirationTimestamp that is no time');
  return {
    credential: {
      ...(tokenText === undefined ? {} : { token: tokenText }),
      ...(certPem === undefined || keyPem === undefined ? {} : { clientCertPem: certPem, clientKeyPem: keyPem }),
    },
    expiresAtMs,
  };
}

function failure(config: ExecConfig, what: string, cause?: unknown): AmbitError {
  return new AmbitError(config.fail(what).message, { code: 'kube.exec-credential', blame: 'downstream', cause });
}
