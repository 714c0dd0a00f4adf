import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { pgError } from '../core/errors.ts';
import type { StepName } from '../plan/explain.ts';
import type { ExecutionContext } from './context.ts';
import { type AnswerSource, exchangeSource } from './exchange.ts';
import { watched } from './instruments.ts';
import type { Fragment } from './opened-exchange.ts';
import { encodeRendered } from './statement-bytes.ts';

/** Connections to all sites, acquired in parallel. */
export async function joinAll(sites: readonly Site[], context: ExecutionContext): Promise<ServerConnection[]> {
  if (context.signal.aborted) throw pgError('queryCanceled', 'canceling statement due to user request');
  return Promise.all(sites.map((site) => context.transaction.join(site, context.signal)));
}

export function plainSources(connections: readonly ServerConnection[], bytes: Buffer): AnswerSource[] {
  return connections.map((connection) => exchangeSource(connection, bytes));
}

/** One fragment of a step on several sites: with the snapshots that were opened for the statement, or plainly. */
export async function sourcesOf(
  step: StepName,
  sites: readonly Site[],
  fragment: Fragment,
  context: ExecutionContext,
): Promise<readonly AnswerSource[]> {
  const { opened } = context;
  const { rendered, resultFormats, describe } = fragment;
  const sources =
    opened === null
      ? plainSources(await joinAll(sites, context), encodeRendered(rendered, resultFormats, describe))
      : sites.map((site) => opened.get(site)!);
  return sources.map((source) => watched(context, step, source, rendered));
}
