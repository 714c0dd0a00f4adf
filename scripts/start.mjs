// npm start [-- --port N --nodes N --data DIR --detach]: installs and builds what is missing, then runs `pgherd up`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepareBuild, prepareModules, root, script } from './prepare.mjs';

await script(async () => {
  prepareModules();
  prepareBuild();
  const main = join(root, 'dist', 'cli', 'main.js');
  process.argv = [process.argv[0], main, 'up', ...process.argv.slice(2)];
  stopWithParent();
  // In this very process: signals, the terminal and the exit code need no passing on.
  await import(pathToFileURL(main).href);
});

/**
 * npm runs scripts through a shell, which passes no signal on: with npm or that shell gone, nobody would know of the herd
 * that still runs. So it stops when one of them is.
 */
function stopWithParent() {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  // A shell that has replaced itself by us leaves npm as our parent, whose own parent may come and go.
  const grandparent = nameOf(parent).endsWith('sh') ? parentOf(parent) : undefined;
  const watch = setInterval(() => {
    const orphaned = process.ppid !== parent || (grandparent !== undefined && parentOf(parent) !== grandparent);
    if (!orphaned) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, 200);
  watch.unref();
}

/** Linux tells it in the fourth field, behind the command's name in brackets; elsewhere it stays unknown. */
function parentOf(pid) {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
}

function nameOf(pid) {
  return read(`/proc/${pid}/comm`).trim();
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
