// node scripts/build-dashboard.mjs <folder>: the dashboard's page, for whoever serves it.
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const source = join(dirname(dirname(fileURLToPath(import.meta.url))), 'src', 'monitor', 'dashboard');

export async function buildDashboard(folder) {
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: [join(source, 'main.tsx')],
    outfile: join(folder, 'app.js'),
    ...{ bundle: true, minify: true, format: 'iife', target: 'es2022', logLevel: 'warning' },
    ...{ jsx: 'automatic', jsxImportSource: 'preact' },
  });
  for (const name of ['index.html', 'app.css']) copyFileSync(join(source, name), join(folder, name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildDashboard(process.argv[2]);
