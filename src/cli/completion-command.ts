import { Argument, type Command } from 'commander';
import { exitCodes, leave } from './command-line.ts';
import { commandEntries, completionScript, type Shell, shells } from './completion.ts';

export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description("print a script that completes pgherd's commands, options and values in a shell")
    .addArgument(new Argument('<shell>', 'json: all commands and options, for programs').choices([...shells, 'json']))
    .addHelpText(
      'after',
      `
Examples:
  source <(pgherd completion bash)
  pgherd completion zsh > "\${fpath[1]}/_pgherd"
  pgherd completion fish > ~/.config/fish/completions/pgherd.fish`,
    )
    .action((shell: Shell | 'json') => {
      const entries = commandEntries(program);
      const json = () =>
        JSON.stringify(
          entries.map((entry) => ({ ...entry, help: helpText(program, entry.words) })),
          null,
          2,
        );
      process.stdout.write(
        shell === 'json'
          ? `${json()}
`
          : completionScript(shell, entries),
      );
      leave(exitCodes.done);
    });
}

/** What --help prints of a command. */
function helpText(program: Command, words: string): string {
  const path = words === '' ? [] : words.split(' ');
  const command = path.reduce((at, name) => at.commands.find((each) => each.name() === name)!, program);
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}
