/** The admin port. On loopback alone: who reaches it may end the process. */
import { serveProfile, type ProfileSource } from './profiles.ts';
import type { LogLevels } from './log-levels.ts';
import { dashboard, type AdminPage } from './dashboard.ts';
import {
  answer,
  serveHttp,
  writePieces,
  type EndpointOptions,
  type HttpExchange,
  type RunningEndpoint,
} from './http-server.ts';

/** One page of the port. */
export interface Page extends AdminPage {
  readonly serve: (exchange: HttpExchange) => Promise<void> | void;
}

export interface AdminOptions extends Omit<EndpointOptions, 'host'> {
  /** Of the process, as in `ztunnel`. */
  readonly name: string;
  readonly version: string;
  /** Besides the first one, which lists them. */
  readonly pages: readonly Page[];
}

/** Rejects with `admin.listen-failed`. */
export function serveAdmin(options: AdminOptions): Promise<RunningEndpoint> {
  const pages: Page[] = [
    {
      path: '/',
      method: 'GET',
      does: 'this page',
      serve: ({ response }) =>
        answer(response, 200, dashboard(options, pages), { 'content-type': 'text/html; charset=utf-8' }),
    },
    ...options.pages,
  ];
  return serveHttp({ ...options, host: '127.0.0.1' }, (exchange) => {
    const { request, response, url } = exchange;
    // A page of somebody else's, brought here by a name that suddenly points to loopback, says so in its Host header.
    if (!isLocalHost(request.headers.host)) return answer(response, 403, 'only for localhost\n');
    const page = pages.find(({ path }) => path === url.pathname);
    if (!page) return answer(response, 404, 'not found\n');
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (request.method !== page.method && !(page.method === 'GET' && isRead))
      return answer(response, 405, `use ${page.method}\n`, { allow: page.method });
    return page.serve(exchange);
  });
}

/** The JSON text of what the process knows, in pieces. */
export function dumpPage(does: string, dump: () => Promise<AsyncIterable<string>>): Page {
  return {
    path: '/config_dump',
    method: 'GET',
    does,
    async serve({ response }) {
      const pieces = await dump();
      response.writeHead(200, { 'content-type': 'application/json' });
      await writePieces(pieces, response);
    },
  };
}

export function loggingPage(levels: LogLevels): Page {
  return {
    path: '/logging',
    method: 'POST',
    does: 'list log levels, or change them: ?level=LEVEL|SCOPE:LEVEL,... and ?reset',
    serve: ({ response, url }) => changeLevels(levels, { response, url }),
  };
}

export function quitPage(quit: () => void): Page {
  return {
    path: '/quitquitquit',
    method: 'POST',
    does: 'end the proxy: no new connections, live ones until the deadline',
    serve({ response }) {
      answer(response, 200, 'shutdown now\n');
      quit();
    },
  };
}

/** `name`: of the process, for the names of files. */
export function profilePages(name: string, profiles: ProfileSource): readonly Page[] {
  return [
    {
      path: '/debug/pprof/profile',
      method: 'GET',
      does: 'where processor time goes, for go tool pprof: ?seconds=10, ?format=cpuprofile for Chrome',
      serve: serveProfile(name, 'cpu', profiles),
    },
    {
      path: '/debug/pprof/heap',
      method: 'GET',
      does: 'what was allocated meanwhile and is still held: ?seconds=10, ?format=heapprofile for Chrome',
      serve: serveProfile(name, 'heap', profiles),
    },
  ];
}

function changeLevels(levels: LogLevels, { response, url }: Pick<HttpExchange, 'response' | 'url'>): void {
  const level = url.searchParams.get('level');
  // istioctl sends an empty level to ask what there is.
  const problem = level === null || level === '' ? undefined : levels.check(level);
  if (problem !== undefined) return answer(response, 400, `${problem}\n`);
  if (url.searchParams.has('reset')) levels.reset();
  if (level !== null && level !== '') levels.set(level);
  return answer(response, 200, `current log level is ${levels.describe()}\n`);
}

function isLocalHost(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '').toLowerCase();
  return name === '' || name === 'localhost' || name === '127.0.0.1' || name === '[::1]';
}
