import { pgError } from '../core/errors.ts';

/** A setting as a server's pg_settings describes it. */
export interface SettingShape {
  readonly name: string;
  readonly type: string;
  /** What a bare number means: `kB`, `8kB`, `ms`, …; null for one without a unit. */
  readonly unit: string | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly values: readonly string[] | null;
}

/**
 * Whether the server would take a value, as far as pg_settings tells; it is asked before any server is changed. What is left (paths,
 * names, lists) ALTER SYSTEM judges.
 */
export function checkSettingValue(setting: SettingShape, value: string): void {
  switch (setting.type) {
    case 'bool':
      if (!isBoolean(value)) throw refuse(setting, value, 'It is on or off.');
      return;
    case 'enum': {
      const known = setting.values ?? [];
      if (!known.includes(value.toLowerCase()) && !isBoolean(value)) {
        throw refuse(setting, value, `Available values: ${known.join(', ')}.`);
      }
      return;
    }
    case 'integer':
    case 'real':
      checkNumber(setting, value);
      return;
    default:
      return;
  }
}

/** parse_bool(): any unique beginning of true, false, yes, no; on, off, 1, 0. */
function isBoolean(value: string): boolean {
  const text = value.toLowerCase();
  if (['on', 'off', 'of', '1', '0'].includes(text)) return true;
  return text !== '' && ['true', 'false', 'yes', 'no'].some((word) => word.startsWith(text));
}

const sizes: Readonly<Record<string, number>> = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };
const times: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

function checkNumber(setting: SettingShape, value: string): void {
  const { unit, min, max, type } = setting;
  const [, digits, suffix] =
    /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|0x[\da-f]+)\s*([A-Za-z]*)\s*$/i.exec(value) ?? [];
  if (digits === undefined)
    throw refuse(setting, value, `It takes a number${unit ? ` with a unit, or of ${unit}` : ''}.`);
  const number = Number(digits) * (suffix ? factor(setting, value, suffix) : 1);
  const rounded = type === 'integer' ? Math.round(number) : number;
  if ((min !== null && rounded < min) || (max !== null && rounded > max)) {
    const range = `${min ?? ''} .. ${max ?? ''}${unit ? ` (of ${unit})` : ''}`;
    throw pgError(
      'invalidParameterValue',
      `${value} is outside the valid range for parameter "${setting.name}" (${range})`,
    );
  }
}

/** How many of the setting's own units one of the given is: units are case-sensitive. */
function factor(setting: SettingShape, value: string, suffix: string): number {
  const [, count = '', base = ''] = /^(\d*)(\w+)$/.exec(setting.unit ?? '') ?? [];
  const units = base in sizes ? sizes : base in times ? times : null;
  const asked = units?.[suffix];
  if (!units || asked === undefined) {
    const hint = units ? `Valid units for this parameter are ${Object.keys(units).join(', ')}.` : 'It has no unit.';
    throw refuse(setting, value, hint);
  }
  return asked / (units[base]! * Number(count || '1'));
}

function refuse({ name }: SettingShape, value: string, hint: string) {
  return pgError('invalidParameterValue', `invalid value for parameter "${name}": "${value}"`, { hint });
}
