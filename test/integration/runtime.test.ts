import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { kinds, type Container, type Pod } from '../../src/api/index.ts';
import {
  createService,
  eventually,
  insideTestTimeoutMs,
  isInside,
  isRoot,
  isReady,
  openTestCluster,
  runInside,
  type TestCluster,
} from './runtime-cluster.ts';

const sh = (script: string): string[] => ['sh', '-c', script];
const one = (command: string[], more: Partial<Container> = {}): { containers: Container[] } => ({
  containers: [{ name: 'main', image: 'none', command, ...more }],
});
/** An HTTP server that answers with what `answer` (a JavaScript expression of `request`) gives. */
const server = (answer: string, port = 8080): string[] => [
  process.execPath,
  '-e',
  `require('node:http').createServer((request, response) => response.end(String(${answer}))).listen(${port})`,
];
const folders = ['/dev', '/etc', '/var', '/opt', '/srv', '/usr', '/usr/bin', '/root', '/home', '/'];
const lookAtHost = (): string =>
  JSON.stringify(
    folders.map((folder) => {
      try {
        return [folder, statSync(folder).mtimeMs, readdirSync(folder)];
      } catch {
        // Not ours to read in a user namespace.
        return [folder];
      }
    }),
  );
const ended = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

if (!isInside) {
  describe('the pod runtime', { timeout: 2 * insideTestTimeoutMs }, () => {
    for (const asUser of isRoot ? [false, true] : [true]) {
      test(
        `works ${asUser ? 'in a user namespace' : 'as root'}, and leaves the host as it was`,
        { timeout: insideTestTimeoutMs },
        async () => {
          const hosts = readFileSync('/etc/hosts', 'utf8');
          const host = lookAtHost();
          const { code, output } = await runInside(import.meta.filename, { asUser });
          equal(code, 0, output);
          equal(lookAtHost(), host);
          equal(readFileSync('/etc/hosts', 'utf8'), hosts);
        },
      );
    }
  });
} else {
  describe('the pod runtime, inside', { timeout: 570_000 }, () => {
    let cluster: TestCluster;
    before(async () => {
      cluster = await openTestCluster({ nodes: 2 });
    });
    after(async () => {
      await cluster?.[Symbol.asyncDispose]();
    });
    /** Runs a pod to its end and gives its log. */
    const runPod = async (
      name: string,
      ...rest: Parameters<TestCluster['startPod']> extends [string, ...infer R] ? R : never
    ): Promise<string> => {
      const [spec, options] = rest;
      await cluster.startPod(name, { restartPolicy: 'Never', ...spec }, options);
      await cluster.podIs(name, 'an end', ended);
      return cluster.log(name);
    };

    test('a pod runs, has an address, becomes Ready, and goes without a trace', async () => {
      await cluster.startPod('plain', one(sh('echo hello; hostname; ip -4 -o addr show eth0; exec sleep 100')));
      const pod = await cluster.podIs('plain', 'Ready', isReady);
      equal(pod.status?.phase, 'Running');
      match(pod.status?.podIP ?? '', /^10\.244\.1\.\d+$/);
      equal(pod.status?.hostIP, '172.30.1.1');
      ok(existsSync(`/run/netns/${pod.metadata.uid}`));
      const log = await eventually('the log', async () => {
        const text = await cluster.log('plain');
        return text.includes(`${pod.status?.podIP}/32`) ? text : undefined;
      });
      match(log, /^hello\nplain\n/);
      await cluster.removePod('plain');
      ok(!existsSync(`/run/netns/${pod.metadata.uid}`));
      ok(!existsSync(`/run/ambit/node-1/pods/${pod.metadata.uid}`));
    });

    test('what a pod writes stays in the pod', async () => {
      const before = lookAtHost();
      const script = folders
        .map((folder) => `echo x >${folder === '/' ? '' : folder}/written-by-a-pod || echo refused ${folder}`)
        .join('\n');
      const log = await runPod(
        'writer',
        one(
          sh(
            `echo 6.6.6.6 evil >>/etc/hosts\n${script}\ncat /etc/hosts; rm -rf /usr/bin/perl; rm -f /dev/null; mkdir /dev/null; ls /etc | head -3`,
          ),
        ),
      );
      match(log, /6\.6\.6\.6 evil/);
      // In a user namespace the host's deeper folders belong to nobody.
      ok(!log.replace('refused /usr/bin\n', '').includes('refused'), log);
      equal(lookAtHost(), before);
      ok(!readFileSync('/etc/hosts', 'utf8').includes('evil'));
    });

    test('a pod that dies in its set-up never runs its command', async () => {
      const before = lookAtHost();
      await cluster.startPod('broken', {
        ...one(sh('echo x >/etc/written-by-a-pod'), { workingDir: '/etc/hosts/nowhere' }),
        restartPolicy: 'Never',
      });
      const pod = await cluster.podIs('broken', 'Failed', (each) => each.status?.phase === 'Failed');
      const state = pod.status?.containerStatuses?.[0]?.state?.terminated;
      equal(state?.reason, 'StartError');
      match(state?.message ?? '', /'\/etc\/hosts'/);
      equal(lookAtHost(), before);
    });

    test('a mount that fails ends the container before its command', async () => {
      await cluster.startPod('unmountable', {
        ...one(sh('echo ran'), { volumeMounts: [{ name: 'a', mountPath: '/proc/self/mountinfo/x' }] }),
        volumes: [{ name: 'a', emptyDir: {} }],
        restartPolicy: 'Never',
      });
      const pod = await cluster.podIs('unmountable', 'Failed', (each) => each.status?.phase === 'Failed');
      equal(pod.status?.containerStatuses?.[0]?.state?.terminated?.reason, 'StartError');
      ok(!(await cluster.log('unmountable')).includes('ran'));
    });

    test('a pod sees neither the state folder nor the runtime, and has only its own environment', async () => {
      const log = await runPod(
        'nosy',
        one(
          sh(
            `ls -A ${cluster.stateDir} 2>&1; echo; env; echo; ls /proc | grep -c '^[0-9]'; cat /proc/1/environ | tr '\\0' '\\n'; ls /run`,
          ),
          { env: [{ name: 'OWN', value: 'yes' }] },
        ),
      );
      ok(!log.includes('pki'), log);
      ok(!log.includes('RUNTIME_SECRET'), log);
      match(log, /^OWN=yes$/m);
      match(log, /^PATH=\/usr\/local\/sbin/m);
      ok(!log.includes('netns'), log);
    });

    test('a pod may not change its own network, even if it asks for the right, but has every port', async () => {
      const script = `
        ip link set lo down 2>&1 && echo changed
        echo 1 >/proc/sys/net/ipv4/tcp_migrate_req && echo changed
        grep -E "Cap(Eff|Bnd|Prm|Inh|Amb)|NoNewPrivs" /proc/self/status
        ${process.execPath} -e 'require("node:http").createServer().listen(80, () => { console.log("port 80"); process.exit(); })'`;
      const asked = { securityContext: { privileged: true, capabilities: { add: ['NET_ADMIN', 'NET_RAW'] } } };
      for (const [name, more] of [
        ['meek', {}],
        ['strong', asked],
      ] as const) {
        const log = await runPod(name, one(sh(script), more));
        ok(!log.includes('changed'), log);
        equal(log.match(/^Cap\w+:\t0{16}$/gm)?.length, 5, log);
        match(log, /^NoNewPrivs:\t1$/m);
        match(log, /port 80/);
      }
      const refusal = await eventually('an event', async () => {
        const { items } = await cluster.client.list(kinds.Event, { namespace: 'default' });
        return items.find((each) => each.reason === 'PrivilegesRefused');
      });
      equal(refusal.involvedObject.name, 'strong');
      match(refusal.message ?? '', /\(privileged, NET_ADMIN, NET_RAW\)/);
    });

    test('environment variables come from literals, fields, ConfigMaps and Secrets, and expand', async () => {
      await cluster.client.create(kinds.ConfigMap, {
        metadata: { name: 'conf', namespace: 'default' },
        data: { colour: 'blue', 'a.key': 'dotted' },
      });
      await cluster.client.create(kinds.Secret, {
        metadata: { name: 'hidden', namespace: 'default' },
        data: { word: Buffer.from('sesame').toString('base64') },
      });
      const field = (
        name: string,
        fieldPath: string,
      ): { name: string; valueFrom: { fieldRef: { fieldPath: string } } } => ({
        name,
        valueFrom: { fieldRef: { fieldPath } },
      });
      const log = await runPod(
        'env',
        one(['env', 'ARG=$(WHO)'], {
          envFrom: [{ prefix: 'CONF_', configMapRef: { name: 'conf' } }],
          env: [
            field('NAME', 'metadata.name'),
            field('UID_', 'metadata.uid'),
            field('IP', 'status.podIP'),
            field('NODE', 'spec.nodeName'),
            field('HOST', 'status.hostIP'),
            field('TIER', "metadata.labels['tier']"),
            { name: 'WORD', valueFrom: { secretKeyRef: { name: 'hidden', key: 'word' } } },
            { name: 'NONE', valueFrom: { configMapKeyRef: { name: 'conf', key: 'none', optional: true } } },
            { name: 'WHO', value: '$(NAME) on $(NODE) $$(NAME) $(UNKNOWN)' },
          ],
        }),
        { labels: { tier: 'gold' } },
      );
      match(log, /^CONF_colour=blue$/m);
      match(log, /^CONF_a\.key=dotted$/m);
      match(log, /^NODE=node-1$/m);
      match(log, /^HOST=172\.30\.1\.1$/m);
      match(log, /^IP=10\.244\.1\.\d+$/m);
      match(log, /^TIER=gold$/m);
      match(log, /^WORD=sesame$/m);
      match(log, /^WHO=env on node-1 \$\(NAME\) \$\(UNKNOWN\)$/m);
      match(log, /^ARG=env on node-1 /m);
      ok(!/^NONE=/m.test(log));
    });

    test('volumes hold ConfigMaps, Secrets, tokens, fields and empty space, and follow changes', async () => {
      await cluster.client.create(kinds.ServiceAccount, { metadata: { name: 'worker', namespace: 'default' } });
      await cluster.client.create(kinds.ConfigMap, {
        metadata: { name: 'live', namespace: 'default' },
        data: { 'page.txt': 'one' },
      });
      await cluster.startPod(
        'volumes',
        {
          serviceAccountName: 'worker',
          initContainers: [
            {
              name: 'first',
              image: 'none',
              command: sh('echo from-init >/shared/note'),
              volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
            },
          ],
          containers: [
            {
              name: 'main',
              image: 'none',
              command: sh(
                'cat /shared/note /var/run/fields/labels; cut -d. -f1 /var/run/secrets/tokens/t | base64 -d 2>/dev/null | grep -o RS256 || head -c 3 /var/run/secrets/tokens/t; echo; ls -l /var/run/secrets/tokens/t; cat /single.txt; echo; (echo x >/config/page.txt) 2>&1; ls /config; while ! grep -q two /config/page.txt; do sleep 0.05; done; echo changed; exec sleep 100',
              ),
              volumeMounts: [
                { name: 'shared', mountPath: '/shared' },
                { name: 'config', mountPath: '/config' },
                { name: 'config', mountPath: '/single.txt', subPath: 'page.txt' },
                { name: 'token', mountPath: '/var/run/secrets/tokens' },
                { name: 'fields', mountPath: '/var/run/fields' },
              ],
            },
          ],
          volumes: [
            { name: 'shared', emptyDir: {} },
            { name: 'config', configMap: { name: 'live' } },
            {
              name: 'token',
              projected: {
                sources: [{ serviceAccountToken: { path: 't', audience: 'istio-ca', expirationSeconds: 3600 } }],
                defaultMode: 0o400,
              },
            },
            {
              name: 'fields',
              downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] },
            },
          ],
        },
        { labels: { app: 'volumes' } },
      );
      await cluster.podIs('volumes', 'Ready', isReady);
      const log = await eventually('the listing', async () => {
        const text = await cluster.log('volumes');
        return text.includes('page.txt\n') ? text : undefined;
      });
      match(log, /^from-init\napp="volumes"\n/);
      match(log, /^one$/m);
      match(log, /Read-only file system/);
      await cluster.client.patch(
        kinds.ConfigMap,
        'live',
        'default',
        { data: { 'page.txt': 'two' } },
        { type: 'merge' },
      );
      await eventually('the change', async () =>
        (await cluster.log('volumes')).includes('changed') ? true : undefined,
      );
    });

    test('a pod waits for a ConfigMap and starts when it comes', async () => {
      await cluster.startPod('waiting', {
        ...one(sh('cat /c/k; exec sleep 100'), { volumeMounts: [{ name: 'c', mountPath: '/c' }] }),
        volumes: [{ name: 'c', configMap: { name: 'late' } }],
      });
      await eventually('an event', async () => {
        const { items } = await cluster.client.list(kinds.Event, { namespace: 'default' });
        return items.find((each) => each.reason === 'FailedMount' && each.involvedObject.name === 'waiting');
      });
      await cluster.client.create(kinds.ConfigMap, {
        metadata: { name: 'late', namespace: 'default' },
        data: { k: 'v' },
      });
      await cluster.podIs('waiting', 'Ready', isReady);
    });

    test('a host path that is not there is waited for', async () => {
      const path = `${cluster.stateDir}-data`;
      await cluster.startPod('on-host', {
        ...one(sh('cat /data/f; echo; exec sleep 100'), {
          volumeMounts: [{ name: 'd', mountPath: '/data', readOnly: true }],
        }),
        volumes: [{ name: 'd', hostPath: { path, type: 'Directory' } }],
      });
      await eventually('an event', async () => {
        const { items } = await cluster.client.list(kinds.Event, { namespace: 'default' });
        return items.find((each) => each.reason === 'FailedMount' && each.involvedObject.name === 'on-host');
      });
      mkdirSync(path);
      writeFileSync(join(path, 'f'), 'from the host');
      await cluster.podIs('on-host', 'Ready', isReady);
      await eventually('the file', async () =>
        (await cluster.log('on-host')) === 'from the host\n' ? true : undefined,
      );
      rmSync(path, { recursive: true });
    });

    test('a path inside a volume cannot lead out of it, though a pod makes it a link', async () => {
      const mounts = [{ name: 'v', mountPath: '/v' }];
      await cluster.startPod('leading', {
        initContainers: [
          {
            name: 'link',
            image: 'none',
            command: sh('ln -s ../../../../../../../../etc /v/out; mkdir /v/in'),
            volumeMounts: mounts,
          },
        ],
        containers: [
          {
            name: 'inside',
            image: 'none',
            command: sh('exec sleep 100'),
            volumeMounts: [{ name: 'v', mountPath: '/v', subPath: 'in' }],
          },
          {
            name: 'outside',
            image: 'none',
            command: sh('exec sleep 100'),
            volumeMounts: [{ name: 'v', mountPath: '/v', subPath: 'out' }],
          },
        ],
        restartPolicy: 'Never',
        volumes: [{ name: 'v', emptyDir: {} }],
      });
      const pod = await cluster.podIs('leading', 'one that runs and one that failed', (each) => {
        const [inside, outside] = each.status?.containerStatuses ?? [];
        return inside?.state?.running !== undefined && outside?.state?.terminated !== undefined;
      });
      const [, outside] = pod.status?.containerStatuses ?? [];
      equal(outside?.state?.terminated?.reason, 'StartError');
      match(outside?.state?.terminated?.message ?? '', /leads out of its volume/);
    });

    test('restart policies and back-off are as Kubernetes has them', async () => {
      equal(
        (
          await (async () => {
            await cluster.startPod('once', { ...one(sh('exit 0')), restartPolicy: 'OnFailure' });
            return cluster.podIs('once', 'an end', ended);
          })()
        ).status?.phase,
        'Succeeded',
      );
      await cluster.startPod('crash', one(sh('echo run; echo no money left >/dev/termination-log; exit 3')));
      const pod = await cluster.podIs(
        'crash',
        'CrashLoopBackOff',
        (each) => each.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff',
      );
      equal(pod.status?.containerStatuses?.[0]?.restartCount, 1);
      equal(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 3);
      equal(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.message, 'no money left\n');
      equal(pod.status?.phase, 'Running');
      equal(await cluster.log('crash', 'previous=true'), 'run\n');
    });

    test('init containers and sidecars start in order and stop in reverse, and the pod is Ready with all of them', async () => {
      const note = (text: string): string => `echo ${text} >>/shared/order`;
      const mounts = { volumeMounts: [{ name: 'shared', mountPath: '/shared' }] };
      const sidecar = (name: string): Container => ({
        name,
        image: 'none',
        restartPolicy: 'Always',
        command: sh(
          `trap '${note(`${name} stops`)}; exit 0' TERM; sleep 0.1; ${note(`${name} starts`)}; touch /tmp/up; while :; do sleep 0.05; done`,
        ),
        startupProbe: { exec: { command: ['test', '-e', '/tmp/up'] }, periodSeconds: 1 },
        ...mounts,
      });
      const path = `${cluster.stateDir}-order`;
      await cluster.startPod('ordered', {
        initContainers: [
          { name: 'first', image: 'none', command: sh(note('first')), ...mounts },
          sidecar('one'),
          { name: 'second', image: 'none', command: sh(note('second')), ...mounts },
          sidecar('two'),
        ],
        containers: [
          {
            name: 'main',
            image: 'none',
            command: sh(`trap '${note('main stops')}; exit 0' TERM; ${note('main')}; while :; do sleep 0.05; done`),
            ...mounts,
          },
        ],
        terminationGracePeriodSeconds: 10,
        volumes: [{ name: 'shared', hostPath: { path, type: 'DirectoryOrCreate' } }],
      });
      const pod = await cluster.podIs('ordered', 'Ready', isReady);
      // Ready says that the process runs; it says so itself a moment later.
      const noted = (): string => readFileSync(join(path, 'order'), 'utf8');
      await eventually('the main container', () => noted().includes('main') || undefined);
      deepEqual(
        pod.status?.initContainerStatuses?.map((each) => [each.name, each.started, each.ready]),
        [
          ['first', false, true],
          ['one', true, true],
          ['second', false, true],
          ['two', true, true],
        ],
      );
      ok((pod.status?.observedGeneration ?? 0) >= 1);
      ok(pod.status?.conditions?.every((each) => each.observedGeneration === pod.metadata.generation));
      await cluster.removePod('ordered');
      equal(noted(), 'first\none starts\nsecond\ntwo starts\nmain\nmain stops\ntwo stops\none stops\n');
      rmSync(path, { recursive: true });
    });

    test('a pod that is active for too long fails', async () => {
      await cluster.startPod('late', { ...one(sh('exec sleep 100')), activeDeadlineSeconds: 1 });
      const pod = await cluster.podIs('late', 'an end', ended);
      equal(pod.status?.phase, 'Failed');
      equal(pod.status?.reason, 'DeadlineExceeded');
    });

    test('a container with another image starts again as that', async () => {
      await cluster.startPod('renewed', {
        containers: [{ name: 'main', image: 'test/wait:1' }],
        terminationGracePeriodSeconds: 1,
      });
      await cluster.podIs(
        'renewed',
        'ImagePullBackOff',
        (each) => each.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ImagePullBackOff',
      );
      const setImage = (image: string): Promise<unknown> =>
        cluster.client.patch(
          kinds.Pod,
          'renewed',
          'default',
          { spec: { containers: [{ name: 'main', image }] } },
          { type: 'strategic' },
        );
      await setImage('test/echo:v3');
      await eventually('its output', async () =>
        (await cluster.log('renewed').catch(() => '')).startsWith('from the image table') ? true : undefined,
      );
    });

    test('files of the downward API tell of resources, and a read-only root keeps all but its volumes', async () => {
      const log = await runPod('limited', {
        containers: [
          {
            name: 'main',
            image: 'none',
            command: sh(
              'cat /info/cpu /info/memory; echo; (echo x >/tmp/x) 2>&1; (echo x >/usr/x) 2>&1; (echo x >/x) 2>&1; echo y >/scratch/deep/y; cat /scratch/deep/y; id -u; echo the end >/tmp-end/log',
            ),
            resources: { limits: { cpu: '1500m', memory: '64Mi' } },
            securityContext: { readOnlyRootFilesystem: true, runAsUser: 1234 },
            terminationMessagePath: '/tmp-end/log',
            volumeMounts: [
              { name: 'info', mountPath: '/info' },
              { name: 'scratch', mountPath: '/scratch/deep' },
            ],
          },
        ],
        volumes: [
          {
            name: 'info',
            downwardAPI: {
              items: [
                { path: 'cpu', resourceFieldRef: { containerName: 'main', resource: 'limits.cpu', divisor: '1m' } },
                {
                  path: 'memory',
                  resourceFieldRef: { containerName: 'main', resource: 'limits.memory', divisor: '1Mi' },
                },
              ],
            },
          },
          { name: 'scratch', emptyDir: {} },
        ],
      });
      match(log, /^150064\n/);
      equal(log.match(/Read-only file system/g)?.length, 3, log);
      match(log, /\ny\n1234\n$/);
      const pod = await cluster.client.get(kinds.Pod, 'limited', 'default');
      equal(pod.status?.containerStatuses?.[0]?.state?.terminated?.message, 'the end\n');
    });

    test('an unknown image says which flag to add, a known one runs its command', async () => {
      await cluster.startPod('strange', { containers: [{ name: 'main', image: 'example.com/strange:1' }] });
      const pod = await cluster.podIs(
        'strange',
        'ImagePullBackOff',
        (each) => each.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ImagePullBackOff',
      );
      match(
        pod.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '',
        /--image 'example\.com\/strange:1=COMMAND'/,
      );
      const log = await runPod('echo', {
        containers: [{ name: 'main', image: 'test/echo:v2', args: ['and', 'more'] }],
      });
      equal(log, 'from the image table and more\n');
    });

    test('probes decide readiness and restart what does not live', async () => {
      await cluster.startPod(
        'probed',
        one(
          [
            process.execPath,
            '-e',
            `
        let up = true; require('node:http').createServer((q, r) => { if (q.url === '/down') up = false; r.statusCode = up ? 200 : 503; r.end(q.socket.remoteAddress); }).listen(8080);
      `,
          ],
          {
            ports: [{ name: 'web', containerPort: 8080 }],
            startupProbe: { tcpSocket: { port: 'web' }, periodSeconds: 1, failureThreshold: 20 },
            readinessProbe: { httpGet: { path: '/', port: 'web' }, periodSeconds: 1, failureThreshold: 1 },
            livenessProbe: {
              exec: { command: ['sh', '-c', '! test -e /tmp/sick'] },
              periodSeconds: 1,
              // A slow machine is not sick.
              timeoutSeconds: 30,
              failureThreshold: 1,
            },
          },
        ),
      );
      const pod = await cluster.podIs('probed', 'Ready', isReady);
      const address = `http://${pod.status?.podIP}:8080`;
      // From init's network namespace, by way of the node.
      match(await (await fetch(address)).text(), /172\.30\.0\.1/);
      await fetch(`${address}/down`);
      await cluster.podIs('probed', 'not Ready', (each) => !isReady(each));
      const { pid } = await cluster.container('probed');
      await cluster.exec(pid, 'touch /tmp/sick');
      await cluster.podIs(
        'probed',
        'restarted',
        (each) => each.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(each),
      );
    });

    test('ending a pod gives it its grace, and what ignores it is killed', async () => {
      await cluster.startPod('graceful', {
        ...one(
          sh(
            'echo to the path >/dev/stdout; trap "echo got term; sleep 0.2; echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done',
          ),
          {
            lifecycle: {
              preStop: { exec: { command: ['sh', '-c', 'touch /tmp/hook'] } },
            },
          },
        ),
        terminationGracePeriodSeconds: 60,
      });
      await cluster.startPod('stubborn', {
        ...one(sh('trap "" TERM; echo up; while :; do sleep 0.05; done')),
        terminationGracePeriodSeconds: 1,
      });
      for (const name of ['graceful', 'stubborn']) {
        await cluster.podIs(name, 'Ready', isReady);
        // Ready says that the process runs; its trap is set a moment later.
        await eventually(`the trap of ${name}`, async () => (await cluster.log(name)).endsWith('up\n') || undefined);
      }
      // Its answer has begun when the pods are told to end.
      const { body } = await cluster.client.raw({
        method: 'GET',
        path: '/api/v1/namespaces/default/pods/graceful/log?follow=true',
      });
      const startedMs = Date.now();
      await Promise.all([cluster.removePod('graceful'), cluster.removePod('stubborn')]);
      ok(Date.now() - startedMs >= 900, 'who is given a second has it');
      match(await body.text(), /^to the path\nup\ngot term\nbye\n$/);
    });

    test('pods reach each other, Services and names; a Service without endpoints refuses', async () => {
      const answer = "process.env.HOSTNAME + ' ' + request.socket.remoteAddress";
      await cluster.startPod('web-1', one(server(answer)), { labels: { app: 'web' } });
      await cluster.startPod('web-2', one(server(answer)), { labels: { app: 'web' }, node: 2 });
      const [first, second] = [
        await cluster.podIs('web-1', 'Ready', isReady),
        await cluster.podIs('web-2', 'Ready', isReady),
      ];
      await createService(cluster.client, { name: 'web', port: 80, targetPort: 8080, pods: [first, second] });
      await createService(cluster.client, { name: 'own', port: 80, targetPort: 8080, pods: [first] });
      await createService(cluster.client, { name: 'away', port: 80, targetPort: 8080, pods: [second] });
      await createService(cluster.client, {
        name: 'each',
        port: 8080,
        targetPort: 8080,
        pods: [first, second],
        headless: true,
      });
      await createService(cluster.client, { name: 'empty', port: 80, targetPort: 8080, pods: [] });
      await cluster.startPod('client', one(sh('exec sleep 1000')));
      const client = await cluster.podIs('client', 'Ready', isReady);
      const ask = async (pod: string, url: string): Promise<string> => {
        const { pid } = await cluster.container(pod);
        return cluster.exec(pid, `curl -s -S --max-time 10 ${url} 2>&1 || true`);
      };
      // Until the rules are in.
      await eventually('the Service', async () =>
        (await ask('client', 'http://web')).startsWith('web-') ? true : undefined,
      );
      equal(await ask('client', `http://${second.status?.podIP}:8080`), `web-2 ::ffff:${client.status?.podIP}`);
      const answers = new Set<string>();
      for (let i = 0; i < 20; i++)
        answers.add((await ask('client', 'http://web.default.svc.cluster.local')).split(' ')[0] ?? '');
      equal([...answers].sort().join(), 'web-1,web-2');
      const says = (pod: string, url: string, wanted: RegExp): Promise<true> =>
        eventually(`${wanted} from ${url}`, async () => (wanted.test(await ask(pod, url)) ? true : undefined));
      await says('client', 'http://own', /^web-1 /);
      await says('client', 'http://away', /^web-2 /);
      // A pod that reaches itself through its Service.
      await says('web-1', 'http://own', /^web-1 ::ffff:10\.244\.1\.1$/);
      // Refused: who is not told would hear of a timeout.
      const refused = /Failed to connect to (?![^]*[Tt]ime)/;
      await says('client', 'http://empty', refused);
      await says('client', 'http://each:8080', /^web-/);
      match(await ask('client', 'http://nothing.default.svc.cluster.local'), /Could not resolve/);
      match(await ask('client', 'http://example.com'), /Could not resolve/);
      match(await ask('client', 'http://93.184.216.34'), refused);
      // The API server by its Service.
      match(await ask('client', '-k https://kubernetes.default/version'), /Unauthorized|gitVersion/);
    });

    test('a forwarded port reaches the pod', async () => {
      await cluster.startPod('forwarded', one(server("'over ' + request.method", 9000)));
      await cluster.podIs('forwarded', 'Ready', isReady);
      const text = await eventually('an answer', async () => {
        const found = await cluster.forward(
          'forwarded',
          9000,
          'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
        );
        return found.includes('over GET') ? found : undefined;
      });
      match(text, /^HTTP\/1\.1 200 OK/);
      match(await cluster.forward('forwarded', 9001, 'x'), /error forwarding port 9001/);
    });

    test('static pods run with mirror pods, return when they are killed, and go with their manifest', async () => {
      const manifest = join(cluster.nodes[1]?.manifests ?? '', 'agent.yaml');
      writeFileSync(
        manifest,
        `
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: default, labels: {app: agent}}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: none
    command: [sh, -c, 'echo up; ls /var/run/netns; exec sleep 1000']
    volumeMounts: [{name: netns, mountPath: /var/run/netns, mountPropagation: HostToContainer}]
  volumes: [{name: netns, hostPath: {path: /run/netns}}]
`,
      );
      const pod = await eventually('the mirror', async () => {
        const { items } = await cluster.client.list(kinds.Pod, { namespace: 'default' });
        return items.find((each) => each.metadata.name === 'agent' && isReady(each));
      });
      equal(pod.status?.podIP, '172.30.1.2');
      ok(pod.metadata.annotations?.['kubernetes.io/config.mirror']);
      // A namespace made after the container started appears in it.
      await cluster.startPod('newer', one(sh('exec sleep 100')), { node: 2 });
      const newer = await cluster.podIs('newer', 'Ready', isReady);
      const { pid } = await cluster.container('agent', 2);
      match(
        await cluster.exec(pid, `nsenter --net=/var/run/netns/${newer.metadata.uid} ip -4 -o addr show eth0`),
        /10\.244\.2\./,
      );
      process.kill(pid, 'SIGKILL');
      await cluster.podIs(
        'agent',
        'restarted',
        (each) => each.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(each),
      );
      await cluster.client.delete(kinds.Pod, 'agent', 'default', { gracePeriodSeconds: 0 });
      await eventually('another mirror', async () => {
        const { items } = await cluster.client.list(kinds.Pod, { namespace: 'default' });
        return items.find(
          (each) => each.metadata.name === 'agent' && each.metadata.uid !== pod.metadata.uid && isReady(each),
        );
      });
      rmSync(manifest);
      await cluster.podIsGone('agent');
    });

    test('logs have tails, times and limits, and can be followed', async () => {
      await cluster.startPod(
        'chatty',
        one(
          sh('for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2; printf %040000d 7; echo; sleep 1; echo late'),
        ),
      );
      await cluster.podIs('chatty', 'started', (pod) => pod.status?.phase === 'Running');
      await eventually('the lines', async () => ((await cluster.log('chatty')).includes('oops') ? true : undefined));
      match(await cluster.log('chatty', 'follow=true'), /^line 1\nline 2\n[^]*late\n$/);
      // The one that ended is the previous one as soon as there is another.
      const tail = await eventually('a previous log', () =>
        cluster.log('chatty', 'previous=true&tailLines=1').catch(() => undefined),
      );
      equal(tail, 'late\n');
      const all = await cluster.log('chatty', 'previous=true');
      equal(all.split('\n').find((line) => line.startsWith('000'))?.length, 40_000);
      match(
        await cluster.log('chatty', 'previous=true&timestamps=true&limitBytes=60'),
        /^\d{4}-\d\d-\d\dT[\d:.]+Z line 1\n/,
      );
      equal(await cluster.log('chatty', 'previous=true&limitBytes=9'), 'line 1\nli');
    });

    test('pods run on, and come back when they die, while the API is away', async () => {
      await cluster.startPod('alone', one(server("'here'", 9100)));
      const pod = await cluster.podIs('alone', 'Ready', isReady);
      await cluster.withoutApi(async () => {
        const { pid } = await cluster.container('alone');
        process.kill(pid, 'SIGKILL');
        await eventually('another process', async () => {
          const next = await cluster.container('alone');
          return next.pid !== pid && next.restartCount === 1 ? true : undefined;
        });
        await eventually('an answer', async () => {
          const answer = await fetch(`http://${pod.status?.podIP}:9100`).catch(() => undefined);
          return (await answer?.text()) === 'here' ? true : undefined;
        });
      });
      await cluster.podIs(
        'alone',
        'told of',
        (each) => each.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(each),
      );
    });

    test('killing the runtime ends its containers; the next one starts them again at the same address', async () => {
      await cluster.startPod('survivor', one(sh('exec sleep 1000')), { node: 2 });
      const pod = await cluster.podIs('survivor', 'Ready', isReady);
      const { pid } = await cluster.container('survivor', 2);
      await cluster.nodes[1]?.kill('SIGKILL');
      await eventually('its processes to be gone', () => (existsSync(`/proc/${pid}`) ? undefined : true));
      await cluster.nodes[1]?.start();
      const again = await cluster.podIs(
        'survivor',
        'restarted',
        (each) => each.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(each),
      );
      equal(again.status?.podIP, pod.status?.podIP);
      equal(again.metadata.uid, pod.metadata.uid);
    });

    test('a pod made again under the same name is another pod', async () => {
      await cluster.startPod('again', one(sh('trap "" TERM; while :; do sleep 0.05; done')));
      const first = await cluster.podIs('again', 'Ready', isReady);
      await cluster.client.delete(kinds.Pod, 'again', 'default', { gracePeriodSeconds: 0 });
      await cluster.startPod('again', one(sh('exec sleep 1000')));
      const second = await cluster.podIs('again', 'Ready', isReady);
      ok(first.metadata.uid !== second.metadata.uid);
      await eventually('the first to be gone', () =>
        existsSync(`/run/netns/${first.metadata.uid}`) ? undefined : true,
      );
      equal(isReady(await cluster.client.get(kinds.Pod, 'again', 'default')), true);
    });

    test('fifty pods on one node come up and leave nothing', async () => {
      const names = Array.from({ length: 50 }, (_, i) => `many-${i}`);
      const startedMs = Date.now();
      await Promise.all(
        names.map((name) => cluster.startPod(name, one(sh('exec sleep 1000')), { labels: { app: 'many' } })),
      );
      await eventually('all Ready', async () => {
        const { items } = await cluster.client.list(kinds.Pod, { namespace: 'default', labelSelector: 'app=many' });
        return items.length === 50 && items.every(isReady) ? true : undefined;
      });
      const tookMs = Date.now() - startedMs;
      console.log(`50 pods Ready after ${tookMs} ms`);
      const before = readdirSync('/run/netns').length;
      await Promise.all(
        names.map((name) => cluster.client.delete(kinds.Pod, name, 'default', { gracePeriodSeconds: 0 })),
      );
      await eventually('all gone', async () => (readdirSync('/run/netns').length <= before - 50 ? true : undefined));
    });
  });
}
