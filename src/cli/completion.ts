/** `ambit completion`: scripts for shells, which ask the command line itself what may follow. */
import { Argument, Command, type Option } from 'commander';
import { completedNames, type CompletedLine } from './completion-names.ts';
import type { CliContext } from './context.ts';

/** A word like `--output=t` is completed behind its equals sign, as a value of the option. */
const scripts: Readonly<Record<string, string>> = {
  bash: `_ambit() {
  local IFS=$'\\n' current="\${COMP_WORDS[COMP_CWORD]#=}"
  COMPREPLY=($(compgen -W "$("\${COMP_WORDS[0]/#\\~/$HOME}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$current"))
}
complete -o default -F _ambit ambit
`,
  zsh: `#compdef ambit
_ambit() {
  local -a words_so_far candidates
  words_so_far=("\${words[@]:1:$((CURRENT - 2))}")
  if [[ $PREFIX == --*=* ]]; then
    words_so_far+=("\${PREFIX%%=*}")
    compset -P 1 '*='
  fi
  candidates=(\${(f)"$(\${~words[1]} complete -- "\${words_so_far[@]}" 2>/dev/null)"})
  compadd -a candidates || _files
}
if [[ $funcstack[1] == _ambit ]]; then _ambit "$@"; else compdef _ambit ambit; fi
`,
  fish: `function __ambit_candidates
  set -l words (commandline -opc)
  set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
  set -l token (commandline -ct)
  set -l prefix (string match -r -- '^--[^=]+=' "$token")
  set -l option
  if set -q prefix[1]
    set option (string trim -r -c = -- $prefix)
  end
  set -l found ($program complete -- $words[2..] $option 2>/dev/null)
  if not set -q found[1]
    set found (__fish_complete_path (string replace -- "$prefix" '' "$token"))
  end
  for each in $found
    printf '%s\\n' "$prefix$each"
  end
end
complete -c ambit -f -a '(__ambit_candidates)'
`,
};

const examples = `
Examples:
  source <(ambit completion bash)    in ~/.bashrc
  source <(ambit completion zsh)     in ~/.zshrc, after compinit
  ambit completion fish | source     in ~/.config/fish/config.fish`;

/** `completion` prints a script; the hidden `complete` is what the scripts call. */
export function completionCommand(context: CliContext, program: Command): Command {
  const complete = new Command('complete')
    .argument('[words...]')
    .allowUnknownOption()
    .action(async (given: readonly string[]) => {
      // Bash makes three words of `--output=table`.
      const words = given.filter((word) => word !== '=');
      const line = lineOf(program, words);
      const names = line ? await completedNames(context, line) : [];
      const all = new Set([...names, ...candidates(program, words)]);
      context.out.write([...all].map((word) => `${word}\n`).join(''));
    });
  program.addCommand(complete, { hidden: true });
  return new Command('completion')
    .description('print a tab completion script')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(scripts)))
    .addHelpText('after', examples)
    .action((shell: string) => void context.out.write(scripts[shell] ?? ''));
}

/** What may follow the words, but for names of what a cluster has: values of an option, else commands or arguments, and options. */
export function candidates(program: Command, words: readonly string[]): string[] {
  const [name, ...rest] = words;
  const names = program.commands.map((candidate) => candidate.name()).filter((candidate) => candidate !== 'complete');
  if (name === undefined) return [...names, 'help'];
  if (name === 'help') return rest.length === 0 ? names : [];
  const command = commandOf(program, name);
  // What follows `--` is the command of `exec`: no word of ours.
  if (!command || rest.includes('--')) return [];
  const pending = valueOption(command, rest.at(-1));
  if (pending) return [...(pending.argChoices ?? [])];
  const choices = command.registeredArguments[operandsOf(command, rest).length]?.argChoices ?? [];
  return [...choices, ...command.options.flatMap((option) => option.long ?? []), '--help'];
}

/** The words as a line whose next one may be a name; undefined where it is none of ours. */
function lineOf(program: Command, words: readonly string[]): CompletedLine | undefined {
  const [name, ...rest] = words;
  const command = name === undefined ? undefined : commandOf(program, name);
  if (!command || rest.includes('--')) return undefined;
  const values: Record<string, string | undefined> = {};
  for (const [index, word] of rest.entries()) {
    const option = valueOption(command, rest[index - 1]);
    const [, long, value] = /^--([^=]+)=(.*)$/.exec(word) ?? [];
    if (long !== undefined) values[long] = value;
    else if (option) values[longName(option)] = word;
  }
  const pending = valueOption(command, rest.at(-1));
  const option = pending && longName(pending);
  return { command: command.name(), operands: operandsOf(command, rest), option, values };
}

function commandOf(program: Command, name: string): Command | undefined {
  return program.commands.find((candidate) => candidate.name() === name || candidate.aliases().includes(name));
}

function operandsOf(command: Command, words: readonly string[]): string[] {
  return words.filter((word, index) => !word.startsWith('-') && !valueOption(command, words[index - 1]));
}

function longName({ long }: Option): string {
  return (long ?? '').slice('--'.length);
}

/** The option that takes what follows `word` for its value. */
function valueOption(command: Command, word: string | undefined): Option | undefined {
  if (word === undefined) return undefined;
  return command.options.find(
    (option) => (option.long === word || option.short === word) && (option.required || option.optional),
  );
}
