import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { SetupError } from '../cluster/setup-error.ts';
import { type AlertKind, alertKinds, defaultRules, type Rules, severities } from '../monitor/rules.ts';
import { parseYaml } from './config-source.ts';

const severity = z.enum([...severities, 'off']);

/** Every figure of a rule may be given another value; the names are those of monitor/rules.ts. */
function ruleSchema(kind: AlertKind) {
  const figures = Object.keys(defaultRules[kind]).filter((name) => name !== 'severity');
  return z
    .strictObject({
      severity: severity.optional(),
      ...Object.fromEntries(figures.map((name) => [name, z.number().min(0).optional()])),
    })
    .optional();
}

/** The block `monitor:` of a configuration. */
export const monitorSchema = z.strictObject({
  alerts: z.strictObject(Object.fromEntries(alertKinds.map((kind) => [kind, ruleSchema(kind)]))).optional(),
  /** Which statements the figures of statements count: a pattern of LIKE. */
  statements: z.string().min(1).optional(),
  log: z.string().min(1).optional(),
  webhook: z.url({ protocol: /^https?$/ }).optional(),
});

export type MonitorBlock = z.infer<typeof monitorSchema>;

export interface MonitorConfig {
  readonly rules: Rules;
  readonly statementPattern: string;
  readonly log: string | null;
  readonly webhook: string | null;
}

export function monitorConfig(block: MonitorBlock | undefined): MonitorConfig {
  const changed = (block?.alerts ?? {}) as Partial<Record<AlertKind, object>>;
  const rules = Object.fromEntries(alertKinds.map((kind) => [kind, { ...defaultRules[kind], ...changed[kind] }]));
  return {
    rules: rules as unknown as Rules,
    statementPattern: block?.statements ?? '%',
    log: block?.log ?? null,
    webhook: block?.webhook ?? null,
  };
}

/** Of a whole `pgherd.yaml` the monitor reads its own block only. */
export async function loadMonitorConfig(file: string | undefined): Promise<MonitorConfig> {
  if (file === undefined) return monitorConfig(undefined);
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new SetupError(`cannot read the configuration: ${error.message}`, 'Name it with --config FILE.');
  });
  const source = parseYaml(file, text);
  const result = z.looseObject({ monitor: monitorSchema.optional() }).safeParse(source.value ?? {});
  if (result.success) return monitorConfig(result.data.monitor);
  const faults = result.error.issues.map((issue) => {
    const path = issue.path.filter((key) => typeof key !== 'symbol');
    return issue.code === 'unrecognized_keys'
      ? source.say([...path, ...issue.keys], 'there is no such key')
      : source.say(path, issue.message);
  });
  throw new SetupError(faults.join('\n'), 'docs/operations.md lists the keys.');
}
