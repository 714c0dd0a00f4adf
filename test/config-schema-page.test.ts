import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { jsonSchema } from '../src/cli/config-overrides.ts';
import { configSchema } from '../src/cli/config-schema.ts';

const page = join(import.meta.dirname, '..', 'docs', 'pgherd.schema.json');

test('docs/pgherd.schema.json is what the configuration is checked by (UPDATE_GOLDEN=1 rewrites it)', () => {
  const schema = jsonSchema(configSchema);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(page, `${JSON.stringify(schema, null, 2)}\n`);
  expect(JSON.parse(existsSync(page) ? readFileSync(page, 'utf8') : '{}')).toEqual(schema);
});
