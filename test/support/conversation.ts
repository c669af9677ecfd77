/** Questions and answers with a program that runs elsewhere: one JSON line each way, in order. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Conversation<Question, Answer> extends AsyncDisposable {
  /** Fails when the program ends, or says nothing for 60 s. */
  ask(question: Question): Promise<Answer>;
}

/** Asks `child`, which runs a program of `answerQuestions`. Disposing ends it. */
export function converse<Question, Answer>(child: ChildProcess): Conversation<Question, Answer> {
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout || !stderr) throw new Error('The program must have its streams piped');
  let complaints = '';
  stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  stdin.on('error', () => undefined);
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const closed = once(child, 'close');
  return {
    async ask(question) {
      stdin.write(`${JSON.stringify(question)}\n`);
      const timer = setTimeout(() => child.kill('SIGTERM'), 60_000);
      const { value, done } = await lines.next();
      clearTimeout(timer);
      if (done === true) throw new Error(`No answer to ${JSON.stringify(question)}: ${complaints}`);
      return JSON.parse(value) as Answer;
    },
    async [Symbol.asyncDispose]() {
      stdin.end();
      await closed;
    },
  };
}

/** The other end: answers each line of the standard input, until it ends. */
export async function answerQuestions<Question, Answer>(
  answer: (question: Question) => Promise<Answer>,
): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line) as Question))}\n`);
  }
}
