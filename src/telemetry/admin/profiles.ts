/** `/debug/pprof/`: profiles of all threads of the proxy, one at a time. */
import { writePprof, type NamedProfile } from '../pprof.ts';
import type { ProfileKind } from '../profile.ts';
import { answer, type HttpExchange } from './http-server.ts';

/** Profiles every thread for so long; stops early when the signal aborts. */
export type ProfileSource = (
  kind: ProfileKind,
  durationMs: number,
  signal: AbortSignal,
) => Promise<readonly NamedProfile[]>;

const maxSeconds = 300;
/** As upstream's. */
const defaultSeconds = 10;

/** Serves one kind of the process `name`. `?seconds=`, and `?format=cpuprofile` (or heapprofile) for the tools of Chrome, there with `?thread=`. */
export function serveProfile(
  name: string,
  kind: ProfileKind,
  source: ProfileSource,
): (exchange: HttpExchange) => Promise<void> {
  let isBusy = false;
  return async ({ response, url }) => {
    const seconds = Number(url.searchParams.get('seconds') ?? defaultSeconds);
    if (!(seconds > 0 && seconds <= maxSeconds)) {
      return answer(response, 400, `seconds must be above 0 and at most ${maxSeconds}\n`);
    }
    if (isBusy) return answer(response, 409, 'a profile is under way: try again when it is done\n');
    isBusy = true;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const profiles = await source(kind, seconds * 1000, gone.signal);
      if (response.destroyed) return;
      if (!url.searchParams.has('format')) return sendPprof(response, `${name}.${kind}`, profiles);
      const thread = url.searchParams.get('thread') ?? profiles[0]?.thread;
      const found = profiles.find((profile) => profile.thread === thread);
      const known = profiles.map((profile) => profile.thread).join(', ');
      if (!found) return answer(response, 404, `no thread "${thread}": there are ${known}\n`);
      return answer(response, 200, JSON.stringify(found.recorded.profile), {
        'content-type': 'application/json',
        'content-disposition': `attachment; filename="${name}.${kind}profile"`,
      });
    } finally {
      isBusy = false;
    }
  };
}

async function sendPprof(
  response: HttpExchange['response'],
  fileName: string,
  profiles: readonly NamedProfile[],
): Promise<void> {
  answer(response, 200, await writePprof(profiles, Date.now()), {
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="${fileName}.pb.gz"`,
  });
}
