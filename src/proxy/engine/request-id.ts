/** The name of a request in logs and traces. */
import { randomUUID } from 'node:crypto';
import type { RequestHead } from '../../http/message.ts';

/** That of whoever was before us; else a new one, which the backend is told. */
export function requestIdOf(request: RequestHead): string {
  const given = request.headers.get('x-request-id');
  if (given !== undefined && given !== '') return given;
  const id = randomUUID();
  request.headers.set('x-request-id', id);
  return id;
}
