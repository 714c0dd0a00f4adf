import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { pgherd } from '../harness/pgherd-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgherd-command-'));
const file = join(folder, 'pgherd.yaml');
writeFileSync(file, 'coordinator: { host: db0, password: geheim }\nhttp: { token: a-token-that-nobody-knows }\n');

afterAll(() => rmSync(folder, { recursive: true }));

test('config show says where each value comes from, and no secret', async () => {
  const args = ['config', 'show', '--config', file, '--set', 'shardCount=64'];
  const { code, stdout } = await pgherd(args, { PGHERD_LISTEN_PORT: '6432' });
  expect(code).toBe(0);
  expect(stdout).toContain('port: 6432 # PGHERD_LISTEN_PORT');
  expect(stdout).toContain('shardCount: 64 # --set shardCount');
  expect(stdout).toContain(`host: db0 # ${file}:1`);
  expect(stdout).toContain('auth: scram # default');
  expect(stdout).not.toMatch(/geheim|nobody/);
  const { stdout: json } = await pgherd([...args, '--json']);
  expect(JSON.parse(json)).toMatchObject({
    for: 'router',
    values: { listen: { port: 5432 } },
    origins: { shardCount: '--set shardCount' },
  });
});

test('config check tells every fault, and has an exit code for scripts', async () => {
  expect(await pgherd(['config', 'check', '--config', file])).toMatchObject({
    code: 0,
    stdout: `ok: ${file}, for pgherd router\n`,
  });
  const faulty = await pgherd(['config', 'check', '--config', file, '--set', 'auth=none', '--json']);
  expect(faulty.code).toBe(1);
  expect(JSON.parse(faulty.stdout)).toMatchObject({
    ok: false,
    faults: [expect.stringMatching(/^--set auth: auth: /)],
  });
  const forUp = await pgherd(['config', 'check', '--config', file, '--for', 'up']);
  expect(forUp).toMatchObject({ code: 1, stderr: expect.stringContaining('coordinator: is for pgherd router') });
});

interface Entry {
  readonly words: string;
  readonly help: string;
  readonly commands: readonly { readonly name: string }[];
  readonly options: readonly { readonly flags: readonly string[] }[];
}

const throughShells: readonly string[] = ['psql', 'router', 'completion', 'config schema'];

test('every command shows examples in its help, and speaks JSON', async () => {
  const entries: Entry[] = JSON.parse((await pgherd(['completion', 'json'])).stdout);
  expect(entries.length).toBeGreaterThan(15);
  expect(entries.filter(({ help }) => !help.includes('Examples:')).map(({ words }) => words)).toEqual([]);
  const leaves = entries.filter(({ commands }) => commands.length === 0);
  const mute = leaves
    .filter(({ options }) => !options.some(({ flags }) => flags.includes('--json')))
    .map(({ words }) => words);
  // Arguments of psql are psql's; a router logs JSON; the others print what other programs read.
  expect(mute.filter((words) => !throughShells.includes(words))).toEqual([]);
});

const has = (shell: string) => spawnSync(shell, ['-c', 'true']).status === 0;
const script = async (shell: string) => {
  const path = join(folder, `completion.${shell}`);
  writeFileSync(path, (await pgherd(['completion', shell])).stdout);
  return path;
};
const run = (shell: string, text: string) => {
  const { stdout, stderr } = spawnSync(shell, ['-c', text], { encoding: 'utf8', cwd: folder });
  return `${stdout}${stderr}`.trim().split(/\s+/);
};

test.skipIf(!has('bash'))('bash completes commands, options, and values', async () => {
  const path = await script('bash');
  const complete = (...words: string[]) =>
    run(
      'bash',
      `source ${path}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; compopt() { :; }; _pgherd; echo "\${COMPREPLY[@]}"`,
    );
  expect(complete('pgherd', 'rep')).toEqual(['report']);
  expect(complete('pgherd', 'report', 'com')).toEqual(['compliance']);
  expect(complete('pgherd', 'report', 'compliance', '--lang', '')).toEqual(['en', 'zh']);
  expect(complete('pgherd', 'demo', 'f')).toEqual(['finance']);
  expect(complete('pgherd', 'up', '--config', 'pg')).toEqual(['pgherd.yaml']);
  expect(complete('pgherd', 'up', '--det')).toEqual(['--detach']);
});

test.skipIf(!has('fish'))('fish completes commands and options', async () => {
  const path = await script('fish');
  const complete = (line: string) => run('fish', `source ${path}; complete -C '${line}'`)[0];
  expect(complete('pgherd report com')).toBe('compliance');
  expect(complete('pgherd up --det')).toBe('--detach');
  expect(complete('pgherd report compliance --lang z')).toBe('zh');
});

test.skipIf(!has('zsh'))('zsh takes its script', async () => {
  const path = await script('zsh');
  expect(spawnSync('zsh', ['-n', path], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  const probe = `autoload -Uz compinit; compinit -u -d ${folder}/dump; source ${path}; _describe() { print -l -- \${(P)2}; }; words=(pgherd report ''); CURRENT=3; _pgherd; print \${_comps[pgherd]}`;
  const lines = run('zsh', `setopt no_monitor; ${probe}`).join(' ');
  expect(lines).toContain('compliance:suspicious activity');
  expect(lines).toContain('_pgherd');
});
