import type net from 'node:net';
import type { PeerAnswers, PeerQuestion, Peers } from '../../session/peers.ts';

/** Answers what another worker asks. */
export type Answerer = <Q extends PeerQuestion>(question: Q) => Promise<PeerAnswers[Q['kind']]>;

/** A worker's place among those that share a router's port. */
export interface WorkerPlace {
  /** From 0; a worker that takes a dead one's place has its slot. */
  readonly slot: number;
  readonly peers: Peers;
  /** That all share. */
  readonly port: number;
  /** This one tells the coordinator where functions come back, and adds new nodes. */
  readonly tells: boolean;
  /** Where the other workers reach this one. */
  readonly relayPort: number;
  /** From here on this worker answers the others, and takes their cancel requests. */
  answersWith(answer: Answerer, cancel: (processId: number, secret: Buffer) => void): void;
  /** From here on clients come. */
  accept(onSocket: (socket: net.Socket) => void): void;
}

/** Between the numbers of events of one worker there is room for those of all others, in the order of time. */
const numberStep = 128;

/** Numbers of events that several workers give out: unique, and later ones higher as far as clocks can tell. */
export function eventNumbers(slot: number, nowMs: () => number): (last: number) => number {
  return (last) => Math.max(last + numberStep, nowMs() * 8 * numberStep + slot);
}
