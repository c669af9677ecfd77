/** TLS towards a host: certificates that the mode needs, and none that it would ignore. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';

const files = ['clientCertificate', 'privateKey', 'caCertificates', 'caCrl'];

export function checkClientTls(tls: FieldView, found: Findings): void {
  if (!tls.exists) return;
  const mode = tls.at('mode').text;
  const own = mode === 'SIMPLE' || mode === 'MUTUAL';
  if (tls.at('insecureSkipVerify').boolean && own) {
    for (const field of ['caCertificates', 'subjectAltNames', 'caCrl']) {
      if (isGiven(tls.at(field)))
        found.forbidden(tls.at(field), 'may not be set while insecureSkipVerify is true, which checks nothing');
    }
  }
  if (own && tls.at('credentialName').text) {
    for (const field of files) {
      if (isGiven(tls.at(field)))
        found.forbidden(tls.at(field), 'may not be set together with `credentialName`: the Secret has it all');
    }
    return;
  }
  if (mode === 'MUTUAL') {
    for (const field of ['clientCertificate', 'privateKey']) {
      if (!tls.at(field).text)
        found.required(tls.at(field), 'MUTUAL needs clientCertificate and privateKey, or credentialName');
    }
  }
  if (mode === 'ISTIO_MUTUAL') {
    for (const field of [...files, 'credentialName']) {
      if (isGiven(tls.at(field)))
        found.warn(tls.at(field), "is ignored: ISTIO_MUTUAL uses the workload's own certificate");
    }
  }
}

function isGiven(view: FieldView): boolean {
  return Array.isArray(view.value) ? view.value.length > 0 : Boolean(view.text);
}
