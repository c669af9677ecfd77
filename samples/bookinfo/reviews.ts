/** reviews: two reviews of each book. v1 shows no stars; v2 and v3 ask ratings, and paint them black or red. */
import type { IncomingHttpHeaders } from 'node:http';
import { getJson, json, notFound, podName, serve, type Handler } from './service.ts';

export interface ReviewsOptions {
  readonly version: string;
  /** `http://ratings:9080` */
  readonly ratingsUrl: string;
}

const colors: Readonly<Record<string, string>> = { v2: 'black', v3: 'red' };

const texts = [
  { reviewer: 'Reviewer1', text: 'An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!' },
  {
    reviewer: 'Reviewer2',
    text: 'Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by Shakespeare.',
  },
];

export function createReviews(options: ReviewsOptions): Handler {
  return async ({ method, path, headers }) => {
    if (path === '/health') return json({ status: 'Reviews is healthy' });
    const id = /^\/reviews\/(\d+)$/.exec(path)?.[1];
    if (method !== 'GET' || id === undefined) return notFound;
    const rating = await ratingsOf(id, headers, options);
    const reviews = texts.map((review) => ({ ...review, ...rating(review.reviewer) }));
    return json({ id, podname: podName, clustername: 'null', reviews });
  };
}

/** What to add to the review of each reviewer. */
async function ratingsOf(
  id: string,
  headers: IncomingHttpHeaders,
  { version, ratingsUrl }: ReviewsOptions,
): Promise<(reviewer: string) => object> {
  const color = colors[version];
  if (color === undefined) return () => ({});
  try {
    const { ratings } = (await getJson(`${ratingsUrl}/ratings/${id}`, { headers })) as {
      ratings: Record<string, number>;
    };
    return (reviewer) => ({ rating: { stars: ratings[reviewer] ?? -1, color } });
  } catch (error) {
    console.error(`Cannot get ratings: ${String(error)}`);
    return () => ({ rating: { error: 'Ratings service is currently unavailable' } });
  }
}

if (import.meta.main) {
  const version = process.argv[2] ?? process.env['SERVICE_VERSION'] ?? 'v1';
  const host = process.env['RATINGS_HOSTNAME'] ?? 'ratings';
  serve(`reviews-${version}`, createReviews({ version, ratingsUrl: `http://${host}:9080` }));
}
