import { type SpawnOptionsWithoutStdio, spawn, spawnSync } from 'node:child_process';

export type Tool = { readonly path: string; readonly major: number };
export type Run = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** A program on PATH, or undefined with one visible line. */
export function findTool(name: string): Tool | undefined {
  const { status, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' });
  const major = /(\d+)(?:\.\d+|devel|beta|rc)/.exec(stdout ?? '')?.[1];
  if (status === 0 && major !== undefined) return { path: name, major: Number(major) };
  skip(name, 'it is not installed');
  return undefined;
}

export function findPythonModule(name: string): string | undefined {
  for (const python of ['python3', 'python'])
    if (spawnSync(python, ['-c', `import ${name}`]).status === 0) return python;
  skip(name, 'no Python that can import it');
  return undefined;
}

function skip(name: string, reason: string): void {
  process.stderr.write(`SKIPPED: tests of ${name}: ${reason}\n`);
}

/** Runs a program to its end, with everything it wrote. */
export function runTool(
  path: string,
  args: readonly string[],
  options: SpawnOptionsWithoutStdio & { input?: string } = {},
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { timeout: 120_000, ...options });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}
