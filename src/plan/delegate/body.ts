import type { Delegation } from '../../catalog/delegation.ts';
import { parseStatements } from '../../sql/parse.ts';
import { readPlpgsql } from '../../sql/plpgsql.ts';

/** What a function does, as statements over its variables. */
export interface FunctionBody {
  readonly statements: readonly string[];
  /** Names that stand for values in them: parameters and, in PL/pgSQL, all that it declares. */
  readonly names: ReadonlySet<string>;
  /** Name of the distribution argument; null: it has none. */
  readonly argumentName: string | null;
  /** Its number as `$1` has it. */
  readonly argumentNumber: number;
  /** Types and relations that variables are like, each as the parts of its name. */
  readonly types: readonly (readonly string[])[];
}

export type Obstacle = { readonly obstacle: string };

/** The reason, where it is not certain what the function does, or that its distribution argument keeps its value. */
export function readBody(delegation: Delegation): FunctionBody | Obstacle {
  switch (delegation.language) {
    case 'sql':
      return readSql(delegation);
    case 'plpgsql':
      return readPlpgsqlBody(delegation);
    default:
      return { obstacle: `it is written in ${delegation.language}` };
  }
}

/** `$1` counts what goes in. A name that comes twice there is the first one's. */
function readSql({ body, parameters, distributionParameter }: Delegation): FunctionBody | Obstacle {
  if (body === null) return { obstacle: 'its body stands in BEGIN ATOMIC or RETURN: write it as a string' };
  const ingoing = parameters.filter(({ goesIn }) => goesIn);
  const argument = parameters[distributionParameter]!;
  const names = ingoing.map(({ name }) => name).filter((name) => name !== '');
  return {
    statements: parseStatements(body).map(({ text }) => text),
    names: new Set(names),
    argumentName: argument.name === '' ? null : argument.name,
    argumentNumber: ingoing.indexOf(argument) + 1,
    types: [],
  };
}

/** `$1` counts all parameters. */
function readPlpgsqlBody({ definition, parameters, distributionParameter }: Delegation): FunctionBody | Obstacle {
  const read = readPlpgsql(definition);
  if ('obstacle' in read) return read;
  if (/#\s*variable_conflict/i.test(definition)) return { obstacle: 'it says what ambiguous names mean' };
  const { name } = parameters[distributionParameter]!;
  if (read.assigned.has(distributionParameter)) return { obstacle: `it assigns ${name || 'its argument'}` };
  if (name !== '' && read.variables.filter((each) => each === name).length !== 1) {
    return { obstacle: `it declares another ${name}` };
  }
  return {
    statements: read.statements,
    names: new Set(read.variables.filter((each) => each !== '')),
    argumentName: name === '' ? null : name,
    argumentNumber: distributionParameter + 1,
    types: read.types.map(typeParts),
  };
}

/** `app.orders%rowtype`, `orders.id%TYPE`, `numeric(10,2)`, `orders[]` */
function typeParts(written: string): string[] {
  const [name = '', like] = written.split('%');
  const parts = (name.match(/"(?:[^"]|"")*"|[^\s."[(]+/g) ?? []).map((part) =>
    part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase(),
  );
  return like?.toLowerCase() === 'type' ? parts.slice(0, -1) : parts;
}
