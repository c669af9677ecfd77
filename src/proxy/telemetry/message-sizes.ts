/** Sizes of requests and answers as Istio's histograms count them: heads and bodies. */
import type { HeaderList } from '../../http/header-list.ts';
import type { HttpRun } from '../engine/http-run.ts';

/** `:method`, `:scheme`, `:path`, `:authority` */
const requestNames = 7 + 7 + 5 + 10;
/** `:status` and its three digits */
const statusField = 7 + 3;

export function requestBytes({ request, bytesReceived }: HttpRun): number {
  const { method, scheme, path, authority, headers } = request;
  const line = requestNames + method.length + scheme.length + path.length + authority.length;
  return line + fieldBytes(headers) + bytesReceived;
}

/** 0 where there was no answer. */
export function responseBytes({ responseHead, bytesSent }: HttpRun): number {
  return responseHead ? statusField + fieldBytes(responseHead.headers) + bytesSent : bytesSent;
}

function fieldBytes({ fields }: HeaderList): number {
  let sum = 0;
  for (let i = 0; i < fields.length; i++) sum += (fields[i] as string).length;
  return sum;
}
