/** `ambit port-forward`: ports of this machine that lead into a pod, through the API's `pods/portforward`. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Command } from 'commander';
import { kinds, type Pod } from '../api/index.ts';
import { openPortForward, type KubeClient } from '../kube/index.ts';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { formatHostPort } from '../lib/ip.ts';
import {
  collect,
  contextOption,
  kubeconfigOption,
  openCluster,
  stateOption,
  usageError,
  type CliContext,
  type ClusterOptions,
} from './context.ts';
import { findPod, parseTarget, type PodTarget } from './find-pod.ts';

interface PortForwardCliOptions extends ClusterOptions {
  readonly namespace: string;
  readonly address?: readonly string[];
}

interface PortPair {
  /** 0: a free one. */
  readonly local: number;
  /** Number, or the name of a port of the Service or container. */
  readonly remote: string;
}

export function portForwardCommand(context: CliContext): Command {
  return new Command('port-forward')
    .description('lead ports of this machine into a pod')
    .usage('[options] POD|deploy/NAME|svc/NAME [LOCAL:]REMOTE...')
    .argument('<pod>', 'POD, deploy/NAME or svc/NAME')
    .argument('<ports...>', '[LOCAL:]REMOTE, by number or name; :REMOTE takes a free local port')
    .option('-n, --namespace <ns>', 'namespace of the pod', 'default')
    .option('--address <ip>', 'listen on this address (repeatable; default: 127.0.0.1)', collect)
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addHelpText(
      'after',
      '\nIt runs until it is interrupted. Of a Service or Deployment it takes one pod that runs, and another one when that is gone.\nThe ports of a Service are its own.\nExamples:\n  ambit port-forward svc/productpage 8080:9080\n  ambit port-forward deploy/reviews-v1 :9080',
    )
    .action(async (word: string, ports: readonly string[], options: PortForwardCliOptions) => {
      const target = parseTarget(word, ['pod', 'deploy', 'svc']);
      const pairs = ports.map(parsePair);
      const client = openCluster(context, options);
      try {
        await forward(context, client, { target, pairs, options });
      } finally {
        await client.close();
      }
    });
}

/** `80`, `8080:80`, `:80`, `8080:http`. Throws `cli.usage`. */
function parsePair(text: string): PortPair {
  const [, local, remote = ''] = /^(?:(\d*):)?([a-z\d][a-z\d-]*)$/i.exec(text) ?? [];
  const isNumber = /^\d+$/.test(remote);
  const pair = { local: local === undefined ? (isNumber ? Number(remote) : 0) : Number(local), remote };
  if (remote === '' || pair.local > 65_535 || (isNumber && (Number(remote) < 1 || Number(remote) > 65_535)))
    throw usageError(`"${text}" is no port: write REMOTE, LOCAL:REMOTE or :REMOTE`);
  return pair;
}

interface Forwarding {
  readonly target: PodTarget;
  readonly pairs: readonly PortPair[];
  readonly options: PortForwardCliOptions;
}

/** Resolves when the command is interrupted. */
async function forward(context: CliContext, client: KubeClient, { target, pairs, options }: Forwarding): Promise<void> {
  const destination = new Destination(client, target, options.namespace);
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  try {
    for (const pair of pairs) {
      // A port that is not there is an error now, not at the first connection.
      const { pod, port } = await destination.find(pair.remote);
      for (const host of options.address ?? ['127.0.0.1']) {
        const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
          sockets.add(socket);
          socket.on('close', () => sockets.delete(socket));
          socket.on('error', () => socket.destroy());
          join(socket, destination, pair.remote).catch((error: unknown) => {
            socket.destroy();
            if (!context.signal.aborted) context.err.write(`ambit: ${messageOf(error)}\n`);
          });
        });
        await listen(server, host, pair.local);
        servers.push(server);
        const here = formatHostPort(host, (server.address() as AddressInfo).port);
        context.out.write(`Forwarding ${here} to port ${port} of ${options.namespace}/${pod}\n`);
      }
    }
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve();
      context.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    for (const server of servers) server.close();
    for (const socket of sockets) socket.destroy();
  }
}

/** Joins a connection with one into the pod, each direction until its end; rejects when there is none to have, or it fails. */
async function join(socket: Socket, destination: Destination, remote: string): Promise<void> {
  const stream = await destination.open(remote);
  socket.on('close', () => stream.destroy());
  if (socket.destroyed) return void stream.destroy();
  socket.pipe(stream);
  stream.pipe(socket);
  await new Promise<void>((resolve, reject) => {
    stream.on('error', reject);
    stream.on('close', resolve);
    stream.on('end', resolve);
  });
}

/** The pod that connections go to: kept while it answers, chosen anew when it does not. */
class Destination {
  readonly #client: KubeClient;
  readonly #target: PodTarget;
  readonly #namespace: string;
  #pod: Pod | undefined;

  constructor(client: KubeClient, target: PodTarget, namespace: string) {
    this.#client = client;
    this.#target = target;
    this.#namespace = namespace;
  }

  async find(remote: string): Promise<{ pod: string; port: number }> {
    this.#pod ??= await findPod(this.#client, this.#target, this.#namespace);
    const port = await this.#portOf(this.#pod, remote);
    return { pod: this.#pod.metadata.name ?? '', port };
  }

  async open(remote: string): ReturnType<typeof openPortForward> {
    const isKnown = this.#pod !== undefined;
    try {
      return await openPortForward(this.#client, { namespace: this.#namespace, ...(await this.find(remote)) });
    } catch (error) {
      this.#pod = undefined;
      if (!isKnown) throw error;
      return openPortForward(this.#client, { namespace: this.#namespace, ...(await this.find(remote)) });
    }
  }

  async #portOf(pod: Pod, remote: string): Promise<number> {
    const number = Number(remote);
    if (this.#target.kind !== 'svc') return Number.isInteger(number) ? number : containerPort(pod, remote);
    const { ports = [] } = (await this.#client.get(kinds.Service, this.#target.name, this.#namespace)).spec ?? {};
    const found = ports.find((each) => each.name === remote || each.port === number);
    if (!found) {
      const known = ports.map(({ port, name }) => (name === undefined ? String(port) : `${port} (${name})`));
      throw noPort(`svc/${this.#target.name}`, remote, known);
    }
    const targetPort = found.targetPort ?? found.port;
    return typeof targetPort === 'number' ? targetPort : containerPort(pod, targetPort);
  }
}

function containerPort(pod: Pod, name: string): number {
  for (const container of pod.spec.containers) {
    const found = container.ports?.find((port) => port.name === name);
    if (found) return found.containerPort;
  }
  const known = pod.spec.containers.flatMap(({ ports }) => ports?.flatMap((port) => port.name ?? []) ?? []);
  throw noPort(`pod/${pod.metadata.name}`, name, known);
}

function noPort(of: string, remote: string, known: readonly string[]): AmbitError {
  const has = known.length === 0 ? '' : `: it has ${known.join(', ')}`;
  return new AmbitError(`No port "${remote}" in ${of}${has}`, { code: 'cli.no-port', blame: 'downstream' });
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new AmbitError(`Cannot listen on ${formatHostPort(host, port)}: ${messageOf(error)}`, {
          code: 'cli.listen',
          blame: 'downstream',
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}
