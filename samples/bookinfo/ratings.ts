/** ratings: stars by reviewer, kept in memory; `POST /ratings/ID` sets them. */
import { json, notFound, serve, type Handler } from './service.ts';

export function createRatings(): Handler {
  const stored = new Map<string, Record<string, number>>();
  return async ({ method, path, body }) => {
    if (path === '/health') return json({ status: 'Ratings is healthy' });
    const id = /^\/ratings\/(\d+)$/.exec(path)?.[1];
    if (id === undefined) return notFound;
    if (method === 'POST') {
      const ratings = tryParseRatings(await body());
      if (!ratings) return json({ error: 'please provide valid ratings JSON' }, 400);
      stored.set(id, ratings);
    }
    return json({ id: Number(id), ratings: stored.get(id) ?? { Reviewer1: 5, Reviewer2: 4 } });
  };
}

function tryParseRatings(text: string): Record<string, number> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const stars = Object.entries(value);
    return stars.every(([, count]) => typeof count === 'number')
      ? Object.fromEntries(stars as [string, number][])
      : undefined;
  } catch {
    return undefined;
  }
}

if (import.meta.main) serve('ratings', createRatings());
