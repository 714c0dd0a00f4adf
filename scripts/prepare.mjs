// What a fresh clone needs before anything of it can run. Plain JavaScript without dependencies, for any Node.js.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);
const say = (message) => process.stderr.write(`pgherd: ${message}\n`);

export function prepareModules() {
  checkNode();
  if (modulesAreCurrent()) return;
  say('installing dependencies (once; some minutes on a slow line)');
  const command = existsSync(at('package-lock.json')) ? 'ci' : 'install';
  // Development dependencies too, whatever NODE_ENV says: the compiler is one.
  npm([command, '--include=dev', '--no-audit', '--no-fund']);
}

export function prepareBuild() {
  if (readText(at('dist', stampName)) !== sourceStamp()) build();
}

/** What runs in browsers is bundled apart. */
const browserSource = at('src', 'monitor', 'dashboard');

/** Compiles src/ to dist/, which appears at once and whole: another start may be running from the old one. */
export function build() {
  say('building');
  const draft = at('node_modules', `.pgherd-dist.${process.pid}`);
  try {
    run(process.execPath, [at('node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', draft]);
    cpSync(at('src'), draft, { recursive: true, filter: (path) => !/\.tsx?$/.test(path) && path !== browserSource });
    run(process.execPath, [at('scripts/build-dashboard.mjs'), join(draft, 'monitor', 'dashboard-built')]);
    chmodSync(join(draft, 'cli', 'main.js'), 0o755);
    writeFileSync(join(draft, stampName), sourceStamp());
    rmSync(at('dist'), { recursive: true, force: true });
    renameSync(draft, at('dist'));
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Runs a command in the clone's folder; ends this process when it fails. */
export function run(file, args) {
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: 'inherit' });
  if (status === 0) return;
  if (error) say(`${file} could not be started: ${error.message}`);
  process.exitCode = status ?? 1;
  throw new Stop();
}

/** The command that failed has said why. */
class Stop extends Error {}

/** Runs the steps of a script; a failed step has been reported already. */
export async function script(steps) {
  try {
    await steps();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
  }
}

const lowestNode = [20, 19];

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > lowestNode[0] || (major === lowestNode[0] && minor >= lowestNode[1])) return;
  say(`Node.js ${lowestNode.join('.')} or newer is needed; this is ${process.versions.node}. See https://nodejs.org`);
  process.exitCode = 1;
  throw new Stop();
}

/** npm leaves a record of what it installed: it must hold every version of the lock file. */
function modulesAreCurrent() {
  const wanted = readJson(at('package-lock.json'))?.packages;
  const installed = readJson(at('node_modules', '.package-lock.json'))?.packages;
  if (!wanted || !installed) return Boolean(installed);
  return Object.entries(wanted).every(
    // Optional ones are programs of other platforms.
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
}

function npm(args) {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('.js')) return run(process.execPath, [cli, ...args]);
  return run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
}

const stampName = '.built-from';

/** Names and contents of everything that dist/ is made from. */
function sourceStamp() {
  const hash = createHash('sha256');
  for (const path of [...filesBelow('src'), 'tsconfig.json', 'tsconfig.build.json', 'scripts/build-dashboard.mjs']) {
    hash.update(`${path}\0`).update(readFileSync(at(path)));
  }
  return hash.digest('hex');
}

function filesBelow(dir) {
  return readdirSync(at(dir), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(dir, entry.name)) : [join(dir, entry.name)]))
    .filter((path) => !path.endsWith('.test.ts'));
}

function readText(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function readJson(path) {
  const text = readText(path);
  return text === undefined ? undefined : JSON.parse(text);
}
