/** productpage: joins details and reviews into a page, and into JSON under /api/v1/products. */
import type { IncomingHttpHeaders } from 'node:http';
import { productPage, startPage, type PageDetails, type PageReviews, type Part } from './page.ts';
import { getJson, json, notFound, serve, type Answer, type Asked, type Handler } from './service.ts';

export interface ProductPageOptions {
  readonly detailsUrl: string;
  readonly reviewsUrl: string;
  readonly ratingsUrl: string;
}

const product = {
  id: 0,
  title: 'The Comedy of Errors',
  descriptionHtml:
    '<a href="https://en.wikipedia.org/wiki/The_Comedy_of_Errors">Wikipedia Summary</a>: The Comedy of Errors is one of <b>William Shakespeare\'s</b> early plays. It is his shortest and one of his most farcical comedies, with a major part of the humour coming from slapstick and mistaken identity, in addition to puns and word play.',
};

export function createProductPage(options: ProductPageOptions): Handler {
  const details = (headers: IncomingHttpHeaders): Promise<Part<PageDetails>> =>
    fetchPart<PageDetails>(`${options.detailsUrl}/details/${product.id}`, headers, 'details');
  const reviews = (headers: IncomingHttpHeaders): Promise<Part<PageReviews>> =>
    fetchPart<PageReviews>(`${options.reviewsUrl}/reviews/${product.id}`, headers, 'reviews');

  return async (asked) => {
    const { path, method } = asked;
    const headers = withUser(asked.headers);
    switch (path) {
      case '/health':
        return { status: 200, body: 'Product page is healthy' };
      case '/':
      case '/index.html':
        return { status: 200, body: startPage() };
      case '/productpage': {
        const [known, opinions] = await Promise.all([details(headers), reviews(headers)]);
        return {
          status: 200,
          body: productPage({ product, details: known, reviews: opinions, user: userOf(asked.headers) }),
        };
      }
      case '/login':
        return method === 'POST' ? login(asked) : notFound;
      case '/logout':
        return redirect({ 'set-cookie': 'user=; Max-Age=0; Path=/' });
      case '/api/v1/products':
        return json([product]);
      case '/api/v1/products/0': {
        const [known, opinions] = await Promise.all([details(headers), reviews(headers)]);
        return json({ ...product, ...body(known), reviews: body(opinions) }, known.status);
      }
      case '/api/v1/products/0/reviews':
        return reviews(headers).then((part) => json(body(part), part.status));
      case '/api/v1/products/0/ratings':
        return fetchPart<object>(`${options.ratingsUrl}/ratings/${product.id}`, headers, 'ratings').then((part) =>
          json(body(part), part.status),
        );
      default:
        return notFound;
    }
  };
}

/** One upstream's share of the page. Its failure is shown there; the page itself still comes. */
async function fetchPart<T extends object>(url: string, headers: IncomingHttpHeaders, what: string): Promise<Part<T>> {
  try {
    return { status: 200, value: (await getJson(url, { headers })) as T };
  } catch (error) {
    console.error(`Cannot get ${what}: ${String(error)}`);
    return { status: 503, error: `Sorry, product ${what} are currently unavailable for this book.` };
  }
}

function body(part: Part<object>): object {
  return part.status === 200 ? part.value : { error: part.error };
}

async function login({ body: read }: Asked): Promise<Answer> {
  const user = new URLSearchParams(await read()).get('username') ?? '';
  return redirect({ 'set-cookie': `user=${encodeURIComponent(user)}; HttpOnly; Path=/` });
}

function redirect(headers: Record<string, string>): Answer {
  return { status: 302, body: '', headers: { location: '/productpage', ...headers } };
}

/** Routes by user (`end-user`) start here. */
function withUser(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const user = userOf(headers);
  return user === undefined ? headers : { ...headers, 'end-user': user };
}

function userOf({ cookie = '' }: IncomingHttpHeaders): string | undefined {
  const value = /(?:^|;\s*)user=([\w.%-]+)/.exec(cookie)?.[1];
  try {
    return value === undefined ? undefined : decodeURIComponent(value);
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const url = (name: string): string => `http://${process.env[`${name.toUpperCase()}_HOSTNAME`] ?? name}:9080`;
  serve(
    'productpage',
    createProductPage({ detailsUrl: url('details'), reviewsUrl: url('reviews'), ratingsUrl: url('ratings') }),
  );
}
