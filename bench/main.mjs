// npm run bench -- PART [options]: measures one part of pgherd and prints figures; asserts nothing about them.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build, prepareModules, script } from '../scripts/prepare.mjs';

const parts = {
  startup: { file: 'startup.mjs', what: 'how long the embedded herd takes to be ready, first and later starts' },
  tpch: { file: 'tpch/main.ts', what: 'the 22 TPC-H queries on a herd and on one plain PostgreSQL, side by side' },
};

const [name, ...rest] = process.argv.slice(2);
const part = Object.hasOwn(parts, name ?? '') ? parts[name] : undefined;

if (part === undefined) {
  const asked = name === undefined || name === '--help' || name === '-h' || name === 'help';
  const lines = Object.entries(parts).map(([each, { what }]) => `  ${each.padEnd(10)}${what}`);
  const unknown = asked ? '' : `there is no part "${name}"\n\n`;
  process.stdout.write(`${unknown}npm run bench -- PART [options]\n\n${lines.join('\n')}\n\nPART --help says more.\n`);
  process.exitCode = asked ? 0 : 2;
} else {
  await script(() => {
    prepareModules();
    if (!rest.includes('--help')) build();
    run(part.file, rest);
  });
}

/** The part stops what it started, then ends; whoever waits for us waits for that. */
function run(file, args) {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, file), ...args], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
