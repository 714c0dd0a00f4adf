// npm run bench [-- PART | ROW…] [options]: measures pgherd and prints figures; asserts nothing about them.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build, prepareModules, script } from '../scripts/prepare.mjs';

const parts = {
  startup: { file: 'startup.mjs', what: 'how long the embedded herd takes to be ready, first and later starts' },
  openings: {
    file: 'openings/main.ts',
    what: 'SELECTs over all nodes with snapshots of one moment and without, beside commits',
  },
  tpch: { file: 'tpch/main.ts', what: 'the 22 TPC-H queries on a herd and on one plain PostgreSQL, side by side' },
};

const args = process.argv.slice(2);
const asked = ['--help', '-h', 'help'].includes(args[0]);
const part = Object.hasOwn(parts, args[0] ?? '') ? parts[args[0]] : undefined;

await script(() => {
  prepareModules();
  if (asked) {
    const lines = Object.entries(parts).map(([name, { what }]) => `  ${name.padEnd(10)}${what}`);
    process.stdout.write(
      `npm run bench -- PART [options], where --help says more, or rows (below)\n\n${lines.join('\n')}\n\n`,
    );
  }
  if (!args.includes('--help') && !asked) build();
  if (part === undefined) run('rows/main.ts', asked ? ['--help'] : args);
  else run(part.file, args.slice(1));
});

/** The part stops what it started, then ends; whoever waits for us waits for that. */
function run(file, given) {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, file), ...given], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
