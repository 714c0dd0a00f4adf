import type { DefElem, Node } from '@pgsql/types';
import { pgError } from '../core/errors.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/quote.ts';
import { type CopyCsvOptions, copyCsvDefaults } from '../wire/copy-csv.ts';
import { copyTextDefaults } from '../wire/copy-text.ts';

export type CopyFormat = 'text' | 'csv' | 'binary';

/**
 * What the router itself has to know of a COPY's options. They are not checked here: the servers get them as they were written
 * and refuse what PostgreSQL refuses, before the client is asked for data.
 */
export interface CopyOptions {
  readonly format: CopyFormat;
  /** Quote and escape mean something in CSV only. */
  readonly bytes: CopyCsvOptions;
  readonly header: 'none' | 'skip' | 'match';
  readonly forceNull: ReadonlySet<string>;
  readonly forceNotNull: ReadonlySet<string>;
  /** DEFAULT: a field may stand for its column's default. */
  readonly hasDefaultMarker: boolean;
  /** ON_ERROR ignore: rows that can't be read are skipped. */
  readonly skipsErrors: boolean;
  /** REJECT_LIMIT: rows skipped at most. */
  readonly maxSkippedRows: number;
  readonly freeze: boolean;
  /** ENCODING as written; null: the client's. */
  readonly encoding: string | null;
}

/** `columns` are those of the rows: what `*` means in FORCE_NULL and its like. */
export function readCopyOptions(options: readonly Node[], columns: readonly string[]): CopyOptions {
  const elements = new Map(definitions(options).map((element) => [element.defname ?? '', element]));
  const text = (name: string) => {
    const element = elements.get(name);
    return element === undefined ? null : argumentText(element);
  };
  const format = formatOf(text('format'));
  const defaults = format === 'csv' ? copyCsvDefaults : { ...copyCsvDefaults, ...copyTextDefaults };
  const quote = firstByte(text('quote')) ?? defaults.quote;
  const limit = Number(text('reject_limit') ?? Number.NaN);
  return {
    format,
    bytes: {
      delimiter: firstByte(text('delimiter')) ?? defaults.delimiter,
      null: bytesOf(text('null')) ?? defaults.null,
      quote,
      escape: firstByte(text('escape')) ?? quote,
    },
    header: headerOf(elements.get('header'), format),
    forceNull: columnSet(elements.get('force_null'), columns),
    forceNotNull: columnSet(elements.get('force_not_null'), columns),
    hasDefaultMarker: elements.has('default'),
    skipsErrors: text('on_error') === 'ignore',
    maxSkippedRows: limit > 0 ? limit : Number.POSITIVE_INFINITY,
    freeze: elements.has('freeze') && isTrue(text('freeze')),
    encoding: text('encoding'),
  };
}

/** For a COPY FROM on a server: header, FREEZE and encoding are the router's own business. */
export function copyInOptionsSql(options: readonly Node[], columns: readonly string[]): string {
  const routers = new Set(['header', 'freeze', 'encoding']);
  return optionList(
    definitions(options).filter((element) => !routers.has(element.defname ?? '')),
    columns,
  );
}

/** For a COPY TO on a server: all options as they were written. */
export function copyOutOptionsSql(options: readonly Node[]): string {
  return optionList(definitions(options), null);
}

function optionList(elements: readonly DefElem[], columns: readonly string[] | null): string {
  if (elements.length === 0) return '';
  const list = elements.map((element) => `${quoteIdentifier(element.defname ?? '')} ${argumentSql(element, columns)}`);
  return ` WITH (${list.join(', ')})`;
}

function argumentSql({ arg }: DefElem, columns: readonly string[] | null): string {
  if (arg === undefined) return '';
  if ('String' in arg) return quoteLiteral(arg.String.sval ?? '').trim();
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0);
  if ('Float' in arg) return arg.Float.fval ?? '0';
  if ('Boolean' in arg) return arg.Boolean.boolval ? 'true' : 'false';
  // On the servers the column list has columns besides the client's, to which a star must not apply.
  if ('A_Star' in arg) return columns === null ? '*' : nameList(columns);
  if ('List' in arg) return nameList(stringsOf(arg.List.items ?? []));
  throw pgError('syntaxError', 'an option of COPY has an unexpected argument');
}

function nameList(names: readonly string[]): string {
  return `(${names.map(quoteIdentifier).join(', ')})`;
}

function definitions(options: readonly Node[]): DefElem[] {
  return options.flatMap((option) => ('DefElem' in option ? [option.DefElem] : []));
}

export function stringsOf(nodes: readonly Node[]): string[] {
  return nodes.flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []));
}

function argumentText(element: DefElem): string | null {
  const { arg } = element;
  if (arg === undefined) return null;
  if ('String' in arg) return arg.String.sval ?? '';
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0);
  if ('Boolean' in arg) return arg.Boolean.boolval ? 'true' : 'false';
  return null;
}

function formatOf(name: string | null): CopyFormat {
  return name === 'csv' || name === 'binary' ? name : 'text';
}

function headerOf(element: DefElem | undefined, format: CopyFormat): CopyOptions['header'] {
  if (element === undefined) return 'none';
  const text = argumentText(element)?.toLowerCase() ?? 'true';
  const header = text === 'match' ? 'match' : booleans.get(text) === true ? 'skip' : 'none';
  if (header === 'none' && booleans.get(text) !== false) {
    throw pgError('syntaxError', 'header requires a Boolean value or "match"');
  }
  if (header !== 'none' && format === 'binary') {
    throw pgError('featureNotSupported', 'cannot specify HEADER in BINARY mode');
  }
  return header;
}

const booleans = new Map(Object.entries({ true: true, on: true, '1': true, false: false, off: false, '0': false }));

function isTrue(text: string | null): boolean {
  return text === null || booleans.get(text.toLowerCase()) === true;
}

function columnSet(element: DefElem | undefined, columns: readonly string[]): ReadonlySet<string> {
  const arg = element?.arg;
  if (arg === undefined) return new Set();
  if ('A_Star' in arg) return new Set(columns);
  return new Set('List' in arg ? stringsOf(arg.List.items ?? []) : []);
}

function bytesOf(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text);
}

function firstByte(text: string | null): number | undefined {
  return bytesOf(text)?.[0];
}
