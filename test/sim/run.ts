import { bugs } from './sabotage.ts';
import { runSchedule } from './schedule.ts';

/* npm run sim [-- schedules [first seed]]: many histories of commits, recoveries and readers under faults; then with each planted bug. */

const maxSearched = 50_000;
const [schedules = 100_000, firstSeed = 1] = process.argv.slice(2).map(Number);

const startedMs = Date.now();
const total = { committed: 0, aborted: 0, reads: 0 };
for (let seed = firstSeed; seed < firstSeed + schedules; seed++) {
  const { violation, committed, aborted, reads } = runSchedule(seed);
  total.committed += committed;
  total.aborted += aborted;
  total.reads += reads;
  if (violation !== null) say(`seed ${seed}: ${violation}`);
}
const seconds = ((Date.now() - startedMs) / 1000).toFixed(0);
process.stdout.write(
  `${schedules} schedules in ${seconds} s: ${total.committed} commits and ${total.aborted} aborts told, ${total.reads} reads over several servers\n`,
);

for (const bug of bugs) {
  let seed = 1;
  while (seed <= maxSearched && runSchedule(seed, bug).violation === null) seed += 1;
  if (seed > maxSearched) say(`not found: ${bug}`);
  else process.stdout.write(`found in schedule ${seed}: ${bug}\n`);
}

function say(failure: string): void {
  process.stderr.write(`${failure}\n`);
  process.exitCode = 1;
}
