import { virtualService } from '../../custom/istio/virtual-service.ts';
import { validateVirtualService } from './virtual-service.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(virtualService, validateVirtualService, {
  fine: {
    'injects faults and retries': {
      hosts: ['reviews'],
      http: [
        {
          route: [{ destination: { host: 'reviews' } }],
          fault: {
            delay: { percentage: { value: 0.1 }, fixedDelay: '5s' },
            abort: { grpcStatus: 'UNAVAILABLE', percentage: { value: 100 } },
          },
          retries: { attempts: 3, perTryTimeout: '2s', retryOn: 'gateway-error,connect-failure,503' },
          timeout: '10s',
          mirrors: [{ destination: { host: 'copy' }, percentage: { value: 50 } }],
        },
      ],
    },
    'changes headers': {
      hosts: ['reviews'],
      http: [
        {
          route: [{ destination: { host: 'reviews' } }],
          headers: {
            request: { set: { host: 'other', 'x-ip': '%DOWNSTREAM_REMOTE_ADDRESS%' }, add: { 'x-share': '50%%' } },
            response: { remove: ['server'], add: { 'x-cut': '%REQ(x-id):10%' } },
          },
          corsPolicy: {
            allowOrigins: [{ exact: 'https://example.com' }],
            allowMethods: ['GET', '*'],
            allowHeaders: ['*', 'x-a'],
            maxAge: '24h',
          },
        },
      ],
    },
    redirects: {
      hosts: ['reviews'],
      http: [{ match: [{ uri: { prefix: '/old' } }], redirect: { prefixRewrite: '/new', redirectCode: 308 } }],
    },
    rewrites: {
      hosts: ['reviews'],
      http: [
        {
          route: [{ destination: { host: 'reviews' } }],
          rewrite: { uriRegexRewrite: { match: '/a/([^/]+)', rewrite: '/b/\\1' } },
        },
      ],
    },
    'answers by itself': {
      hosts: ['reviews'],
      http: [{ directResponse: { status: 503, body: { string: 'closed' } } }],
    },
  },
  judged: {
    'has a route that leads nowhere': [
      { hosts: ['reviews'], http: [{}] },
      'spec.http[0]: Required value: one of `route`, `redirect` and `directResponse` must be set',
    ],
    'does two things at once': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            redirect: { uri: '/x' },
            directResponse: { status: 200 },
            fault: { abort: { httpStatus: 500 } },
            rewrite: { uri: '/' },
          },
        ],
      },
      'spec.http[0].redirect: Forbidden: may not be set together with `route`',
      'spec.http[0].directResponse: Forbidden: may not be set together with `route`',
      'spec.http[0].fault: Forbidden: may not be set together with `redirect`: the request goes nowhere',
      'spec.http[0].rewrite: Forbidden: may not be set together with `redirect`: the request goes nowhere',
    ],
    'delegates and decides': [
      {
        hosts: ['reviews'],
        http: [{ delegate: {}, route: [{ destination: { host: 'reviews' } }], redirect: { uri: '/' } }],
      },
      'spec.http[0].delegate.name: Required value',
      'spec.http[0].route: Forbidden: may not be set together with `delegate`, which decides it',
      'spec.http[0].redirect: Forbidden: may not be set together with `delegate`, which decides it',
    ],
    'mirrors in two ways': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            mirror: { host: 'a' },
            mirrors: [{ destination: { host: 'b' }, percentage: { value: 0.00001 } }],
            mirrorPercentage: { value: 101 },
            mirrorPercent: 10,
          },
        ],
      },
      'spec.http[0].mirrors: Forbidden: may not be set together with `mirror`',
      'spec.http[0].mirrorPercentage.value: Invalid value: 101: must be between 0 and 100',
      'spec.http[0].mirrors[0].percentage.value: Invalid value: 0.00001: must be 0, or between 0.0001 and 100',
      'W spec.http[0].mirrorPercent: is deprecated: use mirrorPercentage',
    ],
    'has destinations that are none': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [
              { destination: { host: '*' }, weight: 1 },
              { destination: { host: '' } },
              { destination: { host: 'a', subset: '_', port: { number: 0 } } },
            ],
          },
        ],
      },
      'spec.http[0].route[0].destination.host: Invalid value: "*": must name a host: * is none',
      'spec.http[0].route[1].destination.host: Required value',
      `spec.http[0].route[2].destination.subset: Invalid value: "_": must be 1 to 63 letters, digits and '-', with a letter or digit at both ends`,
      'spec.http[0].route[2].destination.port.number: Invalid value: 0: must be between 1 and 65535, inclusive',
    ],
    'has weights of nothing': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'a' }, weight: 0 }, { destination: { host: 'b' } }],
          },
        ],
      },
      'spec.http[0].route: Invalid value: 0: the weights of several destinations may not sum up to 0',
    ],
    'has negative weights': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [
              { destination: { host: 'a' }, weight: -1 },
              { destination: { host: 'b' }, weight: 2 },
            ],
          },
        ],
      },
      'spec.http[0].route[0].weight: Invalid value: -1: must be greater than or equal to 0',
    ],
    'has empty matches': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            match: [{ uri: { prefix: '' }, method: { regex: '' }, headers: { 'x-a': { prefix: '' } } }],
          },
        ],
      },
      'spec.http[0].match[0].uri.prefix: Invalid value: "": must not be empty: an empty prefix matches everything',
      'spec.http[0].match[0].method.regex: Invalid value: "": must not be empty: an empty regex matches everything',
      'spec.http[0].match[0].headers[x-a].prefix: Invalid value: "": must not be empty: an empty prefix matches everything',
    ],
    'has expressions that RE2 does not have': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            match: [{ uri: { regex: '/a(?!b)' }, authority: { regex: '(a)\\1' }, queryParams: { q: { regex: '[' } } }],
          },
        ],
      },
      `spec.http[0].match[0].uri.regex: Invalid value: "/a(?!b)": must be a regular expression in RE2's syntax: error parsing regexp: invalid or unsupported Perl synta...`,
      'spec.http[0].match[0].authority.regex: Invalid value: "(a)\\\\1": must be a regular expression in RE2\'s syntax: error parsing regexp: invalid escape sequence: `\\1...',
      'spec.http[0].match[0].queryParams[q].regex: Invalid value: "[": must be a regular expression in RE2\'s syntax: error parsing regexp: missing closing ]: `[`',
    ],
    'matches what is no header': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            match: [{ headers: { 'a b': { exact: 'x' }, '': {} }, withoutHeaders: { 'x-a': null } }],
          },
        ],
      },
      `spec.http[0].match[0].headers[a b]: Invalid value: "a b": a header name has letters, digits, '-' and '_'`,
      `spec.http[0].match[0].headers[]: Invalid value: "": a header name has letters, digits, '-' and '_'`,
      'spec.http[0].match[0].withoutHeaders[x-a]: Required value: must not be null: {} matches when it is there',
    ],
    'matches what no client has': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            match: [{ port: 0, sourceLabels: { app: 'a b' }, gateways: ['a/b/c'], statPrefix: ' ' }],
          },
        ],
      },
      'spec.http[0].match[0].statPrefix: Invalid value: " ": must not be empty',
      'spec.http[0].match[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
      `spec.http[0].match[0].sourceLabels: Invalid value: "a b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must...`,
      'spec.http[0].match[0].gateways[0]: Invalid value: "a/b/c": must be name, namespace/name or mesh',
    ],
    'redirects nowhere': [
      { hosts: ['reviews'], http: [{ redirect: {} }] },
      'spec.http[0].redirect: Required value: say where to: set uri, authority, scheme or port',
    ],
    'redirects with what is none': [
      {
        hosts: ['reviews'],
        http: [{ redirect: { uri: '/', redirectCode: 200, scheme: 'ftp', port: 70000 } }],
      },
      'spec.http[0].redirect.redirectCode: Invalid value: 200: must be a redirect, 300 to 399',
      'spec.http[0].redirect.scheme: Unsupported value: "ftp": supported values: "http", "https"',
      'spec.http[0].redirect.port: Invalid value: 70000: must be between 1 and 65535, inclusive',
    ],
    'redirects by a prefix that is not there': [
      {
        hosts: ['reviews'],
        http: [{ match: [{ uri: { exact: '/a' } }], redirect: { prefixRewrite: '/b', uri: '/c' } }],
      },
      'spec.http[0].redirect.prefixRewrite: Forbidden: may not be set together with `uri`',
      'spec.http[0].redirect.prefixRewrite: Invalid value: "/b": needs every match of the route to have a uri.prefix, which it takes the place of',
    ],
    'answers with what is none': [
      {
        hosts: ['reviews'],
        http: [{ directResponse: { status: 700, body: { string: 'x'.repeat(1100000) } } }],
      },
      'spec.http[0].directResponse.status: Invalid value: 700: must be a status, 200 to 599',
      'spec.http[0].directResponse.body: Invalid value: "1100000 bytes": a body may have at most 1048576 bytes',
    ],
    'answers with much': [
      {
        hosts: ['reviews'],
        http: [{ directResponse: { status: 200, body: { string: 'x'.repeat(200000) } } }],
      },
      'W spec.http[0].directResponse.body: a body of 200000 bytes is copied to every proxy: keep it under 102400',
    ],
    'rewrites nothing': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            rewrite: {},
          },
        ],
      },
      'spec.http[0].rewrite: Required value: say what: set uri, uriRegexRewrite or authority',
    ],
    'rewrites in two ways': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            rewrite: { uri: '/', uriRegexRewrite: { match: '(?=x)' }, authority: 'a b:1' },
          },
        ],
      },
      'spec.http[0].rewrite.uriRegexRewrite: Forbidden: may not be set together with `uri`',
      'spec.http[0].rewrite.authority: Invalid value: "a b:1": must be a host, or host:port',
      'spec.http[0].rewrite.uriRegexRewrite.rewrite: Required value',
      `spec.http[0].rewrite.uriRegexRewrite.match: Invalid value: "(?=x)": must be a regular expression in RE2's syntax: error parsing regexp: invalid or unsupported P...`,
    ],
    'sets the host at several places': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [
              {
                destination: { host: 'a' },
                headers: { request: { set: { host: 'c' } } },
              },
            ],
            rewrite: { authority: 'b' },
            headers: { request: { set: { ':authority': 'd' } } },
          },
        ],
      },
      'spec.http[0].headers.request.set[:authority]: Forbidden: the host of the request is set at more than one place: keep one',
      'spec.http[0].route[0].headers.request.set[host]: Forbidden: the host of the request is set at more than one place: keep one',
    ],
    'changes what is no header': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            headers: {
              request: { set: { ':path': '/', 'a b': 'x' }, add: { 'x-a': '50%' }, remove: ['host'] },
              response: { set: { host: 'x', 'x-b': 'a\r\nb: c' } },
            },
          },
        ],
      },
      'spec.http[0].headers.request.set[:path]: Invalid value: ":path": cannot be changed: pseudo headers and host belong to the protocol',
      `spec.http[0].headers.request.set[a b]: Invalid value: "a b": a header name has letters, digits, '-' and '_'`,
      'spec.http[0].headers.request.add[x-a]: Invalid value: "50%": must write %% for a percent sign; a single one begins a command, like %DOWNSTREAM_REMOTE_ADDRESS%',
      'spec.http[0].headers.request.remove[0]: Invalid value: "host": cannot be changed: pseudo headers and host belong to the protocol',
      'spec.http[0].headers.response.set[host]: Invalid value: "host": cannot be changed: pseudo headers and host belong to the protocol',
      'spec.http[0].headers.response.set[x-b]: Invalid value: "a\\r\\nb: c": a header value may not have control characters',
    ],
    'retries while retries are off': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            retries: { attempts: 0, perTryTimeout: '1s', retryOn: '5xx' },
          },
        ],
      },
      'spec.http[0].retries.perTryTimeout: Forbidden: has no effect while attempts is 0, which turns retries off: set attempts',
      'spec.http[0].retries.retryOn: Forbidden: has no effect while attempts is 0, which turns retries off: set attempts',
    ],
    'retries on what is none': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            retries: { attempts: -1, retryOn: '5xx,never,999', perTryTimeout: '10us', backoff: '1x' },
          },
        ],
      },
      'spec.http[0].retries.attempts: Invalid value: -1: must be greater than or equal to 0',
      'spec.http[0].retries.perTryTimeout: Invalid value: "10us": must be a duration of at least 1ms',
      'spec.http[0].retries.backoff: Invalid value: "1x": must be a duration, like 5s, 250ms or 1h30m',
      'spec.http[0].retries.retryOn: Invalid value: "5xx,never,999": "never" is no cause: use HTTP status codes and 5xx, gateway-error, reset, reset-before-request, co...',
      'spec.http[0].retries.retryOn: Invalid value: "5xx,never,999": "999" is no cause: use HTTP status codes and 5xx, gateway-error, reset, reset-before-request, conn...',
    ],
    'injects no fault': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            fault: {},
          },
        ],
      },
      'spec.http[0].fault: Required value: set delay, abort, or both',
    ],
    'injects faults that are none': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            fault: {
              delay: { fixedDelay: '1.5ms', exponentialDelay: '1s', percent: 200, percentage: { value: 101 } },
              abort: { httpStatus: 100, grpcStatus: 'FINE', percentage: { value: -1 } },
            },
          },
        ],
      },
      'spec.http[0].fault.delay.percentage.value: Invalid value: 101: must be 0, or between 0.0001 and 100',
      'spec.http[0].fault.delay.fixedDelay: Invalid value: "1.5ms": must be a whole number of milliseconds',
      'spec.http[0].fault.delay.exponentialDelay: Forbidden: is not supported: use fixedDelay',
      'spec.http[0].fault.delay.percent: Invalid value: 200: must be between 0 and 100',
      'spec.http[0].fault.abort.percentage.value: Invalid value: -1: must be 0, or between 0.0001 and 100',
      'spec.http[0].fault.abort.httpStatus: Invalid value: 100: must be a status, 200 to 599',
      'spec.http[0].fault.abort.grpcStatus: Unsupported value: "FINE": supported values: "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FO...',
      'W spec.http[0].fault.delay.percent: is deprecated: use percentage',
    ],
    'aborts nothing': [
      {
        hosts: ['reviews'],
        http: [{ route: [{ destination: { host: 'reviews' } }], fault: { abort: {} } }],
      },
      'W spec.http[0].fault.abort: aborts nothing: set httpStatus or grpcStatus',
    ],
    'aborts at a lower level': [
      {
        hosts: ['reviews'],
        http: [{ route: [{ destination: { host: 'reviews' } }], fault: { abort: { http2Error: 'X' } } }],
      },
      'spec.http[0].fault.abort.http2Error: Forbidden: is not supported: use httpStatus or grpcStatus',
    ],
    'has cross-origin rules that are none': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            corsPolicy: {
              allowOrigins: [{}, { regex: '' }],
              allowMethods: ['get'],
              allowHeaders: ['a b'],
              maxAge: '1500ms',
            },
          },
        ],
      },
      'spec.http[0].corsPolicy.allowOrigins[0]: Required value: set exact, prefix or regex: an empty match would let every origin in',
      'spec.http[0].corsPolicy.allowOrigins[1].regex: Invalid value: "": must not be empty: an empty regex matches everything',
      `spec.http[0].corsPolicy.allowHeaders[0]: Invalid value: "a b": a header name has letters, digits, '-' and '_'`,
      'spec.http[0].corsPolicy.allowMethods[0]: Invalid value: "get": must be an HTTP method in capitals, as GET, or *',
      'spec.http[0].corsPolicy.maxAge: Invalid value: "1500ms": must be a whole number of seconds',
    ],
    'has a timeout of nothing': [
      {
        hosts: ['reviews'],
        http: [
          {
            route: [{ destination: { host: 'reviews' } }],
            timeout: '0s',
          },
        ],
      },
      'spec.http[0].timeout: Invalid value: "0s": must be a duration of at least 1ms',
    ],
  },
});
