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
