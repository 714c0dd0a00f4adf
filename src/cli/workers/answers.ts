import { unreachable } from '../../core/assert.ts';
import { sessionOfBackend } from '../../session/loop-login.ts';
import type { PeerAnswers, PeerQuestion } from '../../session/peers.ts';
import type { RouterServices } from '../../session/services.ts';
import { sessionWith, signalSession } from '../../session/signals.ts';
import type { CatalogKeeper } from '../catalog-keeper.ts';
import { partiesOf } from '../deadlock-keeper.ts';
import type { RecoveryKeeper } from '../recovery-keeper.ts';
import { type TellingParts, toldRows } from '../virtual-rows.ts';

export interface AnsweringParts {
  readonly services: Pick<RouterServices, 'sessions' | 'snapshots' | 'times'>;
  readonly catalog: CatalogKeeper;
  readonly recovery: RecoveryKeeper;
  readonly telling: TellingParts;
  readonly relayPort: number;
}

/** What this worker answers another one. */
export async function answerPeer<Q extends PeerQuestion>(
  question: Q,
  parts: AnsweringParts,
): Promise<PeerAnswers[Q['kind']]> {
  return (await answerTo(question, parts)) as PeerAnswers[Q['kind']];
}

async function answerTo(
  question: PeerQuestion,
  { services, catalog, recovery, telling, relayPort }: AnsweringParts,
): Promise<PeerAnswers[keyof PeerAnswers]> {
  switch (question.kind) {
    case 'catalog':
      await catalog.reload();
      return null;
    case 'rows':
      return toldRows(question.relation, question.role, telling);
    case 'resetTimes':
      services.times.reset();
      return null;
    case 'parties':
      return partiesOf(services.sessions).map(({ plain }) => plain);
    case 'snapshot': {
      const found = services.snapshots.find(question.name);
      return found === null ? null : [...found];
    }
    case 'loopPort':
      return sessionOfBackend(question.backend, services) === null ? null : relayPort;
    case 'signal': {
      const target = sessionWith(services.sessions, question.site, question.processId);
      if (target !== undefined) signalSession(target, question.name);
      return target !== undefined;
    }
    case 'recover':
      await recovery.recover();
      return null;
    default:
      return unreachable(question);
  }
}
