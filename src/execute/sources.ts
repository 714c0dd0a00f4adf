import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { pgError } from '../core/errors.ts';
import type { StepName } from '../plan/explain.ts';
import type { SqlTemplate } from '../plan/plan.ts';
import type { ExecutionContext } from './context.ts';
import { type AnswerSource, exchangeSource } from './exchange.ts';
import { watched } from './instruments.ts';
import type { Fragment } from './opened-exchange.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { encodeRendered, type RenderedSql } from './statement-bytes.ts';

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
  template: SqlTemplate,
  values: TemplateValues,
  answer: Pick<Fragment, 'resultFormats' | 'describe'>,
  context: ExecutionContext,
): Promise<readonly AnswerSource[]> {
  const { opened, instruments } = context;
  const others = sites.filter((site) => opened?.has(site) !== true);
  const connections = new Map((await joinAll(others, context)).map((connection, i) => [others[i]!, connection]));
  const { resultFormats, describe } = answer;
  const isShared = !differsBySite(template);
  let shared: RenderedSql | null = null;
  return sites.map((site) => {
    const source = opened?.get(site);
    if (source && instruments === undefined) return source;
    if (isShared) shared ??= renderTemplate(template, values);
    const rendered = shared ?? renderTemplate(template, values, site);
    const bytes = () => encodeRendered(rendered, resultFormats, describe);
    return watched(context, step, source ?? exchangeSource(connections.get(site)!, bytes()), rendered);
  });
}

/** Rows that stand on nodes are not the same on each of them. */
function differsBySite(template: SqlTemplate): boolean {
  return template.some((part) => typeof part === 'object' && ('site' in part || 'motion' in part));
}
