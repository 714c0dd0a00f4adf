/*
 * The taking of snapshots on several servers (DESIGN 7), without effects, as commit-protocol.ts.
 */

export type OpeningEffect =
  /** Until no node of the opening owes a decided commit. */
  | { readonly kind: 'await settled' }
  | { readonly kind: 'enter fence' }
  /** Does any node of the opening owe one now? */
  | { readonly kind: 'look again' }
  | { readonly kind: 'take snapshots' }
  /** Is the herd's lock held still, and does no decision row name a node of the opening? */
  | { readonly kind: 'confirm' }
  | { readonly kind: 'leave fence' };

/** `doubtful`: snapshots may fall between the servers of a commit, so they are to be given up. */
export type Confidence = 'sure' | 'doubtful';

/**
 * Snapshots are taken inside the fence. Afterwards, still inside, the herd's lock is looked at: commits forget their decision rows
 * only while they hold it, so a row that names one of the nodes is a commit that a router could not finish, and none means that no
 * distributed commit was half done at any time since the fence was entered.
 */
export function* openingProtocol(): Generator<OpeningEffect, Confidence, boolean> {
  for (;;) {
    yield { kind: 'await settled' };
    yield { kind: 'enter fence' };
    // The commits that were waited for may have left a node untold.
    if (yield { kind: 'look again' }) break;
    yield { kind: 'leave fence' };
  }
  yield { kind: 'take snapshots' };
  const confirmed = yield { kind: 'confirm' };
  yield { kind: 'leave fence' };
  return confirmed ? 'sure' : 'doubtful';
}
