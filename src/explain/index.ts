/** `ambit explain`: what the mesh would do with a request, and why. */
export { explain, type Question } from './explain.ts';
export type { Explanation, Outcome, Step } from './steps.ts';
export { readWorld, type World, type WorldOptions } from './world.ts';
