/** `ambit completion`: scripts for shells, which ask the command line itself what may follow. */
import { Argument, Command } from 'commander';
import type { CliContext } from './context.ts';

const scripts: Readonly<Record<string, string>> = {
  bash: `_ambit() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(ambit complete -- "\${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _ambit ambit
`,
  zsh: `#compdef ambit
_ambit() {
  local -a words_so_far candidates
  words_so_far=("\${words[@]:1:$((CURRENT - 2))}")
  candidates=("\${(@f)$(ambit complete -- "\${words_so_far[@]}" 2>/dev/null)}")
  compadd -a candidates || _files
}
compdef _ambit ambit
`,
  fish: `complete -c ambit -a '(ambit complete -- (commandline -opc)[2..] 2>/dev/null)'
`,
};

/** \`completion\` prints a script; the hidden \`complete\` is what the scripts call. */
export function completionCommand(context: CliContext, program: Command): Command {
  const complete = new Command('complete')
    .argument('[words...]')
    .allowUnknownOption()
    .action(
      (words: readonly string[]) =>
        void context.out.write(
          candidates(program, words)
            .map((word) => `${word}\n`)
            .join(''),
        ),
    );
  program.addCommand(complete, { hidden: true });
  return new Command('completion')
    .description('print a tab completion script')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(scripts)))
    .addHelpText('after', '\nExample:\n  source <(ambit completion bash)')
    .action((shell: string) => void context.out.write(scripts[shell] ?? ''));
}

/** What may follow the words: values of an option, else commands or arguments, and options. */
export function candidates(program: Command, words: readonly string[]): string[] {
  const [name, ...rest] = words;
  const command = program.commands.find((candidate) => candidate.name() === name);
  if (name === undefined || !command) {
    const visible = program.commands
      .map((candidate) => candidate.name())
      .filter((candidate) => candidate !== 'complete');
    return name === undefined ? [...visible, 'help'] : [];
  }
  const last = rest.at(-1);
  const pending = command.options.find(
    (option) => (option.long === last || option.short === last) && (option.required || option.optional),
  );
  if (pending) return [...(pending.argChoices ?? [])];
  const given = rest.filter((word) => !word.startsWith('-')).length;
  const choices = given === 0 ? (command.registeredArguments[0]?.argChoices ?? []) : [];
  return [...choices, ...command.options.flatMap((option) => option.long ?? []), '--help'];
}
