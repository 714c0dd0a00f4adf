import type { Command } from 'commander';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** One command, by its words after `pgherd`: `report compliance`; '' is pgherd itself. */
export interface CommandEntry {
  readonly words: string;
  readonly description: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly OptionEntry[];
  /** Values of its first argument, if they are known. */
  readonly choices: readonly string[];
}

interface OptionEntry {
  readonly flags: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

/** Everything that can be typed, read from the commands themselves. */
export function commandEntries(program: Command, words = ''): CommandEntry[] {
  const help = program.createHelp();
  const commands = help.visibleCommands(program).filter((command) => command.name() !== 'help');
  const entry: CommandEntry = {
    words,
    description: program.description(),
    commands: commands.map((command) => ({ name: command.name(), description: command.description() })),
    options: help.visibleOptions(program).map((option) => ({
      flags: [option.short, option.long].filter((flag) => flag != null),
      description: option.description,
      takesValue: option.required || option.optional,
      choices: option.argChoices ?? [],
    })),
    choices: program.registeredArguments[0]?.argChoices ?? [],
  };
  const inner = commands.flatMap((command) => commandEntries(command, `${words} ${command.name()}`.trim()));
  return [entry, ...inner];
}

/** A script that completes commands, options and their values; where a value is free, file names. */
export function completionScript(shell: Shell, entries: readonly CommandEntry[]): string {
  if (shell === 'fish') return fishScript(entries);
  return shell === 'bash' ? bashScript(entries) : zshScript(entries);
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const wordsOf = ({ commands, options, choices }: CommandEntry) => [
  ...commands.map(({ name }) => name),
  ...choices,
  ...options.flatMap(({ flags }) => flags),
];
const isInner = ({ words }: CommandEntry) => words !== '';
const valueOptions = (entries: readonly CommandEntry[]) =>
  entries.flatMap(({ words, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .flatMap(({ flags, choices }) => flags.map((flag) => ({ at: `${words}:${flag}`, choices }))),
  );

function bashScript(entries: readonly CommandEntry[]): string {
  const values = valueOptions(entries).map(({ at, choices }) =>
    choices.length > 0
      ? `    ${quoted(at)}) COMPREPLY=($(compgen -W ${quoted(choices.join(' '))} -- "$current")); return;;`
      : `    ${quoted(at)}) COMPREPLY=($(compgen -f -- "$current")); return;;`,
  );
  return `# bash completion for pgherd: source <(pgherd completion bash)
_pgherd() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$command $word" in
      ${entries.filter(isInner).map(asTyped).map(quoted).join('|')}) command="\${command:+$command }$word";;
    esac
  done
  case "$command:$before" in
${values.join('\n')}
  esac
  case "$command" in
${entries.map((entry) => `    ${quoted(entry.words)}) word=${quoted(wordsOf(entry).join(' '))};;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$word" -- "$current"))
}
complete -o filenames -F _pgherd pgherd
`;
}

/** What the loops compare with: the command so far, a space, and the next word. */
const asTyped = ({ words }: CommandEntry) => (words.includes(' ') ? words : ` ${words}`);

function zshScript(entries: readonly CommandEntry[]): string {
  const describe = (name: string, text: string) => quoted(`${name.replaceAll(':', '\\:')}:${text}`);
  const items = (entry: CommandEntry) => [
    ...entry.commands.map(({ name, description }) => describe(name, description)),
    ...entry.choices.map((choice) => describe(choice, '')),
    ...entry.options.flatMap(({ flags, description }) => flags.map((flag) => describe(flag, description))),
  ];
  const values = valueOptions(entries).map(({ at, choices }) =>
    choices.length > 0
      ? `    ${quoted(at)}) compadd -- ${choices.map(quoted).join(' ')}; return;;`
      : `    ${quoted(at)}) _files; return;;`,
  );
  return `#compdef pgherd
# zsh completion for pgherd: pgherd completion zsh > "\${fpath[1]}/_pgherd", or source <(pgherd completion zsh)
_pgherd() {
  local command='' word
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$command $word" in
      ${entries.filter(isInner).map(asTyped).map(quoted).join('|')}) command="\${command:+$command }$word";;
    esac
  done
  case "$command:\${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  local -a items
  case "$command" in
${entries.map((entry) => `    ${quoted(entry.words)}) items=(${items(entry).join(' ')});;`).join('\n')}
  esac
  _describe pgherd items
}
if [[ $funcstack[1] == _pgherd ]]; then _pgherd "$@"; else compdef _pgherd pgherd; fi
`;
}

function fishScript(entries: readonly CommandEntry[]): string {
  const lines = entries.flatMap(({ words, commands, options, choices }) => {
    const at = `complete -c pgherd -n ${quoted(`__pgherd_at ${words === '' ? "''" : `"${words}"`}`)}`;
    return [
      ...commands.map(({ name, description }) => `${at} -f -a ${name} -d ${quoted(description)}`),
      ...(choices.length > 0 ? [`${at} -f -a ${quoted(choices.join(' '))}`] : []),
      ...options.map((option) => `${at} ${fishOption(option)}`),
    ];
  });
  const known = entries.filter(isInner).map(asTyped).map(quoted).join(' ');
  return `# fish completion for pgherd: pgherd completion fish > ~/.config/fish/completions/pgherd.fish
function __pgherd_at
  set -l command ''
  for word in (commandline -opc)[2..-1]
    if contains -- "$command $word" ${known}
      set command (string trim -- "$command $word")
    end
  end
  test "$command" = "$argv[1]"
end
${lines.join('\n')}
`;
}

function fishOption({ flags, description, takesValue, choices }: OptionEntry): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const value = !takesValue ? '' : choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : ' -r';
  return `${names.join(' ')}${value} -d ${quoted(description)}`;
}
