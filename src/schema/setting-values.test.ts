import { describe, expect, test } from 'vitest';
import { checkSettingValue, type SettingShape } from './setting-values.ts';

const plain: SettingShape = { name: 'x', type: 'string', unit: null, min: null, max: null, values: null };
const buffers = { ...plain, type: 'integer', unit: '8kB', min: 16, max: 1_073_741_823 };
const timeout = { ...plain, type: 'integer', unit: 'ms', min: 0, max: 2_147_483_647 };
const accepts = (setting: SettingShape, value: string) => {
  try {
    checkSettingValue(setting, value);
    return true;
  } catch {
    return false;
  }
};

describe('values of settings are judged as the server judges them', () => {
  test.each([
    ['256MB', true],
    ['16', true],
    ['15', false],
    ['128kB', true],
    ['64kB', false],
    ['1 GB', true],
    ['1gb', false],
    ['lots', false],
    ['9TB', false],
    ['5s', false],
  ])('shared_buffers = %s', (value, good) => expect(accepts(buffers, value)).toBe(good));

  test.each([
    ['5s', true],
    ['1.5min', true],
    ['-1', false],
    ['30d', false],
    ['10MB', false],
  ])('a timeout = %s', (value, good) => expect(accepts(timeout, value)).toBe(good));

  test.each([
    ['on', true],
    ['tr', true],
    ['perhaps', false],
  ])('a boolean = %s', (value, good) => expect(accepts({ ...plain, type: 'bool' }, value)).toBe(good));

  test.each([
    ['ddl', true],
    ['DDL', true],
    ['some', false],
  ])('log_statement = %s', (value, good) =>
    expect(accepts({ ...plain, type: 'enum', values: ['none', 'ddl', 'mod', 'all'] }, value)).toBe(good),
  );

  test('a number without a unit takes none', () => {
    const connections = { ...plain, type: 'integer', min: 1, max: 262_143 };
    expect(accepts(connections, '200')).toBe(true);
    expect(accepts(connections, '200MB')).toBe(false);
    expect(accepts(connections, '0')).toBe(false);
  });
});
