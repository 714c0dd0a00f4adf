import { parse } from 'yaml';
import { z } from 'zod';
import { SetupError } from '../cluster/setup-error.ts';
import { type KeyPath, keyText, type YamlSource } from './config-source.ts';

/** A value that goes before the file's: of a flag, before that of the environment. */
export interface Override {
  readonly path: KeyPath;
  readonly value: unknown;
  /** What the user wrote it as: `PGHERD_LISTEN_PORT`, `--set listen.port`. */
  readonly origin: string;
}

/** A key that may be given by the environment: everything that is no part of a list. */
interface Key {
  readonly path: readonly string[];
  readonly isText: boolean;
}

/** What the environment and `--set key=value` say, the latter last. `schema`: whose keys there are. */
export function readOverrides(
  schema: z.ZodType,
  set: readonly string[] = [],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Override[] {
  const keys = keysOf(jsonSchema(schema), []);
  const fromEnvironment = keys.flatMap(({ path, isText }): Override[] => {
    const origin = environmentName(path);
    const text = environment[origin];
    return text === undefined ? [] : [{ path, origin, value: isText ? text : readValue(text, origin) }];
  });
  return [...fromEnvironment, ...set.map((assignment) => flagOverride(assignment, keys))];
}

/** `pools.maxConnectionsPerPool` → `PGHERD_POOLS_MAX_CONNECTIONS_PER_POOL` */
export function environmentName(path: KeyPath): string {
  const words = path.map((key) =>
    String(key)
      .replace(/(?<=[a-z])(?=[A-Z])/g, '_')
      .toUpperCase(),
  );
  return ['PGHERD', ...words].join('_');
}

function flagOverride(assignment: string, keys: readonly Key[]): Override {
  const [, name = '', text = ''] = /^([^=]+)=(.*)$/s.exec(assignment) ?? [];
  if (name === '')
    throw new SetupError(`--set ${assignment}: key=value is expected`, 'For example --set listen.port=6432.');
  const origin = `--set ${name}`;
  const path = name.split('.').map((key) => (/^\d+$/.test(key) ? Number(key) : key));
  if (path.includes('__proto__')) throw new SetupError(`${origin}: there is no such key`);
  const isText = keys.some((key) => key.isText && key.path.join('.') === name);
  return { path, origin, value: isText ? text : readValue(text, origin) };
}

/** As in the file: `true`, `6432`, `[{ name: worker1, host: db1 }]`. */
function readValue(text: string, origin: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new SetupError(`${origin}: ${(error as Error).message.split('\n')[0]}`, 'Its value is read as YAML.');
  }
}

/** The source with the overrides in it; faults in what they say name them instead of a line. */
export function overlay(source: YamlSource, overrides: readonly Override[]): YamlSource {
  if (overrides.length === 0) return source;
  const value = structuredClone(source.value ?? {});
  for (const { path, value: own } of overrides) place(value, path, own);
  return {
    value,
    where: (path) => originOf(path, overrides) ?? source.where(path),
    say(path, message) {
      const origin = originOf(path, overrides) ?? (source.where(path) ? undefined : originBelow(path, overrides));
      return origin === undefined ? source.say(path, message) : `${origin}: ${keyText(path)}: ${message}`;
    },
  };
}

/** Of a key that stands there only because one below it was given. */
function originBelow(path: KeyPath, overrides: readonly Override[]): string | undefined {
  if (path.length === 0) return undefined;
  return overrides.findLast((each) => path.every((key, i) => String(key) === String(each.path[i])))?.origin;
}

function originOf(path: KeyPath, overrides: readonly Override[]): string | undefined {
  return overrides.findLast((each) => each.path.every((key, i) => String(key) === String(path[i])))?.origin;
}

function place(into: unknown, path: KeyPath, value: unknown): void {
  let at = into as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) {
    if (typeof at[key] !== 'object' || at[key] === null) at[key] = {};
    at = at[key] as Record<string | number, unknown>;
  }
  at[path.at(-1)!] = value;
}

export interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly anyOf?: readonly JsonSchema[];
  readonly [key: string]: unknown;
}

/** For editors, and for the names of variables. */
export function jsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
}

function keysOf({ properties, anyOf, type }: JsonSchema, path: readonly string[]): Key[] {
  const inner = Object.entries(properties ?? {}).flatMap(([name, schema]) => keysOf(schema, [...path, name]));
  const choices = (anyOf ?? []).flatMap((schema) =>
    keysOf(schema, path).filter((key) => key.path.length > path.length),
  );
  const own = path.length === 0 || properties !== undefined ? [] : [{ path, isText: type === 'string' }];
  return [...own, ...inner, ...choices];
}
