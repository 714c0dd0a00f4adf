import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Words } from './words.ts';

/** The charts' library, to be put into pages: they open without a network. */
export function chartLibrary(): string {
  const file = createRequire(import.meta.url).resolve('echarts/dist/echarts.common.min.js');
  // No end tag may stand in it.
  return readFileSync(file, 'utf8').replaceAll('</script', '<\\/script');
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** A value as a script's literal, wherever its text came from. */
export function scriptValue(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export interface PageParts {
  readonly words: Words;
  readonly title: string;
  /** HTML. */
  readonly body: string;
  /** JavaScript, each a script of its own. */
  readonly scripts: readonly string[];
  /** Of content from the page's own server; none: the page fetches nothing. */
  readonly connects?: boolean;
}

/** A page that is whole in itself: styles and scripts are in it, and it may load nothing. */
export function htmlPage({ words, title, body, scripts, connects = false }: PageParts): string {
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:;${connects ? " connect-src 'self';" : ''}`;
  return `<!doctype html>
<html lang="${words.locale}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)}</title>
<style>${css}</style>
</head>
<body>
<main>
${body}
</main>
${scripts.map((script) => `<script>${script}</script>`).join('\n')}
</body>
</html>
`;
}

const css = `
:root { color-scheme: light dark; --ink: #1b2430; --soft: #5b6675; --line: #d6dce3; --paper: #ffffff; --band: #f3f6f9; --accent: #1f5fae; --alarm: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf1; --soft: #9aa7b6; --line: #3a4450; --paper: #161b22; --band: #1f2630; --accent: #7fb2f0; --alarm: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 8px; border-bottom: 1px solid var(--line); padding-bottom: 4px; }
a { color: var(--accent); }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 8px; margin: 16px 0; }
dl.facts div { background: var(--band); border-radius: 6px; padding: 8px 12px; } dl.facts dt { color: var(--soft); font-size: 13px; } dl.facts dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.chart { width: 100%; height: 380px; } .chart.pie { height: 320px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; } th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; font-size: 13px; } td.n, th.n { text-align: right; }
.empty, .notes { background: var(--band); border-left: 4px solid var(--accent); padding: 8px 12px; margin: 12px 0; } .notes ul { margin: 0; padding-left: 18px; }
.soft { color: var(--soft); } .alarm { color: var(--alarm); font-weight: 600; }
@media print {
  :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --band: #f3f3f3; --accent: #000; }
  @page { size: A4; margin: 14mm; } main { max-width: none; padding: 0; } body { font-size: 11px; }
  h2, .chart, tr, dl.facts div { break-inside: avoid; } h2 { break-after: avoid; } .chart { height: 260px; width: 180mm; } thead { display: table-header-group; } a { text-decoration: none; } .noprint { display: none; }
}`;

export interface Column<Item> {
  readonly head: string;
  readonly isNumber?: boolean;
  cell(item: Item): string;
}

export function htmlTable<Item>(items: readonly Item[], columns: readonly Column<Item>[]): string {
  const kind = (column: Column<Item>) => (column.isNumber ? ' class="n"' : '');
  const head = columns.map((column) => `<th scope="col"${kind(column)}>${escapeHtml(column.head)}</th>`).join('');
  const rows = items.map((item) => {
    const cells = columns.map((column) => `<td${kind(column)}>${escapeHtml(column.cell(item))}</td>`);
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table></div>`;
}

export function factList(facts: readonly (readonly [string, string])[]): string {
  const items = facts.map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`);
  return `<dl class="facts">${items.join('')}</dl>`;
}
