/** The HTML of the product page. */

/** What an upstream gave, or what to say instead. */
export type Part<T> = { readonly status: 200; readonly value: T } | { readonly status: 503; readonly error: string };

export type PageDetails = Readonly<Record<string, string | number>>;

export interface PageReviews {
  readonly podname?: string;
  readonly reviews: readonly {
    readonly reviewer: string;
    readonly text: string;
    readonly rating?: { readonly stars?: number; readonly color?: string; readonly error?: string };
  }[];
}

export interface ProductPage {
  readonly product: { readonly title: string; readonly descriptionHtml: string };
  readonly details: Part<PageDetails>;
  readonly reviews: Part<PageReviews>;
  readonly user: string | undefined;
}

const shown: readonly (readonly [label: string, field: string])[] = [
  ['Type', 'type'],
  ['Pages', 'pages'],
  ['Publisher', 'publisher'],
  ['Language', 'language'],
  ['ISBN-10', 'ISBN-10'],
  ['ISBN-13', 'ISBN-13'],
];

const style =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}.columns{display:flex;gap:3rem}.columns>section{flex:1}.error{color:#a00}blockquote{margin:0 0 1.5rem}';

export function startPage(): string {
  return layout(
    'Bookinfo',
    '<h1>Bookinfo</h1><p>A sample application of four services.</p><p><a href="/productpage">The product page</a></p>',
  );
}

export function productPage({ product, details, reviews, user }: ProductPage): string {
  const signIn =
    user === undefined
      ? '<form method="post" action="/login"><input name="username" placeholder="User name"> <button>Sign in</button></form>'
      : `<p>${escape(user)} (<a href="/logout">sign out</a>)</p>`;
  return layout(
    product.title,
    `${signIn}<h1>${escape(product.title)}</h1><p>Summary: ${product.descriptionHtml}</p><div class="columns"><section>${detailsHtml(details)}</section><section>${reviewsHtml(reviews)}</section></div>`,
  );
}

function detailsHtml(details: Part<PageDetails>): string {
  if (details.status !== 200) return errorHtml('Error fetching product details!', details.error);
  const rows = shown.map(([label, field]) => `<dt>${label}</dt><dd>${escape(String(details.value[field] ?? ''))}</dd>`);
  return `<h2>Book Details</h2><dl>${rows.join('')}</dl>`;
}

function reviewsHtml(reviews: Part<PageReviews>): string {
  if (reviews.status !== 200) return errorHtml('Error fetching product reviews!', reviews.error);
  const quotes = reviews.value.reviews.map(
    ({ reviewer, text, rating }) =>
      `<blockquote><p>${escape(text)}</p><small>${escape(reviewer)}</small>${ratingHtml(rating)}</blockquote>`,
  );
  return `<h2>Book Reviews</h2>${quotes.join('')}<p>Reviews served by: ${escape(reviews.value.podname ?? '')}</p>`;
}

function ratingHtml(rating: PageReviews['reviews'][number]['rating']): string {
  if (!rating) return '';
  if (rating.stars === undefined) return `<p class="error"><i>${escape(rating.error ?? '')}</i></p>`;
  const stars = Math.max(0, Math.min(5, Math.trunc(rating.stars)));
  return `<div style="color:${rating.color === 'red' ? 'red' : 'black'}">${'★'.repeat(stars)}${'☆'.repeat(5 - stars)}</div>`;
}

function errorHtml(title: string, text: string): string {
  return `<div class="error"><h2>${title}</h2><p>${escape(text)}</p></div>`;
}

function layout(title: string, content: string): string {
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title><style>${style}</style></head><body>${content}</body></html>\n`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
