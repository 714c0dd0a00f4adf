import type { Site } from '../catalog/site.ts';
import { assert } from '../core/assert.ts';
import type { Motion, Plan, SqlTemplate } from '../plan/plan.ts';
import { snapshotsLate } from '../transaction/fence.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import type { AnswerSource } from './exchange.ts';
import { HeldAnswers } from './held-answers.ts';
import { initialSettings, LateSettings, lateValues } from './late-settings.ts';
import { type Around, type Fragment, OpenedExchange } from './opened-exchange.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { joinAll } from './sources.ts';
import { keepsPlans } from './statement-bytes.ts';

/** Openings that take longer than this let the waiting commits through and try again. */
export const maxOpeningMs = 500;
const maxAttempts = 20;
/** In a transaction block there is no second try: cancelling fails the block. */
const maxOpeningInBlockMs = 10_000;

/**
 * Takes the snapshots of all fragments of a plan that only reads, on all its nodes, while no distributed commit is half done
 * (DESIGN 7). Null: the plan reads one server only, or is not of that kind; its transaction sees to its snapshots.
 */
export async function openSnapshots(
  plan: Plan,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<OpenedFragments | null> {
  const late = plan.opened ? unknownConstants(values) : null;
  const known = late === null ? values : lateValues(values, plan.motions);
  const fragments = fragmentsBySite(plan, known, output, context);
  assert(fragments !== null || late === null, 'a plan that is opened only reads');
  if (fragments === null) return null;
  const around = late === null ? null : settingsAround(plan.motions, late);
  const { fence, signal } = context;
  const sites = [...fragments.keys()];
  const { inBlock } = context.transaction;
  for (let attempt = 1; ; attempt++) {
    const connections = await joinAll(sites, context);
    const bySite = new Map(
      [...fragments].map(([site, list], index) => [
        site,
        new OpenedExchange(connections[index]!, list, !inBlock, around),
      ]),
    );
    const exchanges = [...bySite.values()];
    const opening = await fence.open(sites, signal, () =>
      openAll(exchanges, inBlock ? maxOpeningInBlockMs : maxOpeningMs),
    );
    if (opening.confidence === 'sure' && opening.value === 'opened') {
      for (const exchange of exchanges) exchange.opened();
      const found = await openedFragments(bySite);
      return { ...found, late: late === null ? null : new LateSettings(bySite, plan.motions, late) };
    }
    await giveUp(exchanges);
    // Cancelling fails a block; nothing was cancelled when only the fence is in doubt.
    if (attempt === maxAttempts || (inBlock && opening.value === 'late')) throw snapshotsLate();
  }
}

/** Nobody has computed them: they need what motions bring. */
function unknownConstants({ constants, constantTypes }: TemplateValues): readonly number[] {
  return [...constantTypes.keys()].filter((index) => constants[index] === undefined);
}

function settingsAround(motions: readonly Motion[], constants: readonly number[]): Around {
  return {
    before: initialSettings(motions, constants, true),
    after: initialSettings(motions, constants, false),
  };
}

export interface OpenedFragments {
  readonly sources: ReadonlyMap<Site, AnswerSource>;
  /** Where what fragments wait for is told; null: they wait for nothing. */
  readonly late: LateSettings | null;
  /** After an error: ends what has not run. */
  abandon(): Promise<void>;
}

/** The coordinator's connection is wanted for the rows of others, so its own come first, and wait in memory. */
async function openedFragments(bySite: ReadonlyMap<Site, OpenedExchange>): Promise<Omit<OpenedFragments, 'late'>> {
  const abandon = async () => {
    await Promise.all([...bySite.values()].map((exchange) => exchange.abandon()));
  };
  const here = bySite.get('coordinator');
  if (here === undefined) return { sources: bySite, abandon };
  try {
    const held: AnswerSource = await HeldAnswers.of(here);
    return { sources: new Map<Site, AnswerSource>([...bySite, ['coordinator', held]]), abandon };
  } catch (error) {
    await abandon();
    throw error;
  }
}

/** Opens all; 'late' when some server keeps the others waiting. */
async function openAll(exchanges: readonly OpenedExchange[], patienceMs: number): Promise<'opened' | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), patienceMs);
  });
  const openings = exchanges.map((exchange) => exchange.open());
  for (const opening of openings) opening.catch(() => {});
  const opened = Promise.all(openings).then((): 'opened' => 'opened');
  opened.catch(() => {});
  try {
    return await Promise.race([opened, late]);
  } catch (error) {
    await giveUp(exchanges);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** What hangs is cancelled; everything opened is closed again. */
async function giveUp(exchanges: readonly OpenedExchange[]): Promise<void> {
  await Promise.all(exchanges.map((exchange) => exchange.cancelOpening()));
}

function fragmentsBySite(
  plan: Plan,
  values: TemplateValues,
  output: ClientOutput,
  { prepared, snapshot, transaction }: ExecutionContext,
): Map<Site, Fragment[]> | null {
  const kept = prepared && !plan.opened ? { preparedFor: snapshot.version, keepsPlan: keepsPlans(transaction) } : {};
  const { final, motions } = plan;
  if (plan.writes || !['combine', 'scatter', 'fill table'].includes(final.kind)) return null;
  const bySite = new Map<Site, Fragment[]>();
  const add = (sites: readonly Site[], fragment: Fragment) => {
    for (const site of sites) {
      const list = bySite.get(site);
      if (list) list.push(fragment);
      else bySite.set(site, [fragment]);
    }
  };
  for (const motion of motions) {
    if (motion.kind === 'virtual') continue;
    if (!plan.opened && (motion.kind === 'stage' || motion.locksRows || waits(motion.sql, values))) return null;
    // What the coordinator combines of earlier steps needs no snapshot.
    const sites = plan.opened ? motion.sites.filter((site) => site !== 'coordinator') : motion.sites;
    if (sites.length === 0) continue;
    add(sites, { rendered: renderTemplate(motion.sql, values), resultFormats: [1], describe: false, ...kept });
  }
  if (final.kind === 'scatter') {
    if (!plan.opened && waits(final.sql, values)) return null;
    const rendered = renderTemplate(final.sql, values);
    add(final.sites, { rendered, resultFormats: output.resultFormats, describe: output.wantsDescription, ...kept });
  }
  return bySite.size > 1 || plan.opened ? bySite : null;
}

/** Other steps have to run before it can be written. */
function waits(template: SqlTemplate, { constants }: TemplateValues): boolean {
  return template.some((part) => {
    if (typeof part === 'string') return false;
    return 'motion' in part || ('constant' in part && constants[part.constant] === undefined);
  });
}
