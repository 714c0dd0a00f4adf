import type { ServerFacts, ServerState } from './observation.ts';

/** Rows of (node id, name, port, reachable, error, facts, and how long it took). */
export function readServers(rows: readonly (readonly (string | null)[])[]): ServerState[] {
  return rows.map(([id, name, port, reachable, error, facts, ms]) => ({
    ...{ id: Number(id), name: name ?? '', port: Number(port ?? 0), answerMs: ms == null ? null : Number(ms) },
    answer:
      reachable === 't' && facts
        ? { kind: 'facts', facts: readFacts(facts) }
        : { kind: 'none', why: error ?? 'no answer' },
  }));
}

/** The JSON of catalog/server-facts.ts. */
export function readFacts(json: string): ServerFacts {
  return camelCased(JSON.parse(json)) as ServerFacts;
}

function camelCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      camelCased(child),
    ]),
  );
}
