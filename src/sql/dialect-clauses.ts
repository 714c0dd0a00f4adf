import type { DistributionClause, DistributionMode, NodeChoice } from './dialect.ts';
import type { TokenReader } from './token-reader.ts';

/** `DISTRIBUTED BY (…) | RANDOMLY | REPLICATED`. This and the other readers give null, with nothing taken, for what isn't theirs. */
export function readGreenplumClause(reader: TokenReader): DistributionClause | null {
  const mode = readGreenplumMode(reader);
  return mode && { mode, nodes: { kind: 'all' } };
}

/** `DISTRIBUTE BY … [TO NODE (…) | TO GROUP …]`. */
export function readXlClause(reader: TokenReader): DistributionClause | null {
  if (!reader.words('distribute', 'by')) return null;
  const mode = readXlMode(reader);
  return mode && { mode, nodes: readNodeChoice(reader) ?? { kind: 'all' } };
}

function readGreenplumMode(reader: TokenReader): DistributionMode | null {
  if (reader.words('distributed', 'randomly')) return { kind: 'random' };
  if (reader.words('distributed', 'replicated')) return { kind: 'replicated' };
  if (!reader.words('distributed', 'by')) return null;
  let operatorClasses = false;
  const columns = reader.list(() => {
    const name = reader.name();
    if (name === null) return null;
    while (reader.name() !== null) {
      operatorClasses = true;
      if (!reader.symbol('.')) break;
    }
    return name;
  });
  return columns && { kind: 'hash', columns, modulo: false, operatorClasses };
}

function readXlMode(reader: TokenReader): DistributionMode | null {
  if (reader.words('replication')) return { kind: 'replicated' };
  if (reader.words('roundrobin') || reader.words('rrobin') || reader.words('round', 'robin')) return { kind: 'random' };
  const modulo = reader.words('modulo');
  if (!modulo && !reader.words('hash')) return null;
  const columns = reader.list(() => reader.name());
  return columns && { kind: 'hash', columns, modulo, operatorClasses: false };
}

/** `TO NODE (n1, n2)`, `TO NODE n1, n2` or `TO GROUP g`. */
export function readNodeChoice(reader: TokenReader): NodeChoice | null {
  if (reader.words('to', 'group')) {
    const name = reader.name();
    return name === null ? null : { kind: 'group', name };
  }
  if (!reader.words('to', 'node')) return null;
  const names = readNames(reader);
  return names && { kind: 'nodes', names };
}

/** Names with parentheses around them, or without. */
export function readNames(reader: TokenReader): string[] | null {
  const inParentheses = reader.list(() => reader.name());
  if (inParentheses) return inParentheses;
  const names: string[] = [];
  do {
    const name = reader.name();
    if (name === null) return null;
    names.push(name);
  } while (reader.symbol(','));
  return names;
}
