/**
 * Lint rules, and the layers of the source tree as one table.
 *
 * A folder may import from layers strictly below its own and from itself; never sideways, never up.
 */
import { defineConfig, type OxlintConfig } from 'oxlint';

/** Lowest first. The order is the architecture: see ARCHITECTURE.md. */
const layers: readonly (readonly string[])[] = [
  ['lib', 'gen'],
  ['api', 'net', 'telemetry'],
  ['policy', 'http', 'kube', 'collection'],
  ['wire', 'rpc'],
  ['mesh', 'identity', 'xds'],
  ['hbone', 'decision', 'ca', 'export'],
  ['discovery', 'ztunnel', 'proxy', 'cni'],
  ['local', 'control', 'explain'],
  ['cli', 'console'],
  ['bin'],
];

/** The data plane meets the control plane at a protocol, never at an import. */
const dataPlane = ['ztunnel', 'proxy', 'cni'];
const controlPlane = ['discovery', 'collection', 'ca', 'control', 'local'];

/** Generated messages are known only where bytes become domain values. */
const knowsGenerated = ['gen', 'wire', 'xds', 'rpc'];

const layerOverrides = layers.flatMap((folders, level) =>
  folders.map((folder) => {
    const above = layers.slice(level).flat();
    const forbidden = new Set(above.filter((other) => other !== folder));
    if (dataPlane.includes(folder)) for (const other of controlPlane) forbidden.add(other);
    if (dataPlane.includes(folder) && folder !== 'cni') forbidden.add('kube');
    if (!knowsGenerated.includes(folder)) forbidden.add('gen');
    const rules: Record<string, unknown> = {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: [...forbidden].flatMap((other) => [`**/${other}/**`, `!node_modules/**`]),
              message: `src/${folder} (layer ${level}) may not import this folder: see ARCHITECTURE.md, "Layers".`,
            },
          ],
        },
      ],
    };
    if (folder !== 'bin') {
      rules['no-restricted-properties'] = [
        'error',
        { object: 'process', property: 'env', message: 'Only src/bin reads the environment.' },
        { object: 'process', property: 'argv', message: 'Only src/bin reads arguments.' },
        { object: 'process', property: 'exit', message: 'Only src/bin ends the process.' },
      ];
    }
    return { files: [`src/${folder}/**/*.ts`], rules };
  }),
);

const config: OxlintConfig = defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'node'],
  categories: { correctness: 'error' },
  ignorePatterns: ['node_modules/**', 'src/gen/**', 'bench/results/**'],
  rules: {
    'typescript/no-floating-promises': [
      'error',
      {
        allowForKnownSafeCalls: [
          {
            from: 'package',
            package: 'node:test',
            name: ['test', 'describe', 'it', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
          },
        ],
      },
    ],
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/no-misused-promises': 'off',
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'no-console': 'error',
    eqeqeq: 'error',
  },
  overrides: [
    ...(layerOverrides as never[]),
    { files: ['oxlint.config.ts'], rules: { 'import/no-default-export': 'off' } },
    { files: ['scripts/**', 'bench/**', 'samples/**', 'test/**'], rules: { 'no-console': 'off' } },
  ],
});

export default config;
