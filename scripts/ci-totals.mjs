// node scripts/ci-totals.mjs <folder of vitest's JSON results> <steps that failed>: prints the totals as its last line.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, failedSteps] = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const name of readdirSync(folder)) {
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  // A file that does not even load has no tests that could fail.
  const brokenFiles = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  passed += numPassedTests;
  failed += numFailedTests + brokenFiles.length;
}
if (passed === 0) process.stdout.write('no test passed\n');
if (failedSteps !== '0') process.stdout.write(`steps that failed: ${failedSteps}\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 || passed === 0 || failedSteps !== '0' ? 1 : 0;
