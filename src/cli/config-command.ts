import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { Document, isScalar, visit } from 'yaml';
import type { z } from 'zod';
import { SetupError } from '../cluster/setup-error.ts';
import { colour } from './colours.ts';
import { exitCodes, leave } from './command-line.ts';
import { describeIssue, faultHint, saysRouterKey } from './config.ts';
import { jsonSchema, type Override, overlay, readOverrides } from './config-overrides.ts';
import { configSchema, upConfigSchema } from './config-schema.ts';
import { type KeyPath, parseYaml, type YamlSource } from './config-source.ts';

interface ConfigFlags {
  readonly config?: string;
  readonly for?: Kind;
  readonly set: readonly string[];
  readonly json?: true;
}

type Kind = 'router' | 'up';
const schemas: Readonly<Record<Kind, z.ZodType>> = { router: configSchema, up: upConfigSchema };

export const configOption = () => new Option('--config <file>', 'YAML configuration').env('PGHERD_CONFIG');
export const setOption = () =>
  new Option('--set <key=value>', 'goes before the file and the environment; may be repeated, as listen.port=6432')
    .default([])
    .argParser((text: string, before: unknown) => [...(before as string[]), text]);

export function addConfigCommands(program: Command): void {
  const config = program
    .command('config')
    .description('check and show a configuration')
    .addHelpText(
      'after',
      `
Flags go before environment variables, and those before the file. listen.port is PGHERD_LISTEN_PORT, pools.maxConnectionsPerPool is
PGHERD_POOLS_MAX_CONNECTIONS_PER_POOL, and so on; lists are given as YAML.

Examples:
  pgherd config check --config pgherd.yaml
  PGHERD_LISTEN_PORT=6432 pgherd config show --config pgherd.yaml
  pgherd config schema > pgherd.schema.json      for editors: # yaml-language-server: $schema=pgherd.schema.json`,
    );
  const withSource = (name: string, description: string) =>
    config
      .command(name)
      .description(description)
      .addOption(configOption())
      .addOption(
        new Option('--for <command>', 'whose it is (default: router, if it names a coordinator)').choices([
          'router',
          'up',
        ]),
      )
      .addOption(setOption())
      .option('--json', 'for programs')
      .addHelpText(
        'after',
        `\nExamples:\n  pgherd config ${name}\n  pgherd config ${name} --config pgherd.yaml --set shardCount=64 --json`,
      );
  withSource('check', 'say what is wrong with it, with line and key').action(async (flags: ConfigFlags) =>
    leave(await check(flags)),
  );
  withSource('show', 'show all values, and where each comes from; passwords are not shown').action(
    async (flags: ConfigFlags) => {
      process.stdout.write(show(await read(flags), flags.json ?? false));
      leave(exitCodes.done);
    },
  );
  config
    .command('schema')
    .description('print the JSON Schema of pgherd.yaml')
    .addOption(new Option('--for <command>', 'whose').choices(['router', 'up']).default('router'))
    .addHelpText('after', '\nExamples:\n  pgherd config schema > pgherd.schema.json')
    .action(({ for: kind }: { for: Kind }) => {
      process.stdout.write(`${JSON.stringify(jsonSchema(schemas[kind]), null, 2)}\n`);
      leave(exitCodes.done);
    });
}

const usualFile = 'pgherd.yaml';

interface ReadConfig {
  readonly kind: Kind;
  readonly file: string | null;
  readonly source: YamlSource;
  readonly overrides: readonly Override[];
  readonly result: z.ZodSafeParseResult<unknown>;
}

async function read({ config, for: asked, set }: ConfigFlags): Promise<ReadConfig> {
  const file = config ?? (existsSync(usualFile) ? usualFile : null);
  const text =
    file === null
      ? ''
      : await readFile(file, 'utf8').catch((error: Error) => {
          throw new SetupError(`cannot read the configuration: ${error.message}`, 'Name it with --config FILE.');
        });
  const plain = parseYaml(file ?? usualFile, text);
  const all = overlay(plain, readOverrides(configSchema, set));
  const kind = asked ?? ('coordinator' in ((all.value ?? {}) as object) ? 'router' : 'up');
  const overrides = readOverrides(schemas[kind], set);
  const source = overlay(plain, overrides);
  return { kind, file, source, overrides, result: schemas[kind].safeParse(source.value ?? {}, { reportInput: true }) };
}

async function check(flags: ConfigFlags): Promise<number> {
  const { kind, file, source, result } = await read(flags);
  const faults = result.success
    ? []
    : result.error.issues.flatMap((issue) => describeIssue(source, issue, unknownKey[kind]));
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ ok: faults.length === 0, for: kind, file, faults }, null, 2)}\n`);
  } else if (faults.length === 0) {
    process.stdout.write(`${colour('green', 'ok')}: ${file ?? 'the defaults'}, for pgherd ${kind}\n`);
  } else {
    process.stderr.write(`${faults.map((fault) => `pgherd: ${fault}`).join('\n')}\n${faultHint[kind]}\n`);
  }
  return faults.length === 0 ? exitCodes.done : exitCodes.failed;
}

const unknownKey = { router: undefined, up: saysRouterKey } as const;

const secretKeys: ReadonlySet<string> = new Set(['password', 'token']);

function show({ kind, source, result }: ReadConfig, asJson: boolean): string {
  if (!result.success) {
    throw new SetupError(
      result.error.issues.flatMap((issue) => describeIssue(source, issue)).join('\n'),
      faultHint[kind],
    );
  }
  const origins: Record<string, string> = {};
  const document = new Document(result.data);
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === 'key') return;
      const path = pathTo(ancestors, node);
      if (secretKeys.has(String(path.at(-1)))) node.value = '(not shown)';
      origins[path.join('.')] = source.where(path) ?? 'default';
      node.comment = ` ${source.where(path) ?? 'default'}`;
    },
  });
  return asJson ? `${JSON.stringify({ for: kind, values: document.toJS(), origins }, null, 2)}\n` : document.toString();
}

/** Keys of the maps and positions in the lists that lead to a value. */
function pathTo(ancestors: readonly unknown[], node: unknown): KeyPath {
  const line = [...ancestors, node];
  return line.flatMap((each, i): (string | number)[] => {
    const child = line[i + 1] as { key?: unknown } | undefined;
    if (child && typeof child === 'object' && isScalar(child.key)) return [String(child.key.value)];
    const items = (each as { items?: unknown[] }).items;
    return items && i > 0 && items.includes(child) && !(child as { key?: unknown }).key ? [items.indexOf(child)] : [];
  });
}
