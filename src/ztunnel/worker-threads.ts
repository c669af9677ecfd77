/** How many data parts a ztunnel has: as upstream reads it (ambient-l4 section 1.1), with a default of our own. */

type Environment = Readonly<Record<string, string | undefined>>;

/** A quarter of the cores is for the mesh, the others are for what it serves. */
const defaultShare = 0.25;

/**
 * `ZTUNNEL_WORKER_THREADS`: a number, 0 for all cores, or a share of them as `N%`. Otherwise an explicit CPU limit
 * (`ZTUNNEL_RESOURCE_CPU_LIMIT`, or the request where it is larger), rounded up; otherwise the larger of the request and a quarter of the cores. Adds to `problems`.
 */
export function parseWorkerThreads(env: Environment, cores: number, problems: string[]): number {
  const text = env['ZTUNNEL_WORKER_THREADS'];
  const request = parseCpu(env, 'ZTUNNEL_RESOURCE_CPU_REQUEST', problems);
  const limit = parseCpu(env, 'ZTUNNEL_RESOURCE_CPU_LIMIT', problems);
  if (text === undefined || text === '') {
    return Math.max(1, Math.ceil(limit === undefined ? cores * defaultShare : limit), Math.ceil(request ?? 0));
  }
  const share = /^(\d+)%$/.exec(text)?.[1];
  if (share !== undefined && Number(share) > 0) return Math.max(1, Math.ceil((cores * Number(share)) / 100));
  if (/^\d{1,4}$/.test(text)) return Number(text) === 0 ? cores : Number(text);
  problems.push(
    `ZTUNNEL_WORKER_THREADS is "${text}", not a number of threads, 0 for all cores, or a share such as 50%`,
  );
  return 1;
}

/** A Kubernetes quantity of CPU: `2`, `1.5`, `500m`. */
function parseCpu(env: Environment, name: string, problems: string[]): number | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const parts = /^(\d+(?:\.\d+)?)(m?)$/.exec(text);
  if (!parts) problems.push(`${name} is "${text}", not a quantity of CPU such as 500m`);
  return parts ? Number(parts[1]) / (parts[2] === 'm' ? 1000 : 1) : undefined;
}
