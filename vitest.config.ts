import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { 'pgherd/sdk': new URL('./src/sdk/entry.ts', import.meta.url).pathname } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    reporters: ['default'],
    watch: false,
  },
});
