import type { PlannedParameter } from '../../plan/context.ts';
import { LiteralScan } from '../../sql/literal-scan.ts';
import { encodeRowDescription } from '../../wire/backend.ts';
import { BindView } from '../../wire/bind-view.ts';
import { knownDescription } from '../describe-statement.ts';
import type { PreparedStatement, SessionState } from '../session-state.ts';
import type { ParsedStatement } from '../statement-cache.ts';
import { builtinTypeName } from '../type-names.ts';
import { buildScatter } from './build-scatter.ts';
import { BoundValues, LiteralValues } from './hot-values.ts';
import type { Pipeline } from './pipeline.ts';
import { buildLeaf, buildRoute, type Leaf, type Route, type RouteQuestion } from './route.ts';
import { maxHotBytes, type RouteScope, type ScatterText, type SimpleText } from './route-book.ts';
import type { Scatter } from './scatter.ts';
import { comparedLiterals, otherLiterals, SentLiterals, withParameters } from './scatter-literals.ts';
import { buildSpread, type Spread } from './spread.ts';

/** What a message asks for: a leaf of a route, or null. */
export interface Found {
  readonly route: Route;
  readonly leaf: Leaf;
}

/**
 * Looks up what a client's messages ask for among what is known to go to one shard, and has the planner make what is missing. Its views and
 * values are those of the message looked at last.
 */
