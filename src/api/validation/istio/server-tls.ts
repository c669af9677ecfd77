/** TLS of a listener: one source of certificates, and what the mode needs of it. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';

const clientModes = ['MUTUAL', 'OPTIONAL_MUTUAL'];
const fileFields = ['serverCertificate', 'privateKey', 'caCertificates'];
const credentialFields = ['credentialName', 'credentialNames', 'tlsCertificates'];
const clientChecks = ['subjectAltNames', 'verifyCertificateSpki', 'verifyCertificateHash'];

/** Before TLS 1.3: names as OpenSSL and BoringSSL write them. */
const ciphers: ReadonlySet<string> = new Set([
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-PSK-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-PSK-AES128-CBC-SHA',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'ECDHE-PSK-AES256-CBC-SHA',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA',
  'AES256-SHA',
  'PSK-AES128-CBC-SHA',
  'PSK-AES256-CBC-SHA',
  'DES-CBC3-SHA',
]);

export function checkServerTls(tls: FieldView, found: Findings): void {
  if (!tls.exists) return;
  checkCiphers(tls, found);
  checkRevocation(tls, found);
  const mode = tls.at('mode').text ?? 'PASSTHROUGH';
  const given = [...fileFields, ...credentialFields].filter((field) => isGiven(tls.at(field)));
  switch (mode) {
    case 'PASSTHROUGH':
    case 'AUTO_PASSTHROUGH':
      for (const field of given) found.warn(tls.at(field), `is ignored: ${mode} does not end TLS`);
      return;
    case 'ISTIO_MUTUAL':
      for (const field of given)
        found.forbidden(
          tls.at(field),
          "may not be set with mode ISTIO_MUTUAL, which uses the gateway's own certificate",
        );
      return;
    default:
      checkCertificates(tls, mode, found);
  }
}

function checkCertificates(tls: FieldView, mode: string, found: Findings): void {
  const files = isGiven(tls.at('serverCertificate')) || isGiven(tls.at('privateKey'));
  const sources = [
    ...credentialFields.filter((field) => isGiven(tls.at(field))),
    ...(files ? ['serverCertificate'] : []),
  ];
  const [first, ...more] = sources;
  if (first === undefined)
    found.required(tls, `${mode} needs a certificate: set credentialName, or serverCertificate and privateKey`);
  for (const field of more)
    found.forbidden(tls.at(field), `may not be set together with \`${first}\`: name one source of certificates`);
  if (files) {
    for (const field of ['serverCertificate', 'privateKey']) {
      if (!tls.at(field).text) found.required(tls.at(field), 'serverCertificate and privateKey go together');
    }
  }
  for (const field of ['credentialNames', 'tlsCertificates']) {
    const items = tls.at(field).items();
    if (items.length > 2)
      found.invalid({ ...tls.at(field), value: items.length }, 'may have at most two items: one RSA, one ECDSA');
  }
  for (const pair of tls.at('tlsCertificates').items()) {
    for (const field of ['serverCertificate', 'privateKey']) if (!pair.at(field).text) found.required(pair.at(field));
  }
  const byFile = first === 'serverCertificate' || first === 'tlsCertificates';
  const hasCa =
    Boolean(tls.at('caCertificates').text) ||
    Boolean(tls.at('caCertCredentialName').text) ||
    tls
      .at('tlsCertificates')
      .items()
      .some((pair) => pair.at('caCertificates').text);
  if (clientModes.includes(mode) && byFile && !hasCa) {
    found.required(tls.at('caCertificates'), `${mode} with files needs the certificates to check clients by`);
  }
  if (mode === 'SIMPLE') {
    for (const field of clientChecks) {
      if (isGiven(tls.at(field))) found.warn(tls.at(field), 'is ignored: with SIMPLE, clients show no certificate');
    }
  }
}

function checkCiphers(tls: FieldView, found: Findings): void {
  const seen = new Set<string>();
  for (const cipher of tls.at('cipherSuites').items()) {
    // Groups of equal preference: [A|B].
    const names = (cipher.text ?? '').replace(/^\[(.*)\]$/, '$1').split('|');
    for (const name of names) {
      if (!ciphers.has(name)) found.warn(cipher, `is ignored: ${JSON.stringify(name)} is no cipher suite`);
      else if (seen.has(name)) found.warn(cipher, `is ignored: ${JSON.stringify(name)} is named twice`);
      seen.add(name);
    }
  }
  const [min, max] = [tls.at('minProtocolVersion'), tls.at('maxProtocolVersion')];
  if (min.text === 'TLSV1_0' || min.text === 'TLSV1_1')
    found.warn(min, 'allows versions of TLS that are known to be weak, and needs cipherSuites of theirs');
  // As text, the versions are in their order.
  if (min.text?.startsWith('TLSV') && max.text?.startsWith('TLSV') && min.text > max.text) {
    found.invalid(max, 'must not be older than minProtocolVersion');
  }
}

function checkRevocation(tls: FieldView, found: Findings): void {
  const list = tls.at('caCrl');
  if (!list.text) return;
  if (isGiven(tls.at('credentialName')) || isGiven(tls.at('credentialNames'))) {
    found.forbidden(list, 'may not be set together with `credentialName`: put the list into the Secret');
  }
  if (tls.at('mode').text === 'SIMPLE')
    found.forbidden(list, 'may not be set with mode SIMPLE, in which clients show no certificate');
}

function isGiven(view: FieldView): boolean {
  return Array.isArray(view.value) ? view.value.length > 0 : Boolean(view.text);
}
