import type { Node } from '@pgsql/types';

/*
 * The parser's trees are plain JSON: a node is an object with one capitalised key (`{ ColumnRef: {…} }`); where the grammar
 * allows one kind only, the wrapper is left out (`InsertStmt.relation`).
 */

export type Fields = Readonly<Record<string, unknown>>;

/** The kind and the fields of a wrapped node. */
export function unwrap(node: Node): { kind: string; fields: Fields } {
  const [entry] = Object.entries(node);
  return { kind: entry?.[0] ?? '', fields: (entry?.[1] ?? {}) as Fields };
}

/** Calls `enter` for each wrapped node, parents first; `false` keeps it out of the node's children. */
export function walk(value: unknown, enter: (kind: string, fields: never, node: Node) => boolean | undefined): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, enter);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const key in value) {
    const child = (value as Record<string, unknown>)[key];
    if (typeof child !== 'object' || child === null) continue;
    if (isKind(key) && enter(key, child as never, value as Node) === false) continue;
    walk(child, enter);
  }
}

/** A copy in which `replace` has put other nodes for those it knows; what it returns is not walked again. */
export function mapNodes<T>(value: T, replace: (kind: string, fields: never) => Node | undefined): T {
  if (Array.isArray(value)) return value.map((item) => mapNodes(item, replace)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [first] = entries;
  if (first && entries.length === 1 && isKind(first[0])) {
    const replacement = replace(first[0], first[1] as never);
    if (replacement !== undefined) return replacement as T;
  }
  return Object.fromEntries(entries.map(([key, child]) => [key, mapNodes(child, replace)])) as T;
}

function isKind(key: string): boolean {
  const code = key.charCodeAt(0);
  return code >= 65 && code <= 90;
}

const positions = new Set([
  'location',
  'stmt_location',
  'stmt_len',
  'rexpr_list_start',
  'rexpr_list_end',
  'list_start',
  'list_end',
]);

/** A tree as a string in which only what it means is left: equal strings, equal trees. */
export function fingerprint(tree: unknown): string {
  return JSON.stringify(tree, (key, value) => {
    if (positions.has(key)) return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** The strings of a list of String nodes: a name and its qualifiers. `*` is null. */
export function nameParts(nodes: readonly Node[] | undefined): (string | null)[] {
  return (nodes ?? []).map((node) => ('String' in node ? (node.String.sval ?? '') : null));
}

export function columnRef(...names: string[]): Node {
  return { ColumnRef: { fields: names.map((sval) => ({ String: { sval } })) } };
}
