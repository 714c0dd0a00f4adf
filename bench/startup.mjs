// npm run bench -- startup: how long the embedded herd takes to be ready, first and later starts. Prints figures; asserts nothing.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';

const rounds = 3;
const cli = join(import.meta.dirname, '..', 'dist', 'cli', 'main.js');

function pgherd(...args) {
  execFileSync(process.execPath, [cli, ...args], { stdio: 'ignore' });
}

function seconds(work) {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

const first = [];
const later = [];
const stop = [];
for (let round = 0; round < rounds; round++) {
  const data = mkdtempSync(join(tmpdir(), 'pgherd-bench-'));
  rmSync(data, { recursive: true });
  try {
    first.push(seconds(() => pgherd('up', '--detach', '--data', data)));
    stop.push(seconds(() => pgherd('down', '--data', data)));
    later.push(seconds(() => pgherd('up', '--detach', '--data', data)));
    pgherd('down', '--data', data);
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

const rows = [
  ['first start, 4 servers', first],
  ['later start', later],
  ['stop', stop],
];
process.stdout.write(
  `Node.js ${process.version}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}, ${rounds} rounds\n`,
);
for (const [what, values] of rows) process.stdout.write(`${what.padEnd(24)} median ${median(values).toFixed(2)} s\n`);
