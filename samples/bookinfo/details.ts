/** details: what is known of a book. */
import { json, notFound, serve, type Handler } from './service.ts';

export const details: Handler = ({ method, path }) => {
  if (path === '/health') return json({ status: 'Details is healthy' });
  const id = /^\/details\/(\d+)$/.exec(path)?.[1];
  if (method !== 'GET' || id === undefined) return notFound;
  return json({
    id: Number(id),
    author: 'William Shakespeare',
    year: 1595,
    type: 'paperback',
    pages: 200,
    publisher: 'PublisherA',
    language: 'English',
    'ISBN-10': '1234567890',
    'ISBN-13': '123-1234567890',
  });
};

if (import.meta.main) serve('details', details);
