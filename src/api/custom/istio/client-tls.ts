/** TLS towards a host. */
import { flag, list, oneOf, record, text, type JsonSchema } from '../../schema/schema.ts';
import { about, nullable } from './field.ts';

export const clientTls: JsonSchema = record({
  mode: about('Whether TLS is used, and with which certificate.', oneOf('DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL')),
  clientCertificate: about('File with the certificate of the client.', text),
  privateKey: about('File with its key.', text),
  caCertificates: about(
    'File with the certificates to check the server by; system for those of the operating system.',
    text,
  ),
  caCrl: about('File with revoked certificates.', text),
  credentialName: about('Secret with all of these.', text),
  subjectAltNames: about('Names, one of which the certificate of the server must have.', list(text)),
  sni: about('Server name to send.', text),
  insecureSkipVerify: about('Whether any certificate will do.', nullable(flag)),
});
