/** `ambit cni-plugin`: what a container runtime calls for each pod. It loads nothing that it does not need. */
import { readFileSync } from 'node:fs';
import { runCniPlugin } from '../cni/plugin/run-plugin.ts';

const { exitCode, stdout } = await runCniPlugin({ env: process.env, stdin: readFileSync(0, 'utf8') });
process.stdout.write(stdout);
process.exitCode = exitCode;