export class KnownStatements {
  readonly #session: SessionState;
  readonly bind = new BindView();
  readonly #bound = new BoundValues(this.bind);
  readonly #scan = new LiteralScan();
  /** What was found last: the key of a scope's routes is the whole text. */
  readonly #routes = new WeakMap<PreparedStatement, { readonly scope: RouteScope; readonly route: Route }>();
  readonly literals = new LiteralValues(this.#scan);
  readonly sentLiterals = new SentLiterals(this.#scan);

  constructor(session: SessionState) {
    this.#session = session;
  }

  /** What a Query's text is, literals aside. Null: not known, or not yet. */
  text(frame: Buffer, scope: RouteScope): SimpleText | null {
    // What lacks its end is for the other way to refuse.
    if (frame.length > maxHotBytes || frame[frame.length - 1] !== 0) return null;
    const text = frame.toString('latin1', 5, frame.length - 1);
    if (!this.#scan.read(text)) return null;
    this.literals.text = text;
    const known = scope.simple.get(this.#scan.key);
    if (known === undefined) {
      scope.simple.set(this.#scan.key, seenOnce);
      return null;
    }
    return known.kind === 'new' ? this.#learn(frame, scope) : known;
  }

  textLeaf(route: Route, frame: Buffer, scope: RouteScope): Leaf | null {
    const shard = route.shardOf(this.literals);
    if (shard < 0) return null;
    return this.#leafOf(route, shard) ?? this.#addLeaf(route, shard, this.#textQuestion(frame), scope);
  }

  /** A text of a kind that has come before: what it is, if that is known for certain by now. */
  #learn(frame: Buffer, scope: RouteScope): SimpleText | null {
    const [statement, ...others] = this.#parse(frame);
    let known: SimpleText = { kind: 'other' };
    if (statement?.kind === 'TransactionStmt' && others.length === 0) known = { kind: 'transaction', statement };
    else if (statement !== undefined && others.length === 0) {
      const described = knownDescription(this.#session, statement);
      if (described === undefined) return null;
      const route = this.#build(this.#textQuestion(frame), scope);
      const description = described.fields === null ? null : encodeRowDescription(described.fields);
      if (route !== null) known = { kind: 'route', route, description };
      else if (statement.kind === 'SelectStmt' && description !== null) {
        const places = comparedLiterals(statement, this.#scan);
        known = { kind: 'scatter', places, description, scatters: new Map() };
      }
    }
    scope.simple.set(this.#scan.key, known);
    return known;
  }

  /** The read over several nodes that a text is, if it is one. */
  textScatter({ places, scatters }: ScatterText, frame: Buffer, scope: RouteScope): Scatter | null {
    const { text } = this.literals;
    this.sentLiterals.text = text;
    this.sentLiterals.places = places;
    const key = otherLiterals(text, this.#scan, places);
    const known = scatters.get(key);
    if (known !== undefined) return known === null || scope.leaves(known) ? null : known;
    const found = scatters.size < maxScattersOfText ? this.#buildTextScatter(places, frame, scope) : undefined;
    if (found !== undefined) scatters.set(key, found);
    return found ?? null;
  }

  #buildTextScatter(places: readonly number[], frame: Buffer, scope: RouteScope): Scatter | null | undefined {
    const { statements } = this.#session.services;
    const [counted] = this.#parse(frame);
    const [statement, ...others] = statements.parse(withParameters(this.literals.text, this.#scan, places));
    if (counted === undefined || statement === undefined || others.length > 0) return null;
    const parameters = places.map((_, i) => ({
      ...{ typeOid: integerOid, typeName: 'integer' },
      value: { format: 0 as const, bytes: this.sentLiterals.bytesOf(i) },
    }));
    return buildScatter(this.#session, { statement, parameters, inBlock: this.#inBlock }, scope, counted);
  }

  #textQuestion(frame: Buffer): RouteQuestion | null {
    const [statement] = this.#parse(frame);
    return statement ? { statement, parameters: [], scan: this.#scan, inBlock: this.#inBlock } : null;
  }

  /** None: the grammar refuses the text, which the way that reports errors will find too. */
  #parse(frame: Buffer): readonly ParsedStatement[] {
    try {
      return this.#session.services.statements.parse(textOf(frame));
    } catch {
      return [];
    }
  }

  /** The statement that a pipeline's Bind names, read in `bind`. Null: it is another way's to tell. */
  prepared({ parse, bind }: Pipeline, scope: RouteScope): PreparedStatement | null {
    const { prepared } = this.#session;
    if (bind === null || !this.bind.read(bind)) return null;
    const { nameStart, nameEnd } = this.bind;
    const name = nameStart === nameEnd ? '' : bind.toString('utf8', nameStart, nameEnd);
    const found = parse === null ? (prepared.get(name) ?? null) : this.#parsed(parse, name, scope);
    if (found === null || this.bind.parameterCount !== found.parameterOids.length) return null;
    if (found.describedIn !== scope.snapshot.version) return null;
    const { resultFormatCount } = this.bind;
    return resultFormatCount > 1 && resultFormatCount !== (found.fields?.length ?? 0) ? null : found;
  }

  /** What Parse has found before, under the name that it gets now. */
  #parsed(parse: Buffer, name: string, scope: RouteScope): PreparedStatement | null {
    if (parse.length > maxHotBytes) return null;
    const nameEnd = parse.indexOf(0, 5);
    if (parse.toString('utf8', 5, nameEnd) !== name || (name !== '' && this.#session.prepared.has(name))) return null;
    const found = scope.parsed.get(parse.toString('latin1', nameEnd + 1));
    if (found === undefined) return null;
    const { statement, parameterOids, fields, text } = found;
    const describedIn = scope.snapshot.version;
    return { name, statement, parameterOids, fields, describedIn, text, preparedAtMs: Date.now(), fromSql: false };
  }

  bound(prepared: PreparedStatement, scope: RouteScope): Found | null {
    const { statement, parameterOids } = prepared;
    if (statement === null) return null;
    const last = this.#routes.get(prepared);
    const route = last?.scope === scope ? last.route : this.#routeOf(statement, parameterOids, scope);
    if (route === null) return null;
    if (last?.scope !== scope) this.#routes.set(prepared, { scope, route });
    const shard = route.shardOf(this.#bound);
    if (shard < 0) return null;
    const leaf =
      this.#leafOf(route, shard) ?? this.#addLeaf(route, shard, this.#boundQuestion(statement, parameterOids), scope);
    return leaf && { route, leaf };
  }

  #routeOf(statement: ParsedStatement, parameterOids: readonly number[], scope: RouteScope): Route | null {
    const key = `${parameterOids.join(',')} ${statement.text}`;
    const known = scope.routes.get(key);
    if (known !== undefined) return known;
    const question = this.#boundQuestion(statement, parameterOids);
    if (question === null) return null;
    const route = this.#build(question, scope);
    // With NULL as a key nothing is said about other values.
    if (route !== null || !question.parameters.some(({ value }) => value === null)) scope.routes.set(key, route);
    return route;
  }

  /** The change over several nodes that a Bind outside of a block is for. */
  spread({ statement, parameterOids, fields }: PreparedStatement, scope: RouteScope): Spread | null {
    if (statement === null || fields !== null || this.#inBlock) return null;
    const key = `${parameterOids.join(',')} ${statement.text}`;
    const known = scope.spreads.get(key);
    if (known !== undefined) return known;
    const question = this.#boundQuestion(statement, parameterOids);
    if (question === null) return null;
    const spread = this.#buildSpread(question, scope);
    scope.spreads.set(key, spread);
    return spread;
  }

  #buildSpread(question: RouteQuestion, scope: RouteScope): Spread | null {
    try {
      return buildSpread(question, { ...scope, times: this.#session.services.times });
    } catch {
      return null;
    }
  }

  /** The read over several nodes that a Bind is for. */
  scatter({ statement, parameterOids }: PreparedStatement, scope: RouteScope): Scatter | null {
    if (statement === null) return null;
    const key = `${parameterOids.join(',')} ${statement.text}`;
    const known = scope.scatters.get(key);
    if (known !== undefined) return known === null || scope.leaves(known) ? null : known;
    const question = this.#boundQuestion(statement, parameterOids);
    const found = question === null ? undefined : buildScatter(this.#session, question, scope);
    if (found !== undefined) scope.scatters.set(key, found);
    return found ?? null;
  }

  #boundQuestion(statement: ParsedStatement, parameterOids: readonly number[]): RouteQuestion | null {
    const parameters: PlannedParameter[] = [];
    for (const [i, typeOid] of parameterOids.entries()) {
      const typeName = builtinTypeName(typeOid) ?? this.#session.typeNames.get(typeOid);
      if (typeName === undefined) return null;
      parameters.push({ typeOid, typeName, value: this.#bound.parameter(i + 1) });
    }
    return { statement, parameters, scan: null, inBlock: this.#inBlock };
  }

  get #inBlock(): boolean {
    return this.#session.transaction.inBlock;
  }

  #leafOf(route: Route, shard: number): Leaf | null {
    return route.leaves[this.#inBlock ? 1 : 0][shard] ?? null;
  }

  /** What the planner refuses it refuses again on the way that reports errors. */
  #addLeaf(route: Route, shard: number, question: RouteQuestion | null, scope: RouteScope): Leaf | null {
    if (question === null) return null;
    try {
      const leaf = buildLeaf(question, shard, { ...scope, times: this.#session.services.times });
      if (leaf !== null) route.leaves[question.inBlock ? 1 : 0][shard] = leaf;
      return leaf;
    } catch {
      return null;
    }
  }

  #build(question: RouteQuestion | null, scope: RouteScope): Route | null {
    if (question === null) return null;
    try {
      return buildRoute(question, { ...scope, times: this.#session.services.times });
    } catch {
      return null;
    }
  }
}

const integerOid = 23;

/** Texts that differ in literals of other kinds are other statements; those that differ each time are none to remember. */
const maxScattersOfText = 16;

const seenOnce: SimpleText = { kind: 'new' };

/** Of a Query. */
export function textOf(frame: Buffer): string {
  return frame.toString('utf8', 5, frame.length - 1);
}
