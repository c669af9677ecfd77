import { trafficExtension } from '../../custom/istio/traffic-extension.ts';
import { wasmPlugin } from '../../custom/istio/wasm-plugin.ts';
import { validateWasmPlugin, validateTrafficExtension } from './extension.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(wasmPlugin, validateWasmPlugin, {
  fine: {
    'is an image': {
      url: 'oci://private-registry:5000/openid-connect/openid:latest',
      imagePullPolicy: 'IfNotPresent',
      phase: 'AUTHN',
      pluginConfig: { a: 1 },
      vmConfig: {
        env: [
          { name: 'A', value: 'x' },
          { name: 'B', valueFrom: 'HOST' },
        ],
      },
      match: [{ mode: 'CLIENT', ports: [{ number: 80 }] }],
    },
    'has no scheme': {
      url: 'localhost:5000/a:latest',
      sha256: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    },
  },
  judged: {
    'is nowhere': [{}, 'spec.url: Required value'],
    'is where nobody gets it': [
      { url: 's3://x/y' },
      'spec.url: Invalid value: "s3://x/y": must have one of the schemes oci, http, https, file, or none for an image',
    ],
    'has a name that is none': [
      { url: 'a b' },
      'spec.url: Invalid value: "a b": must be a URL, or the name of an image',
    ],
    'has a sum that is none': [
      { url: 'file:///x', sha256: 'ABC', verificationKey: 'k' },
      'spec.sha256: Invalid value: "ABC": must be 64 hexadecimal digits in lower case',
      'W spec.verificationKey: is not used: use sha256',
    ],
    'has variables that are none': [
      {
        url: 'file:///x',
        vmConfig: { env: [{ name: 'A' }, { name: 'A' }, {}, { name: 'B', valueFrom: 'HOST', value: 'x' }] },
      },
      'spec.vmConfig.env[1].name: Duplicate value: "A"',
      'spec.vmConfig.env[2].name: Required value',
      "spec.vmConfig.env[3].value: Forbidden: may not be set when valueFrom is HOST, which takes the proxy's own",
    ],
    'is for ports that are none': [
      {
        url: 'file:///x',
        match: [{ ports: [{ number: 0 }] }],
      },
      'spec.match[0].ports[0].number: Invalid value: 0: must be between 1 and 65535, inclusive',
    ],
  },
});

describeValidator(trafficExtension, validateTrafficExtension, {
  fine: {
    'is a script': {
      targetRefs: [{ kind: 'Gateway', group: 'gateway.networking.k8s.io', name: 'waypoint' }],
      phase: 'AUTHN',
      lua: { inlineCode: 'function envoy_on_request(h) end' },
    },
    'is a module': { wasm: { url: 'https://example.com/x.wasm' } },
  },
  judged: {
    'is nothing': [{}, 'spec: Required value: set wasm or lua'],
    'is both': [
      { wasm: { url: 'x' }, lua: { inlineCode: 'x' } },
      'spec.lua: Forbidden: may not be set together with `wasm`',
    ],
    'is empty': [{ lua: {} }, 'spec.lua.inlineCode: Required value'],
    'is too long': [
      { lua: { inlineCode: 'x'.repeat(65537) } },
      'spec.lua.inlineCode: Invalid value: "65537 bytes": may have at most 65536 bytes',
    ],
    'is nowhere': [{ wasm: {} }, 'spec.wasm.url: Required value'],
  },
});
