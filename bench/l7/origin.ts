/** The application behind the L7 proxies: nginx that answers 256 bytes with six headers, HTTP/1.1 and HTTP/2. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild, type Child } from '../lib/child.ts';
import { untilListening } from '../lib/listening.ts';

export async function startOrigin(options: {
  readonly dir: string;
  readonly port: number;
  readonly core: number;
}): Promise<Child> {
  const body = 'x'.repeat(256);
  // The next port speaks HTTP/2 without TLS.
  return startNginx({
    ...options,
    name: 'origin',
    server: `listen 127.0.0.1:${options.port} backlog=4096; listen 127.0.0.1:${options.port + 1} http2 backlog=4096;
    location / {
      default_type text/plain;
      add_header x-one 1; add_header x-two 2; add_header cache-control no-store;
      return 200 "${body}";
    }`,
  });
}

/** The reference: what nginx spends on the same hop, without policy, metrics or log. */
export function startNginxProxy(options: {
  readonly dir: string;
  readonly port: number;
  readonly originPort: number;
  readonly core: number;
}): Promise<Child> {
  return startNginx({
    ...options,
    name: 'proxy',
    upstream: `upstream origin { server 127.0.0.1:${options.originPort}; keepalive 128; keepalive_requests 1000000000; }`,
    server: `listen 127.0.0.1:${options.port} backlog=4096;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }`,
  });
}

async function startNginx(options: {
  readonly dir: string;
  readonly name: string;
  readonly port: number;
  readonly core: number;
  readonly server: string;
  readonly upstream?: string;
}): Promise<Child> {
  const { name, port, core, server, upstream = '' } = options;
  const dir = join(options.dir, `nginx-${name}`);
  mkdirSync(dir, { recursive: true });
  const path = join(dir, 'nginx.conf');
  writeFileSync(
    path,
    `daemon off; master_process off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log crit;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; tcp_nodelay on;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  ${upstream}
  server { ${server} }
}
`,
  );
  const child = startChild({ command: 'nginx', args: ['-p', dir, '-c', path], core });
  await Promise.race([untilListening(port), child.waitFor('never')]);
  return child;
}
