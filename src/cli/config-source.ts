import { isAlias, isMap, isNode, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import { SetupError } from '../cluster/setup-error.ts';

export type KeyPath = readonly (string | number)[];

/** A YAML file with the means to say where in it something is. */
export interface YamlSource {
  /** The document as plain values. */
  readonly value: unknown;
  /** `pgherd.yaml:7: nodes[1].port: <message>`; of a key that is not there, the line of the nearest one that is. */
  say(path: KeyPath, message: string): string;
  /** `pgherd.yaml:7`; undefined: there is no such key. */
  where(path: KeyPath): string | undefined;
}

export function parseYaml(file: string, text: string): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [fault] = document.errors;
  if (fault) {
    const { line, col } = lines.linePos(fault.pos[0]);
    throw new SetupError(`${file}:${line}:${col}: ${fault.message}`, 'The file is not valid YAML.');
  }
  const resolveAlias = (node: unknown): unknown => (isAlias(node) ? node.resolve(document) : node);
  const value = toValue(file, () => document.toJS());
  return {
    value,
    where(path) {
      if (!isThere(value, path)) return undefined;
      return `${file}:${lines.linePos(offsetOf(document.contents, path, resolveAlias)).line}`;
    },
    say(path, message) {
      const { line } = lines.linePos(offsetOf(document.contents, path, resolveAlias));
      return `${file}:${line}: ${path.length > 0 ? `${keyText(path)}: ` : ''}${message}`;
    },
  };
}

function isThere(value: unknown, path: KeyPath): boolean {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !(key in at)) return false;
    at = (at as Record<string | number, unknown>)[key];
  }
  return true;
}

/** Aliases are expanded here; the library refuses documents that blow up by it. */
function toValue(file: string, expand: () => unknown): unknown {
  try {
    return expand();
  } catch (error) {
    throw new SetupError(`${file}: ${(error as Error).message}`, 'The file is not valid YAML.');
  }
}

/** Where the deepest part of the path that exists begins: a key's own place, not its value's. */
function offsetOf(contents: Node | null, path: KeyPath, resolveAlias: (node: unknown) => unknown): number {
  let offset = contents?.range?.[0] ?? 0;
  let node: unknown = contents;
  for (const key of path) {
    node = resolveAlias(node);
    if (isMap(node)) {
      const pair = node.items.find((item) => keyOf(item) === String(key));
      if (!pair) return offset;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      offset = startOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function keyOf(pair: Pair): string {
  return String(isNode(pair.key) ? pair.key.toJSON() : pair.key);
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

export function keyText(path: KeyPath): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .replace(/^\./, '');
}
