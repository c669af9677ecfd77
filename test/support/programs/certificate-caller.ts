/**
 * Asks a certificate authority to sign, as each question says, and answers with the chain or the refusal.
 * Arguments: ADDRESS SERVER_NAME ROOT_CERT_FILE.
 */
import { codeOf, messageOf } from '../../../src/lib/errors.ts';
import { createRpcChannel } from '../../../src/rpc/index.ts';
import { createCertificateMethod } from '../../../src/wire/index.ts';
import { answerQuestions } from '../conversation.ts';

export interface CertificateQuestion {
  readonly csrPem: string;
  /** Absent: no token is sent. */
  readonly tokenPath?: string;
  /** Absent: the caller's own. */
  readonly impersonatedIdentity?: string;
  /** Base64 of what is sent instead of the request message. */
  readonly rawMessage?: string;
}

export type CertificateAnswer =
  | { readonly chain: readonly string[] }
  | { readonly code: string; readonly message: string };

const [, , address = '', tlsServerName = '', rootCertPath = ''] = process.argv;

await answerQuestions(async (question: CertificateQuestion): Promise<CertificateAnswer> => {
  const { tokenPath, rawMessage, ...request } = question;
  const method =
    rawMessage === undefined
      ? createCertificateMethod
      : {
          ...createCertificateMethod,
          request: { ...createCertificateMethod.request, encode: () => Buffer.from(rawMessage, 'base64') },
        };
  const channel = createRpcChannel({
    address,
    tlsServerName,
    rootCertPath,
    metadata: { clusterid: 'Kubernetes' },
    ...(tokenPath === undefined ? {} : { tokenPath }),
  });
  try {
    return await channel.unary(
      method,
      { ...request, validitySeconds: 3600 },
      { signal: new AbortController().signal, timeoutMs: 30_000 },
    );
  } catch (error) {
    return { code: codeOf(error) ?? '', message: messageOf(error) };
  } finally {
    channel.close();
  }
});
