// npm test [-- arguments of vitest]
import { join } from 'node:path';
import { prepareModules, root, run, script } from './prepare.mjs';

await script(() => {
  prepareModules();
  run(process.execPath, [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', ...process.argv.slice(2)]);
});
