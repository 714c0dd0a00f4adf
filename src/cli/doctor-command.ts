import type { Command } from 'commander';
import { colour } from './colours.ts';
import { dataOption, exitCodes, leave, urlOption } from './command-line.ts';
import type { Finding } from './doctor/checks.ts';
import { checks, judge } from './doctor/checks.ts';
import { examine } from './doctor/server-facts.ts';
import { examineMachine, type LocalFinding } from './doctor/surroundings.ts';
import { openHerdClient } from './herd-client.ts';

interface DoctorFlags {
  readonly data: string;
  readonly url?: string;
  readonly json?: true;
}

type AnyFinding = Finding | LocalFinding;

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description(
      'look for what is wrong: versions, settings, connectivity, clocks, encodings, drift of schema between nodes; and say what to do',
    )
    .addOption(dataOption())
    .addOption(urlOption())
    .option('--json', 'for programs')
    .addHelpText(
      'after',
      `
Examples:
  pgherd doctor
  pgherd doctor --json
  pgherd doctor --url postgresql://postgres@db0:5432/postgres

Exit codes: 0 all is well, or only warnings; 3 an error was found.`,
    )
    .action(async (flags: DoctorFlags) => {
      const findings = await findAll(flags);
      process.stdout.write(`${flags.json ? JSON.stringify(summary(findings), null, 2) : findingsText(findings)}\n`);
      leave(findings.some(({ state }) => state === 'error') ? exitCodes.notRunning : exitCodes.done);
    });
}

async function findAll(flags: DoctorFlags): Promise<AnyFinding[]> {
  const local = await examineMachine(flags.url === undefined ? flags.data : undefined);
  if (local.some(({ message }) => /^router is stopped/.test(message))) return local;
  const client = await openHerdClient(flags);
  try {
    return [...local, ...judge(await examine(client))];
  } finally {
    client.close();
  }
}

const allChecks = ['machine', ...checks] as const;

function summary(findings: readonly AnyFinding[]) {
  const errors = findings.filter(({ state }) => state === 'error').length;
  return {
    state: errors > 0 ? 'error' : findings.length > 0 ? 'warning' : 'ok',
    errors,
    warnings: findings.length - errors,
    findings,
  };
}

function findingsText(findings: readonly AnyFinding[]): string {
  const lines = allChecks.flatMap((check) => {
    const own = findings.filter((finding) => finding.check === check);
    if (own.length === 0) return [`${colour('green', 'ok')}       ${check}`];
    return own.map(({ state, message, advice }) => {
      const mark = state === 'error' ? colour('red', 'error') : colour('yellow', 'warning');
      return `${mark}${' '.repeat(9 - state.length)}${check}: ${message}\n         ${advice}`;
    });
  });
  return lines.join('\n');
}
