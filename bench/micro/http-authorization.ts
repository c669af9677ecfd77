/** `node bench/micro/http-authorization.ts`: nanoseconds of CPU of authorizing one request against ten policies, medians of several rounds. */
import type { AttributeMatch, HttpAuthorization, TextMatch } from '../../src/api/l7/index.ts';
import { spiffeId } from '../../src/api/names.ts';
import { parseCidr } from '../../src/lib/ip.ts';
import { compileHttpAuthorization } from '../../src/policy/http-authorization.ts';
import type { RequestFacts } from '../../src/policy/http-facts.ts';

const rounds = 15;
const count = 100_000;
const facts = (i: number): RequestFacts => ({
  connection: {
    sourceAddress: `10.244.1.${i & 255}`,
    sourceIdentity: spiffeId('cluster.local', 'web', 'front'),
    destinationAddress: '10.96.0.9',
    destinationPort: 80,
    sni: undefined,
  },
  remoteAddress: `10.244.1.${i & 255}`,
  request: {
    method: 'GET',
    scheme: 'http',
    authority: 'reviews.default.svc.cluster.local:9080',
    path: `/reviews/${i & 1023}?page=2`,
    headers: {
      fields: ['accept', '*/*', 'user-agent', 'curl/8', 'x-request-id', 'a-b-c', 'x-role', 'user', 'cookie', 'k=v'],
    },
  },
  token: {
    issuer: 'https://issuer.example',
    subject: 'alice',
    audiences: ['shop'],
    presenter: 'app',
    claims: { groups: ['dev', 'ops'] },
  },
});

const text = (match: TextMatch): AttributeMatch['values'] => [{ kind: 'text', match }];
const is = (attribute: AttributeMatch['attribute'], values: AttributeMatch['values']): AttributeMatch => ({
  attribute,
  values,
  notValues: [],
});
const policy = (
  name: string,
  action: HttpAuthorization['action'],
  rules: HttpAuthorization['rules'],
): HttpAuthorization => ({
  kind: 'authorization',
  name: `shop/${name}`,
  origin: { kind: 'AuthorizationPolicy', namespace: 'shop', name, generation: 1 },
  action,
  dryRun: false,
  rules,
});
const when = (...matches: AttributeMatch[]): HttpAuthorization['rules'] => [{ from: [], to: [], when: matches }];
const block = (cidr: string): AttributeMatch => is({ kind: 'source-ip' }, [{ kind: 'cidr', cidr: parseCidr(cidr) }]);
const path = (prefix: string): AttributeMatch => is({ kind: 'path' }, text({ kind: 'prefix', value: prefix }));

/** Five that forbid and do not match, five that allow, of which the last matches. */
const ten = [
  policy('d1', 'deny', when(path('/admin'))),
  policy('d2', 'deny', when(block('192.168.0.0/16'))),
  policy('d3', 'deny', when(is({ kind: 'header', name: 'x-role' }, text({ kind: 'exact', value: 'guest' })))),
  policy('d4', 'deny', when(is({ kind: 'path' }, [{ kind: 'path-template', value: '/reviews/{*}/raw/{**}' }]))),
  policy('d5', 'deny', when(is({ kind: 'host' }, text({ kind: 'suffix', value: '.internal' })))),
  policy('a1', 'allow', when(is({ kind: 'source-namespace' }, text({ kind: 'exact', value: 'ops' })))),
  policy('a2', 'allow', when(is({ kind: 'source-principal' }, text({ kind: 'suffix', value: '/sa/back' })))),
  policy('a3', 'allow', when(is({ kind: 'claim', path: ['groups'] }, text({ kind: 'exact', value: 'admins' })))),
  policy('a4', 'allow', when(is({ kind: 'method' }, text({ kind: 'exact', value: 'POST' })), path('/reviews'))),
  policy('a5', 'allow', [
    {
      from: [[is({ kind: 'source-principal' }, text({ kind: 'exact', value: 'cluster.local/ns/web/sa/front' }))]],
      to: [[is({ kind: 'method' }, text({ kind: 'exact', value: 'GET' })), path('/reviews')]],
      when: [],
    },
  ]),
];
const requests = Array.from({ length: 1024 }, (_, i) => facts(i));

measure('ten policies, the last allows', ten);
measure('one ALLOW of a principal', ten.slice(9));
measure('five DENY that do not match', ten.slice(0, 5));

function measure(name: string, policies: readonly HttpAuthorization[]): void {
  const authorizer = compileHttpAuthorization(policies);
  const perCall: number[] = [];
  let allowed = 0;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) {
      const request = requests[i & 1023];
      if (request && authorizer.decide(request).kind === 'allow') allowed++;
    }
    const { user, system } = process.cpuUsage(before);
    perCall.push(((user + system) * 1000) / count);
  }
  if (allowed !== rounds * count) throw new Error(`Cannot measure ${name}: requests were refused`);
  const median = perCall.toSorted((a, b) => a - b)[rounds >> 1] ?? 0;
  console.log(`${name.padEnd(40)} ${median.toFixed(0)} ns`);
}
