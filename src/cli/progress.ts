/** Progress of long work on standard error: one line that changes on a terminal, one line a step elsewhere. */
import { styleText } from 'node:util';
import type { CliContext } from './context.ts';

export interface Progress {
  /** The step that is under way. The same text twice shows once. */
  step(text: string): void;
  /** All went well: says how long it took. */
  done(text: string): void;
  /** Ends the changing line without a word, before an error is printed. */
  stop(): void;
}

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

export function startProgress(context: CliContext): Progress {
  return context.err.isTTY ? changingLine(context) : linePerStep(context);
}

function linePerStep(context: CliContext): Progress {
  const startedMs = Date.now();
  let current = '';
  const say = (text: string): void => void context.err.write(`[${seconds(startedMs)}] ${text}\n`);
  return {
    step(text) {
      if (text !== current) say((current = text));
    },
    done: say,
    stop() {},
  };
}

function changingLine(context: CliContext): Progress {
  const startedMs = Date.now();
  let current = '';
  let frame = 0;
  const draw = (): void => {
    frame = (frame + 1) % frames.length;
    context.err.write(
      `\r\x1b[K${styleText('cyan', frames[frame] ?? '')} ${current} ${styleText('dim', seconds(startedMs))}`,
    );
  };
  const timer = setInterval(draw, 100);
  timer.unref();
  const clear = (): void => {
    clearInterval(timer);
    context.err.write('\r\x1b[K');
  };
  return {
    step(text) {
      current = text;
      draw();
    },
    done(text) {
      clear();
      context.err.write(`${styleText('green', '✓')} ${text} ${styleText('dim', seconds(startedMs))}\n`);
    },
    stop: clear,
  };
}

function seconds(startedMs: number): string {
  return `${((Date.now() - startedMs) / 1000).toFixed(1)} s`;
}
