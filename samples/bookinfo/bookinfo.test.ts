import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { details } from './details.ts';
import { createProductPage } from './productpage.ts';
import { createRatings } from './ratings.ts';
import { createReviews } from './reviews.ts';
import { createService, type Handler } from './service.ts';

/** Nobody listens there. */
const nowhere = 'http://127.0.0.1:1';

async function listen(t: TestContext, handler: Handler): Promise<string> {
  t.mock.method(console, 'log', () => undefined);
  t.mock.method(console, 'error', () => undefined);
  const server = createService('test', handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function get(url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { headers: { connection: 'close', ...headers } });
  return { status: response.status, text: await response.text() };
}

describe('bookinfo', () => {
  it('joins details, reviews and ratings', async (t) => {
    const ratingsUrl = await listen(t, createRatings());
    const reviewsUrl = await listen(t, createReviews({ version: 'v3', ratingsUrl }));
    const page = await listen(t, createProductPage({ detailsUrl: await listen(t, details), reviewsUrl, ratingsUrl }));
    const html = await get(`${page}/productpage`);
    assert.equal(html.status, 200);
    assert.match(html.text, /The Comedy of Errors.*123-1234567890.*color:red">★★★★★.*color:red">★★★★☆/s);
    const joined = JSON.parse((await get(`${page}/api/v1/products/0`)).text) as {
      author: string;
      reviews: { reviews: { rating: unknown }[] };
    };
    assert.equal(joined.author, 'William Shakespeare');
    assert.deepEqual(
      joined.reviews.reviews.map(({ rating }) => rating),
      [
        { stars: 5, color: 'red' },
        { stars: 4, color: 'red' },
      ],
    );
    assert.equal((await get(`${page}/api/v1/products/1`)).status, 404);
  });

  it('shows no stars in v1, black ones in v2', async (t) => {
    const ratingsUrl = await listen(t, createRatings());
    const read = async (version: string): Promise<string> =>
      (await get(`${await listen(t, createReviews({ version, ratingsUrl }))}/reviews/0`)).text;
    assert.ok(!(await read('v1')).includes('rating"'));
    assert.ok((await read('v2')).includes('"color":"black"'));
  });

  it('says what is unavailable, and still serves the page', async (t) => {
    const alone = await listen(t, createProductPage({ detailsUrl: nowhere, reviewsUrl: nowhere, ratingsUrl: nowhere }));
    const html = await get(`${alone}/productpage`);
    assert.equal(html.status, 200);
    assert.ok(html.text.includes('Sorry, product details are currently unavailable for this book.'));
    assert.ok(html.text.includes('Sorry, product reviews are currently unavailable for this book.'));
    const reviewsUrl = await listen(t, createReviews({ version: 'v2', ratingsUrl: nowhere }));
    const page = await listen(
      t,
      createProductPage({ detailsUrl: await listen(t, details), reviewsUrl, ratingsUrl: nowhere }),
    );
    assert.ok((await get(`${page}/productpage`)).text.includes('Ratings service is currently unavailable'));
    assert.equal((await get(`${page}/api/v1/products/0/ratings`)).status, 503);
  });

  it('hands on the signed-in user and the trace', async (t) => {
    const seen: unknown[] = [];
    const reviewsUrl = await listen(t, ({ headers }) => {
      seen.push([headers['end-user'], headers['traceparent'], headers['x-other']]);
      return { status: 200, body: { reviews: [] } };
    });
    const page = await listen(t, createProductPage({ detailsUrl: nowhere, reviewsUrl, ratingsUrl: nowhere }));
    await get(`${page}/productpage`, { cookie: 'user=jason', traceparent: '00-1-2-01', 'x-other': 'kept back' });
    assert.deepEqual(seen, [['jason', '00-1-2-01', undefined]]);
    const login = await fetch(`${page}/login`, {
      method: 'POST',
      body: 'username=jason',
      redirect: 'manual',
      headers: { connection: 'close' },
    });
    assert.equal(login.status, 302);
    assert.match(login.headers.get('set-cookie') ?? '', /^user=jason;/);
  });

  it('takes new ratings, but only numbers', async (t) => {
    const url = `${await listen(t, createRatings())}/ratings/7`;
    const post = (body: string): Promise<Response> =>
      fetch(url, { method: 'POST', body, headers: { connection: 'close' } });
    assert.equal((await post('{"Reviewer1":"many"}')).status, 400);
    assert.equal((await post('{"Reviewer1":1}')).status, 200);
    assert.deepEqual(JSON.parse((await get(url)).text), { id: 7, ratings: { Reviewer1: 1 } });
  });
});
