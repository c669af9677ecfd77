/** TLS of a listener. */
import { flag, list, oneOf, record, text, type JsonSchema } from '../../schema/schema.ts';
import { about, nullable, ruledAtMostOne } from './field.ts';

const version = oneOf('TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3');

/** Two: one RSA, one ECDSA. */
function upToTwo(items: JsonSchema): JsonSchema {
  return { type: 'array', minItems: 1, maxItems: 2, items };
}

const settings = record({
  httpsRedirect: about('Whether HTTP clients are sent to HTTPS.', flag),
  mode: about(
    'Who ends TLS, and whether clients must show a certificate.',
    oneOf('PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'),
  ),
  serverCertificate: about('File with the certificate of the server.', text),
  privateKey: about('File with its key.', text),
  caCertificates: about('File with the certificates to check clients by.', text),
  caCrl: about('File with revoked certificates of clients.', text),
  credentialName: about(
    'Secret with certificate, key and, where clients need one, the certificates to check them by.',
    text,
  ),
  credentialNames: about('Such Secrets, one for each type of key.', upToTwo(text)),
  caCertCredentialName: about('Secret or ConfigMap with the certificates to check clients by.', text),
  tlsCertificates: about(
    'Files with certificates, one for each type of key.',
    upToTwo(
      record({
        serverCertificate: about('File with the certificate of the server.', text),
        privateKey: about('File with its key.', text),
        caCertificates: about('File with the certificates to check clients by.', text),
      }),
    ),
  ),
  subjectAltNames: about('Names, one of which the certificate of a client must have.', list(text)),
  insecureSkipVerify: about('Whether any certificate of a client will do.', nullable(flag)),
  verifyCertificateSpki: about('SHA-256 in base64 of public keys, one of which a client must have.', list(text)),
  verifyCertificateHash: about('SHA-256 in hex of certificates, one of which a client must have.', list(text)),
  minProtocolVersion: about('Oldest version of TLS; 1.2 if nothing is said.', version),
  maxProtocolVersion: about('Newest version of TLS.', version),
  cipherSuites: about('Ciphers, before TLS 1.3.', list(text)),
});

export const serverTls: JsonSchema = [
  ['tlsCertificates', 'credentialNames'],
  ['credentialName', 'credentialNames'],
  ['credentialName', 'tlsCertificates'],
].reduce((schema, names) => ruledAtMostOne(schema, ...names), settings);
