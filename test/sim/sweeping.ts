import type { Effect } from '../../src/transaction/protocol.ts';
import { recoveryProtocol } from '../../src/transaction/recovery-protocol.ts';
import { askDecision, fencedDecisions, fenceEpoch, finishOn } from './decisions.ts';
import { atSite, done, drive, enterFence, type Reply, type RouterParts } from './router-parts.ts';

/** One sweep of recovery. `ended`: whether it has reached all servers. */
export function sweepOnce(parts: RouterParts, ended: (complete: boolean) => void): void {
  const { book, unsettled, settled: waiters, servers } = parts;
  const nodes = servers.map((_, site) => site).filter((site) => site !== 0);
  const scope = { clusterId: 'sim', nodes, ...book.scope(parts.epoch()) };
  drive(
    parts,
    recoveryProtocol(scope),
    (effect, answer) => perform(parts, effect, answer),
    ({ settled, owed, complete }) => {
      book.settled(settled);
      unsettled.settled(settled);
      waiters.wake();
      for (const { key, nodes: owing } of owed) unsettled.add(key, owing);
      ended(complete);
    },
  );
}

function perform(parts: RouterParts, effect: Effect, answer: Reply): void {
  const { bug, book, unsettled, turns, settled: waiters, connect } = parts;
  switch (effect.kind) {
    case 'fence dead epochs':
      atSite(
        parts,
        0,
        (coordinator) => {
          for (const epoch of coordinator.epochs.keys()) fenceEpoch(coordinator, epoch, bug);
          return done;
        },
        answer,
      );
      return;
    case 'fence epoch':
      atSite(parts, 0, (coordinator) => ({ kind: 'epoch', dead: fenceEpoch(coordinator, effect.epoch, bug) }), answer);
      return;
    case 'list fenced decisions':
      atSite(parts, 0, (coordinator) => fencedDecisions(coordinator, bug), answer);
      return;
    case 'list prepared':
      atSite(parts, effect.node, (node) => ({ kind: 'listed', names: [...node.prepared.keys()] }), answer);
      return;
    case 'ask':
      askDecision(parts, effect.key, answer);
      return;
    case 'enter fence':
      enterFence(parts, answer);
      return;
    case 'leave fence':
      unsettled.told(effect.key, effect.told);
      book.told(effect.key, effect.told);
      unsettled.add(effect.key, effect.untold);
      turns.leave();
      waiters.wake();
      answer(done);
      return;
    case 'finish':
      finishOn(connect(effect.node), effect, answer);
      return;
    case 'forget':
      book.served(effect.keys);
      answer(done);
      return;
    default:
      throw new Error(`${effect.kind} in recovery`);
  }
}
