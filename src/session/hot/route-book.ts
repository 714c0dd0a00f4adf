import type { CatalogSnapshot } from '../../catalog/snapshot.ts';
import { limits } from '../../core/limits.ts';
import type { StatementDescription } from '../describe.ts';
import type { SessionState } from '../session-state.ts';
import type { ParsedStatement } from '../statement-cache.ts';
import type { Route } from './route.ts';
import type { Scatter } from './scatter.ts';
import type { Spread } from './spread.ts';

/** A statement by its text and declared parameter types, as Parse has found it. */
export interface ParsedText extends StatementDescription {
  readonly statement: ParsedStatement;
  readonly text: string;
}

/** What a text of the simple protocol is. */
export type SimpleText =
  | { readonly kind: 'transaction'; readonly statement: ParsedStatement }
  /** `description`: the RowDescription that its rows come under; null: it gives none. */
  | { readonly kind: 'route'; readonly route: Route; readonly description: Buffer | null }
  | ScatterText
  /** Seen once. */
  | { readonly kind: 'new' }
  | { readonly kind: 'other' };

/** It may be a read over several nodes: by what its other literals are. */
export interface ScatterText {
  readonly kind: 'scatter';
  /** Literals that become parameters. */
  readonly places: readonly number[];
  readonly description: Buffer;
  readonly scatters: Map<string, Scatter | null>;
}

/** Texts that are larger are no small statements, and are not remembered: there may be thousands. */
export const maxHotBytes = 16_384;

const runsAfterLarge = 100;

/** What is remembered for sessions to which the same names mean the same: one role, one search path, one catalog. */
export class RouteScope {
  readonly snapshot: CatalogSnapshot;
  readonly searchPath: readonly string[];
  readonly role: string;
  /** By text with marks for its literals. */
  readonly simple = new BoundedMap<SimpleText>();
  /** By the bytes of Parse behind the name. */
  readonly parsed = new BoundedMap<ParsedText>();
  /** By statement text and parameter types; null: it has no route. */
  readonly routes = new BoundedMap<Route | null>();
  /** The same of changes over several nodes. */
  readonly spreads = new BoundedMap<Spread | null>();
  /** The same of reads over several nodes. */
  readonly scatters = new BoundedMap<Scatter | null>();
  /** Runs of these that are still to be left to the other way. */
  readonly #left = new WeakMap<Scatter, number>();

  constructor(snapshot: CatalogSnapshot, searchPath: readonly string[], role: string) {
    this.snapshot = snapshot;
    this.searchPath = searchPath;
    this.role = role;
  }

  /** It gave more rows than the hot path carries: what comes next will do so too, for a while. */
  noteLarge(scatter: Scatter): void {
    this.#left.set(scatter, runsAfterLarge);
  }

  /** Counts the runs that are asked about. */
  leaves(scatter: Scatter): boolean {
    const left = this.#left.get(scatter) ?? 0;
    if (left > 0) this.#left.set(scatter, left - 1);
    return left > 0;
  }
}

/** The scopes of the current catalog; shared by the sessions of a process. */
export class RouteBook {
  #snapshot: CatalogSnapshot | null = null;
  #scopes = new BoundedMap<RouteScope>();

  /** `identity`: all that a session's names and descriptions depend on but the search path. */
  scope(snapshot: CatalogSnapshot, searchPath: readonly string[], who: { identity: string; role: string }): RouteScope {
    if (this.#snapshot !== snapshot) {
      this.#snapshot = snapshot;
      this.#scopes = new BoundedMap();
    }
    const key = JSON.stringify([who.identity, who.role, searchPath]);
    const known = this.#scopes.get(key);
    if (known !== undefined) return known;
    const scope = new RouteScope(snapshot, searchPath, who.role);
    this.#scopes.set(key, scope);
    return scope;
  }
}

/** The scope of a session as it is now. */
export function routeScope(session: SessionState, searchPath: readonly string[]): RouteScope {
  const { values } = session.transaction.settings;
  const role = values.get('role') ?? session.identity.user;
  const identity = `${session.identity.user} ${values.get('session_authorization') ?? ''}`;
  return session.services.routes.scope(session.catalog, searchPath, { identity, role });
}

/** Oldest out. */
class BoundedMap<V> {
  readonly #entries = new Map<string, V>();

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: V): void {
    this.#entries.set(key, value);
    if (this.#entries.size <= limits.maxCachedStatements) return;
    const oldest = this.#entries.keys().next().value;
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
